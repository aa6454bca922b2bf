"""What it costs to give messages ids of their own, in executed lines: they come out alike on every machine."""

from __future__ import annotations

import pytest

from copilotkit_runtime import events
from copilotkit_runtime.runtime.runs.message_ids import MessageIds
from tests.support.executed_lines import lines_of


def begin_and_end(number: int) -> list[str]:
    """Name a number of messages that an agent gives one id; return the ids that they get."""
    ids, names = MessageIds(), []
    for _ in range(number):
        names.append(ids.named(events.TextMessageStart(message_id="m")).message_id)
        ids.named(events.TextMessageEnd(message_id="m"))
    return names


def test_every_message_gets_an_id_of_its_own() -> None:
    assert begin_and_end(3) == ["m", "m-2", "m-3"]


@pytest.mark.parametrize("number", [50, 200])
def test_twice_the_messages_of_one_id_cost_twice_the_work(number: int) -> None:
    assert lines_of(lambda: begin_and_end(2 * number)) <= 2.3 * lines_of(lambda: begin_and_end(number))
