from __future__ import annotations

from typing import Any

import pytest
from langgraph.types import Interrupt

from copilotkit_runtime.providers.langgraph.interrupts import interrupt_events, resume_map
from copilotkit_runtime.runtime.context import Resume
from tests.support.executed_lines import lines_of

ONE, TWO = Interrupt(value="one?", id="1"), Interrupt(value={"ask": "two?"}, id="2")


def answer(response: str, value: str = "") -> Resume:
    return Resume(name="on_interrupt", value=value, response=response)


def test_answers_find_their_questions_however_their_json_is_spaced() -> None:
    assert resume_map([ONE, TWO], [answer("2", '{"ask":  "two?"}'), answer("1", "one?")]) == {"1": "1", "2": "2"}


@pytest.mark.parametrize(("asked", "given"), [(1.0, "1"), ({"b": [1.0], "a": 2}, '{"a":2,"b":[1]}'), (0.5, "0.5")])
def test_an_answer_finds_its_question_as_javascript_writes_it(asked: Any, given: str) -> None:
    assert resume_map([ONE, Interrupt(value=asked, id="3")], [answer("yes", given)]) == {"3": "yes"}


def test_interrupts_that_ask_the_same_are_answered_in_order() -> None:
    same = [Interrupt(value="go on?", id=str(number)) for number in range(3)]
    given = [Resume(name="", value="", response="c", interrupt_id="0"), answer("a", "go on?"), answer("b", "go on?")]
    assert resume_map(same, given) == {"0": "c", "1": "a", "2": "b"}


def _answer_all(number: int, *, by_id: bool) -> None:
    """Answer many interrupts, the last one first."""
    pending = [Interrupt(value={"ask": n}, id=str(n)) for n in range(number)]
    answers = [
        Resume(name="", value="" if by_id else f'{{"ask": {n}}}', response="x", interrupt_id=str(n) if by_id else None)
        for n in reversed(range(number))
    ]
    assert len(resume_map(pending, answers)) == number


@pytest.mark.parametrize("by_id", [True, False])
def test_twice_the_answers_cost_twice_the_work(by_id: bool) -> None:
    once, twice = [lines_of(lambda number=number: _answer_all(number, by_id=by_id)) for number in (60, 120)]
    assert twice <= 2.3 * once


def test_an_answer_that_nests_too_deep_is_a_text() -> None:
    deep = "[" * 100_000
    assert resume_map([ONE], [answer(deep, deep)]) == {"1": deep}


def test_answers_that_fit_no_question_are_taken_in_order() -> None:
    assert resume_map([ONE, TWO], [answer("a"), answer("b")]) == {"1": "a", "2": "b"}


def test_an_answer_too_many_is_ignored() -> None:
    assert resume_map([ONE], [answer("a"), answer("b")]) == {"1": "a"}


def test_an_object_of_ids_answers_several_questions() -> None:
    assert resume_map([ONE, TWO], [answer('{"2": "b", "1": null}')]) == {"1": None, "2": "b"}


def test_an_empty_object_is_an_answer() -> None:
    assert resume_map([ONE], [answer("{}")]) == {"1": {}}


def test_a_value_that_is_not_json_is_sent_as_far_as_it_can_be() -> None:
    (event,) = interrupt_events([Interrupt(value={"fine": {1}, "odd": object()}, id="1")])
    shown: Any = event
    assert shown.value == {"fine": [1]}


def json_answer(value: Any, asked: str = "") -> Resume:
    return Resume(name="LangGraphInterruptEvent", value=asked, answer=value)


@pytest.mark.parametrize("asked", ["", '["one?", {"ask": "two?"}]'])
def test_a_list_as_long_as_the_questions_that_came_in_one_list_answers_each(asked: str) -> None:
    assert resume_map([ONE, TWO], [json_answer(["a", None], asked)]) == {"1": "a", "2": None}


@pytest.mark.parametrize(
    ("pending", "given"),
    [
        ([ONE], json_answer(["a"])),
        ([ONE, TWO], json_answer(["a", "b", "c"])),
        ([ONE, TWO], json_answer(["a", "b"], "one?")),
        ([ONE, TWO], answer('["a", "b"]')),
    ],
    ids=["one question", "a longer list", "a question is named", "text of GraphQL's clients"],
)
def test_any_other_list_is_the_answer_to_one_question(pending: list[Any], given: Resume) -> None:
    [(id_, value)] = resume_map(pending, [given]).items()
    assert id_ == "1"
    assert isinstance(value, list)
