"""Many calls in one answer."""

from __future__ import annotations

import pytest

from copilotkit_runtime.providers.call_assembler import CallAssembler
from copilotkit_runtime.runtime import events
from copilotkit_runtime.runtime.call_ids import CallIds
from tests.support.executed_lines import lines_of


def assembled(number: int) -> list[events.Event]:
    """Return the events of an answer of many calls."""
    assembler = CallAssembler(CallIds(), list, lambda: "p")
    found: list[events.Event] = []
    for key in range(number):
        found += assembler.piece(key, f"call-{key}", "t", "{")
        found += assembler.piece(key, None, None, "}")
    return [*found, *assembler.end_all()]


def test_each_call_is_opened_and_ended_once() -> None:
    kinds = [type(event) for event in assembled(3)]
    assert [kinds.count(kind) for kind in (events.ToolCallStart, events.ToolCallEnd)] == [3, 3]


@pytest.mark.parametrize("number", [50, 200])
def test_twice_the_calls_cost_twice_the_work(number: int) -> None:
    assert lines_of(lambda: assembled(2 * number)) <= 2.3 * lines_of(lambda: assembled(number))


@pytest.mark.parametrize("number", [100, 1000])
def test_arguments_in_pieces_of_one_letter_cost_the_same_each(number: int) -> None:
    def streamed(letters: int) -> None:
        assembler = CallAssembler(CallIds(), list, lambda: "p")
        assembler.piece(0, "call", "t", '{"a":"')
        for _ in range(letters):
            assembler.piece(0, None, None, "x")
        assembler.piece(0, None, None, '"}')

    assert lines_of(lambda: streamed(2 * number)) <= 2.3 * lines_of(lambda: streamed(number))
