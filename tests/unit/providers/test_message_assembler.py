from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from copilotkit_runtime.providers.message_assembler import MessageAssembler
from copilotkit_runtime.runtime.events import (
    Event,
    ReasoningEnd,
    ReasoningStart,
    TextMessageContent,
    TextMessageEnd,
    TextMessageStart,
    ToolCallArgs,
    ToolCallEnd,
    ToolCallStart,
)


def test_an_answer_without_an_id_gets_one() -> None:
    [start, *_] = MessageAssembler().text("x")
    assert isinstance(start, TextMessageStart)
    assert start.message_id.startswith("ck-")


def test_the_first_id_given_counts() -> None:
    answer = MessageAssembler()
    for message_id in ("", None, "one", "two"):
        answer.name(message_id)
    assert answer.message_id == "one"


def test_empty_pieces_open_nothing() -> None:
    answer = MessageAssembler("m")
    assert [*answer.text(""), *answer.reasoning(""), *answer.end()] == []
    assert answer.empty


def test_arguments_of_a_call_never_opened_are_passed_over() -> None:
    answer = MessageAssembler("m")
    assert list(answer.arguments("c", "{}")) == []
    assert list(answer.call_piece(0, None, None, "{}")) == []


def test_a_call_that_is_repeated_in_every_piece_is_one_call() -> None:
    answer = MessageAssembler("m")
    events = [event for piece in ("{", "}") for event in answer.call_piece(0, "c", "act", piece)]
    assert sum(isinstance(event, ToolCallStart) for event in events) == 1


def test_thoughts_between_texts_are_distinguished() -> None:
    answer = MessageAssembler("m")
    events = [*answer.reasoning("a"), *answer.text("b"), *answer.reasoning("c"), *answer.end()]
    ids = [event.message_id for event in events if isinstance(event, ReasoningStart)]
    assert ids == ["m-reasoning-1", "m-reasoning-2"]


pieces = st.lists(
    st.tuples(st.just("text"), st.sampled_from(["", "x"]))
    | st.tuples(st.just("think"), st.sampled_from(["", "x"]))
    | st.tuples(st.just("call"), st.integers(0, 2))
    | st.tuples(st.just("more"), st.integers(0, 2))
)


@given(pieces)
def test_whatever_a_vendor_sends_ids_are_opened_once_and_closed_once(script: list[tuple[str, object]]) -> None:
    answer = MessageAssembler("m")
    events: list[Event] = []
    for number, (kind, value) in enumerate(script):
        events += _play(answer, kind, value, number)
    events += answer.end()
    _check(events)


def _play(answer: MessageAssembler, kind: str, value: object, number: int) -> list[Event]:
    if kind == "text":
        return list(answer.text(str(value)))
    if kind == "think":
        return list(answer.reasoning(str(value)))
    if kind == "call":
        return list(answer.call_piece(int(str(value)), f"c{number}", "act", None))
    return list(answer.call_piece(int(str(value)), None, None, "{"))


def _check(events: list[Event]) -> None:
    opened: set[str] = set()
    counts: Counter[tuple[type, str]] = Counter()
    for event in events:
        key = event.tool_call_id if isinstance(event, ToolCallStart | ToolCallArgs | ToolCallEnd) else _id(event)
        if isinstance(event, TextMessageStart | ToolCallStart | ReasoningStart):
            opened.add(key)
        elif isinstance(event, TextMessageContent | ToolCallArgs):
            assert key in opened
        elif isinstance(event, TextMessageEnd | ToolCallEnd | ReasoningEnd):
            opened.remove(key)
        counts[type(event), key] += isinstance(event, TextMessageStart | ToolCallStart | ReasoningStart)
    assert opened == set()
    assert set(counts.values()) <= {0, 1}


def _id(event: Event) -> str:
    return str(getattr(event, "message_id", ""))
