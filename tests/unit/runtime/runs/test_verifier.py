"""A run's stream keeps AG-UI's rules, in AG-UI's words."""

from __future__ import annotations

from contextlib import suppress
from typing import get_args

import msgspec
import pytest

from copilotkit_runtime import errors, events
from copilotkit_runtime.runtime.runs.verifier import EventVerifier, ForeignEventError

TEXT = events.TextMessageStart(message_id="a")
SAID = events.TextMessageContent(message_id="a", delta="x")
TEXT_END = events.TextMessageEnd(message_id="a")
CALL = events.ToolCallStart(tool_call_id="c", tool_call_name="f")
ARGS = events.ToolCallArgs(tool_call_id="c", delta="{}")
CALL_END = events.ToolCallEnd(tool_call_id="c")
STEP = events.StepStarted(step_name="s")
STEP_END = events.StepFinished(step_name="s")
THOUGHT = events.ReasoningMessageStart(message_id="r")
THINKING = events.ReasoningMessageContent(message_id="r", delta="x")
THOUGHT_END = events.ReasoningMessageEnd(message_id="r")
DONE = events.RunFinished(thread_id="t", run_id="r")
FAILED = events.RunError(message="m")


@pytest.mark.parametrize(
    "stream",
    [
        [TEXT, SAID, TEXT_END, TEXT, TEXT_END],
        [TEXT, CALL, SAID, ARGS, TEXT_END, CALL_END, DONE],
        [STEP, THOUGHT, THINKING, THOUGHT_END, STEP_END, STEP, STEP_END],
        [TEXT, FAILED],
        [events.Raw(event=1), events.Custom(name="x"), events.StateSnapshot(snapshot={})],
    ],
)
def test_a_legal_stream_passes(stream: list[events.Event]) -> None:
    verifier = EventVerifier()
    for event in stream:
        verifier.check(event)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ([SAID], "Cannot send 'TEXT_MESSAGE_CONTENT' event: No active text message found with ID 'a'."),
        ([TEXT_END], "Cannot send 'TEXT_MESSAGE_END' event: No active text message found with ID 'a'."),
        ([TEXT, TEXT], "A text message with ID 'a' is already in progress."),
        ([TEXT, TEXT_END, SAID], "No active text message found with ID 'a'."),
        ([ARGS], "Cannot send 'TOOL_CALL_ARGS' event: No active tool call found with ID 'c'."),
        ([CALL_END], "Cannot send 'TOOL_CALL_END' event: No active tool call found with ID 'c'."),
        ([CALL, CALL], "A tool call with ID 'c' is already in progress."),
        ([THINKING], "No active reasoning message found with ID 'r'."),
        ([THOUGHT, THOUGHT], "A reasoning message with ID 'r' is already in progress."),
        ([STEP, STEP], "Step \"s\" is already active for 'STEP_STARTED'"),
        ([STEP_END], "Cannot send 'STEP_FINISHED' for step \"s\" that was not started"),
        ([DONE, TEXT], "Cannot send event type 'TEXT_MESSAGE_START': The run has already finished"),
        ([FAILED, TEXT], "Cannot send event type 'TEXT_MESSAGE_START': The run has already errored"),
    ],
)
def test_a_broken_rule_is_named(stream: list[events.Event], message: str) -> None:
    verifier = EventVerifier()
    *legal, illegal = stream
    for event in legal:
        verifier.check(event)
    with pytest.raises(errors.ProtocolError) as caught:
        verifier.check(illegal)
    assert message in caught.value.message


def test_what_is_open_can_be_closed() -> None:
    verifier = EventVerifier()
    inner = events.StepStarted(step_name="inner")
    for event in (STEP, inner, TEXT, CALL, THOUGHT):
        verifier.check(event)
    closing = verifier.closing()
    assert closing == [TEXT_END, CALL_END, THOUGHT_END, events.StepFinished(step_name="inner"), STEP_END]
    for ending in closing:
        verifier.check(ending)
    assert verifier.closing() == []


@pytest.mark.parametrize("item", ["hi", None, {"type": "RAW"}, object()])
def test_what_is_not_an_event_of_the_runtimes_is_named_as_such(item: object) -> None:
    with pytest.raises(ForeignEventError) as caught:
        EventVerifier().check(item)
    assert caught.value.item is item


@pytest.mark.parametrize("kind", get_args(events.Event))
def test_every_kind_of_event_is_known(kind: type[events.BaseEvent]) -> None:
    event = kind(**{field.name: "x" for field in msgspec.structs.fields(kind) if field.required})
    with suppress(errors.ProtocolError):
        EventVerifier().check(event)
