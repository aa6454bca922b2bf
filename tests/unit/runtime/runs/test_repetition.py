"""What was shown before is not shown again, and what broke off goes on where it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilotkit_runtime import events
from copilotkit_runtime.runtime.messages import TextMessage, ToolCallMessage
from copilotkit_runtime.runtime.runs.continuation import Continuation, key_of, renamed
from tests.support.gone_on import gone_on
from tests.unit.runtime.runs.streams import Events, streams

STARTED = events.RunStarted(thread_id="t", run_id="r")


def text(id_: str, *deltas: str, ends: bool = True) -> Events:
    start, end = events.TextMessageStart(message_id=id_), events.TextMessageEnd(message_id=id_)
    return [start, *(events.TextMessageContent(message_id=id_, delta=d) for d in deltas), *([end] if ends else [])]


def call(id_: str, name: str, *deltas: str, ends: bool = True) -> Events:
    start = events.ToolCallStart(tool_call_id=id_, tool_call_name=name)
    end = events.ToolCallEnd(tool_call_id=id_)
    return [start, *(events.ToolCallArgs(tool_call_id=id_, delta=d) for d in deltas), *([end] if ends else [])]


async def each(stream: Iterable[events.Event]) -> AsyncIterator[events.Event]:
    for event in stream:
        yield event


async def rest(
    shown: Sequence[events.Event], again: Sequence[events.Event], past: Continuation | None = None
) -> Events:
    history = [STARTED, *shown]
    return await gone_on(past or Continuation(history, len(history)), each(again))


def joined(stream: Iterable[events.Event]) -> list[tuple[str, str]]:
    """All that is said in a stream, in the order in which it began."""
    said: dict[tuple[type, str], tuple[str, str]] = {}
    for event in stream:
        if isinstance(event, events.TextMessageStart | events.ToolCallStart | events.ReasoningMessageStart):
            said[key_of(event)] = (getattr(event, "tool_call_name", ""), "")
        elif isinstance(event, events.TextMessageContent | events.ToolCallArgs | events.ReasoningMessageContent):
            name, before = said[key_of(event)]
            said[key_of(event)] = (name, before + event.delta)
    return list(said.values())


async def test_a_text_that_broke_off_goes_on_in_the_same_message() -> None:
    again = await rest(text("m1", "Hello ", "wo", ends=False), text("m2", "Hel", "lo wor", "ld", "!"))
    assert again == text("m1", "r", "ld", "!")[1:]


async def test_what_was_whole_is_left_out() -> None:
    shown = [*text("m1", "One."), *call("c1", "look", '{"a": 1}'), *text("m2", "Tw", ends=False)]
    again = [*text("m3", "One."), *call("c2", "look", '{"a"', ": 1}"), *text("m4", "Two."), *text("m5", "Three.")]
    assert await rest(shown, again) == [*text("m2", "o.")[1:], *text("m5", "Three.")]


async def test_what_turns_out_to_be_something_else_is_a_message_of_its_own() -> None:
    shown = text("m1", "It is sunny", ends=False)
    again = await rest(shown, text("m2", "It is ", "raining."))
    assert again == [events.TextMessageEnd(message_id="m1", broken=True), *text("m2", "It is raining.")]


async def test_a_message_of_the_same_id_with_another_text_gets_an_id_of_its_own() -> None:
    again = await rest(text("m", "It is sunny", ends=False), text("m", "No", "."))
    assert again == [events.TextMessageEnd(message_id="m", broken=True), *text("m-again", "No", ".")]


async def test_what_the_agent_has_kept_is_not_expected_again() -> None:
    shown = [*text("m1", "Thinking."), *text("m2", "Do", ends=False), *call("c", "look", '{"a":', ends=False)]
    kept = [
        TextMessage(id="m1", role="assistant", content="Thinking."),
        TextMessage(id="m2", role="assistant", content="Done."),
        ToolCallMessage(id="c", name="look", arguments={"a": 1}),
    ]
    past = Continuation([STARTED, *shown], 8, kept)
    again = await rest(shown, text("m3", "Thinking."), past)
    assert again == [*text("m2", "ne.")[1:], *call("c", "look", "1}")[1:], *text("m3", "Thinking.")]
    assert past.unanswered() == call("c", "look", '{"a":')


async def test_results_belong_to_the_calls_that_were_shown_and_come_once() -> None:
    shown = [*call("c1", "a", "{}"), *call("c2", "a", "{1}"), events.ToolCallResult(tool_call_id="c1", content="1")]
    again = [
        *call("d1", "a", "{}"),
        *call("d2", "a", "{1}"),
        events.ToolCallResult(tool_call_id="d1", content="1"),
        events.ToolCallResult(tool_call_id="d2", content="2"),
    ]
    past = Continuation([STARTED, *shown], 8)
    assert await rest(shown, again, past) == [events.ToolCallResult(tool_call_id="c2", content="2")]
    assert past.aliases == {"d1": "c1", "d2": "c2"}


async def test_a_snapshot_of_the_thread_has_the_ids_that_were_shown() -> None:
    shown = [*text("m1", "Hi", ends=False), *call("c1", "a", "{}")]
    thread = [
        {"id": "m2", "role": "assistant", "content": "Hi.", "toolCalls": [{"id": "c2", "type": "function"}]},
        {"id": "r", "role": "tool", "toolCallId": "c2", "content": ""},
    ]
    again = [*text("m2", "Hi."), *call("c2", "a", "{}"), events.MessagesSnapshot(messages=thread)]
    snapshot = (await rest(shown, again))[-1]
    assert isinstance(snapshot, events.MessagesSnapshot)
    assert [message["id"] for message in snapshot.messages] == ["m1", "r"]
    assert snapshot.messages[0]["toolCalls"] == [{"id": "c1", "type": "function"}]
    assert snapshot.messages[1]["toolCallId"] == "c1"


async def test_a_step_that_was_open_and_a_question_are_sent_once() -> None:
    step, left = events.StepStarted(step_name="node"), events.StepFinished(step_name="node")
    question = events.Custom(name="on_interrupt", value={"question": "?"})
    assert await rest([step, question], [step, question, question, left]) == [question, left]
    assert await rest([step], []) == [left]


async def test_reasoning_goes_on_where_it_broke_off() -> None:
    def thought(id_: str, *deltas: str) -> Events:
        return [
            events.ReasoningStart(message_id=id_),
            events.ReasoningMessageStart(message_id=id_),
            *(events.ReasoningMessageContent(message_id=id_, delta=delta) for delta in deltas),
            events.ReasoningMessageEnd(message_id=id_),
            events.ReasoningEnd(message_id=id_),
        ]

    whole = thought("a", "one ", "two")
    assert await rest(whole[:3], thought("b", "one ", "two")) == whole[3:]
    assert await rest(whole, thought("b", "one two")) == []
    assert await rest(whole[:3], thought("b", "else")) == [*whole[4:], *thought("b", "else")]


@pytest.mark.parametrize("fresh_ids", [True, False])
async def test_two_messages_at_once_are_distinguished(fresh_ids: bool) -> None:
    shown = [*text("a", "left: 1", ends=False), *text("b", "right: 1", ends=False)]
    ids = ("c", "d") if fresh_ids else ("b", "a")
    again = [
        *text(ids[0], "right", ": 1 2", ends=False),
        *text(ids[1], "left", ": 1 2"),
        events.TextMessageEnd(message_id=ids[0]),
    ]
    assert joined([*shown, *await rest(shown, again)]) == [("", "left: 1 2"), ("", "right: 1 2")]


async def test_a_message_that_ends_is_not_taken_for_one_that_was_still_open() -> None:
    shown = [*text("a", ends=False), *text("b")]
    again = [*text("c", ends=False), *text("d"), *text("c", "word")[1:]]
    assert await rest(shown, again) == text("a", "word")[1:]


@given(streams(ended=False), st.integers(0, 200), st.booleans())
async def test_a_run_that_sends_the_same_again_is_shown_as_if_it_had_not_broken_off(
    stream: Events, cut: int, fresh_ids: bool
) -> None:
    spoken = _numbered(stream[1:])
    again = [_fresh(event) for event in spoken] if fresh_ids else spoken
    shown = spoken[:cut]
    whole = [*shown, *await rest(shown, again)]
    assert sorted(joined(whole)) == sorted(joined(spoken))


def _numbered(stream: Events) -> Events:
    """Give every message and call an id that no other has, as agents do."""
    counts: Counter[str] = Counter()
    numbered: Events = []
    for event in stream:
        id_ = getattr(event, "tool_call_id", getattr(event, "message_id", None))
        if isinstance(event, events.TextMessageStart | events.ToolCallStart | events.ReasoningMessageStart):
            counts[id_ or ""] += 1
        numbered.append(event if id_ is None else renamed(event, f"{id_}-{counts[id_]}"))
    return numbered


def _fresh(event: events.Event) -> events.Event:
    id_ = getattr(event, "tool_call_id", getattr(event, "message_id", None))
    return event if id_ is None else renamed(event, f"again-{id_}")  # type: ignore[no-any-return]
