from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import structlog
from ag_ui import core
from ag_ui.encoder import EventEncoder

from copilotkit_runtime.providers.agui.decoding import EventDecoder, decode_stream
from copilotkit_runtime.runtime import events
from copilotkit_runtime.runtime.errors import CopilotKitError, ErrorCode, ProtocolError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MODELS = [
    core.RunStartedEvent(thread_id="t", run_id="r"),
    core.StepStartedEvent(step_name="s"),
    core.TextMessageStartEvent(message_id="m", role="assistant"),
    core.TextMessageContentEvent(message_id="m", delta="hé"),
    core.TextMessageEndEvent(message_id="m"),
    core.ToolCallStartEvent(tool_call_id="c", tool_call_name="f", parent_message_id="m"),
    core.ToolCallArgsEvent(tool_call_id="c", delta="{}"),
    core.ToolCallEndEvent(tool_call_id="c"),
    core.ToolCallResultEvent(message_id="x", tool_call_id="c", content="done"),
    core.StateSnapshotEvent(snapshot={"a": None}),
    core.StateDeltaEvent.model_validate({"delta": [{"op": "replace", "path": "/a", "value": 1}]}),
    core.MessagesSnapshotEvent(messages=[core.UserMessage(id="u", content="hi")]),
    core.CustomEvent(name="n", value={"k": 1}),
    core.ActivitySnapshotEvent(message_id="p", activity_type="plan", content={"steps": []}),
    core.ActivityDeltaEvent.model_validate(
        {"messageId": "p", "activityType": "plan", "patch": [{"op": "add", "path": "/steps/0", "value": "tea"}]}
    ),
    core.ReasoningEncryptedValueEvent(subtype="message", entity_id="m", encrypted_value="x"),
    core.StepFinishedEvent(step_name="s"),
    core.RunFinishedEvent(thread_id="t", run_id="r", result=5),
]
EXPECTED = [
    events.RunStarted(thread_id="t", run_id="r"),
    events.StepStarted(step_name="s"),
    events.TextMessageStart(message_id="m"),
    events.TextMessageContent(message_id="m", delta="hé"),
    events.TextMessageEnd(message_id="m"),
    events.ToolCallStart(tool_call_id="c", tool_call_name="f", parent_message_id="m"),
    events.ToolCallArgs(tool_call_id="c", delta="{}"),
    events.ToolCallEnd(tool_call_id="c"),
    events.ToolCallResult(tool_call_id="c", content="done", message_id="x"),
    events.StateSnapshot(snapshot={"a": None}),
    events.StateDelta(delta=[{"op": "replace", "path": "/a", "value": 1}]),
    events.MessagesSnapshot(messages=[{"id": "u", "role": "user", "content": "hi"}]),
    events.Custom(name="n", value={"k": 1}),
    events.ActivitySnapshot(message_id="p", activity_type="plan", content={"steps": []}),
    events.ActivityDelta(
        message_id="p", activity_type="plan", patch=[{"op": "add", "path": "/steps/0", "value": "tea"}]
    ),
    events.ReasoningEncryptedValue(subtype="message", entity_id="m", encrypted_value="x"),
    events.StepFinished(step_name="s"),
    events.RunFinished(thread_id="t", run_id="r", result=5),
]


def decode(items: list[Any]) -> list[events.Event]:
    decoder = EventDecoder()
    return [event for item in items for event in decoder.decode(item)] + decoder.close()


ENCODED = [EventEncoder().encode(model) for model in MODELS]
FORMS: dict[str, list[Any]] = {
    "models": list(MODELS),
    "camel case dicts": [model.model_dump(by_alias=True, mode="json") for model in MODELS],
    "snake case dicts with enums": [model.model_dump() for model in MODELS],
    "json text": [model.model_dump_json(by_alias=True) for model in MODELS],
    "json bytes": [model.model_dump_json(by_alias=True).encode() for model in MODELS],
    "sse text": list(ENCODED),
    "sse bytes": [text.encode() for text in ENCODED],
    "one piece of sse": ["".join(ENCODED)],
    "single bytes of sse": [bytes([byte]) for byte in "".join(ENCODED).encode()],
    "our own events": list(EXPECTED),
}


@pytest.mark.parametrize("form", FORMS)
def test_an_event_means_the_same_in_every_form(form: str) -> None:
    assert decode(FORMS[form]) == EXPECTED


def test_messages_of_a_snapshot_bear_no_null_values_but_an_activitys_content_is_its_own() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    activity = {"id": "p", "role": "activity", "activityType": "plan", "content": {"next": None}}
    written = [
        {
            "id": "u",
            "role": "user",
            "name": None,
            "content": [{"type": "binary", "mimeType": "a/b", "url": None}, None],
        },
        {"id": "a", "role": "assistant", "content": None, "toolCalls": [{**call, "encryptedValue": None}]},
        activity,
    ]
    clean = [
        {"id": "u", "role": "user", "content": [{"type": "binary", "mimeType": "a/b"}, None]},
        {"id": "a", "role": "assistant", "toolCalls": [call]},
        activity,
    ]
    snapshot = {"type": "MESSAGES_SNAPSHOT", "messages": written}
    for form in (snapshot, json.dumps(snapshot), f"data: {json.dumps(snapshot)}\n\n"):
        assert decode([form]) == [events.MessagesSnapshot(messages=clean)]


def test_what_we_encode_we_decode() -> None:
    assert decode([msgspec.json.encode(event) for event in EXPECTED]) == EXPECTED


def test_text_chunks_become_one_message_a_message_id() -> None:
    chunks = [
        {"type": "TEXT_MESSAGE_CHUNK", "messageId": "a", "delta": "1"},
        {"type": "TEXT_MESSAGE_CHUNK", "delta": "2"},
        {"type": "RAW", "event": {}},
        {"type": "TEXT_MESSAGE_CHUNK", "messageId": "b", "role": "developer", "delta": ""},
    ]
    assert decode(chunks) == [
        events.TextMessageStart(message_id="a"),
        events.TextMessageContent(message_id="a", delta="1"),
        events.TextMessageContent(message_id="a", delta="2"),
        events.Raw(event={}),
        events.TextMessageEnd(message_id="a"),
        events.TextMessageStart(message_id="b", role="developer"),
        events.TextMessageEnd(message_id="b"),
    ]


def test_tool_call_chunks_are_closed_by_whatever_comes_next() -> None:
    chunks = [
        {
            "type": "TOOL_CALL_CHUNK",
            "toolCallId": "c",
            "toolCallName": "f",
            "parentMessageId": "p",
            "delta": "{",
        },
        {"type": "TOOL_CALL_CHUNK", "toolCallId": "c", "delta": "}"},
        {"type": "TEXT_MESSAGE_CHUNK", "messageId": "a", "delta": "1"},
        {"type": "STEP_STARTED", "stepName": "s"},
    ]
    assert decode(chunks) == [
        events.ToolCallStart(tool_call_id="c", tool_call_name="f", parent_message_id="p"),
        events.ToolCallArgs(tool_call_id="c", delta="{"),
        events.ToolCallArgs(tool_call_id="c", delta="}"),
        events.ToolCallEnd(tool_call_id="c"),
        events.TextMessageStart(message_id="a"),
        events.TextMessageContent(message_id="a", delta="1"),
        events.TextMessageEnd(message_id="a"),
        events.StepStarted(step_name="s"),
    ]


def test_reasoning_chunks_are_expanded() -> None:
    chunk = core.ReasoningMessageChunkEvent(message_id="m", delta="hm")
    assert decode([chunk]) == [
        events.ReasoningMessageStart(message_id="m"),
        events.ReasoningMessageContent(message_id="m", delta="hm"),
        events.ReasoningMessageEnd(message_id="m"),
    ]


@pytest.mark.parametrize(
    ("chunk", "missing"),
    [
        ({"type": "TEXT_MESSAGE_CHUNK", "delta": "1"}, "messageId"),
        ({"type": "TOOL_CALL_CHUNK", "toolCallName": "f"}, "toolCallId"),
        ({"type": "TOOL_CALL_CHUNK", "toolCallId": "c"}, "toolCallName"),
        ({"type": "REASONING_MESSAGE_CHUNK", "delta": "1"}, "messageId"),
    ],
)
def test_a_first_chunk_must_name_what_it_opens(chunk: dict[str, Any], missing: str) -> None:
    with pytest.raises(ProtocolError, match=f"must have a {missing}"):
        decode([chunk])


def test_thinking_is_reasoning_under_its_older_name() -> None:
    kinds = ["START", "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END", "END"]
    decoded: list[Any] = decode([{"type": f"THINKING_{kind}", "delta": "hm", "title": "t"} for kind in kinds])
    assert [type(event) for event in decoded] == [
        events.ReasoningStart,
        events.ReasoningMessageStart,
        events.ReasoningMessageContent,
        events.ReasoningMessageEnd,
        events.ReasoningEnd,
    ]
    assert decoded[0].message_id == decoded[4].message_id != decoded[1].message_id
    assert decoded[1].message_id == decoded[2].message_id == decoded[3].message_id


def test_a_result_in_parts_becomes_text() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    picture = [{"type": "image", "source": {"type": "url", "value": "u"}}]
    base = {"type": "TOOL_CALL_RESULT", "messageId": "m", "toolCallId": "c"}
    first, second = decode([{**base, "content": parts}, {**base, "content": picture}])
    assert isinstance(first, events.ToolCallResult)
    assert first.content == "ab"
    assert isinstance(second, events.ToolCallResult)
    assert json.loads(second.content) == picture


def test_an_interrupt_outcome_is_sent_before_the_run_ends() -> None:
    interrupt = {"id": "i", "reason": "input", "message": "Go on?"}
    outcome = {"type": "interrupt", "interrupts": [interrupt]}
    finished = {"type": "RUN_FINISHED", "threadId": "t", "runId": "r", "outcome": outcome}
    asked = events.Custom(name=events.INTERRUPT, value=interrupt)
    end = events.RunFinished(thread_id="t", run_id="r")
    assert decode([finished]) == [asked, end]
    assert decode([asked, finished]) == [asked, end]


def test_events_of_a_later_protocol_are_passed_through_raw() -> None:
    event = {"type": "DREAM_STARTED", "messageId": "m"}
    assert decode([json.dumps(event)]) == [events.Raw(event=event, source="ag-ui")]


def test_unknown_events_and_keys_are_passed_over_with_a_log_line() -> None:
    with structlog.testing.capture_logs() as logs:
        decoded = decode(
            [
                {"type": "SUBAGENT_STARTED", "subagentRunId": "s", "name": "scout"},
                {"type": "TEXT_MESSAGE_CHUNK", "messageId": "m", "delta": "hi", "subagentRunId": "s", "mood": "good"},
                {"type": "SUBAGENT_ERROR", "subagentRunId": "s", "message": "lost"},
            ]
        )
    assert [event for event in decoded if not isinstance(event, events.Raw)] == [
        events.TextMessageStart(message_id="m"),
        events.TextMessageContent(message_id="m", delta="hi"),
        events.TextMessageEnd(message_id="m"),
    ]
    assert [(log["event"], log["type"]) for log in logs] == [
        ("agui_event_unknown", "SUBAGENT_STARTED"),
        ("agui_event_unknown", "SUBAGENT_ERROR"),
    ]


@pytest.mark.parametrize(
    "event",
    [
        core.StateSnapshotEvent.model_validate({"snapshot": {"theirs": 1}, "subagentRunId": "s"}),
        core.StateDeltaEvent.model_validate(
            {"delta": [{"op": "add", "path": "/theirs", "value": 1}], "subagentRunId": "s"}
        ),
        core.StepStartedEvent.model_validate({"stepName": "chat", "subagentRunId": "s"}),
        core.StepFinishedEvent.model_validate({"stepName": "chat", "subagentRunId": "s"}),
    ],
    ids=lambda event: event.type.value,
)
def test_a_subagents_state_and_steps_are_not_the_runs(event: Any) -> None:
    for form in (event, EventEncoder().encode(event)):
        assert {type(decoded) for decoded in decode([form])} == {events.Raw}


def test_chunks_of_subagents_that_work_side_by_side_stay_apart() -> None:
    def chunk(message_id: str | None, delta: str, subagent: str | None) -> dict[str, Any]:
        return {"type": "TEXT_MESSAGE_CHUNK", "messageId": message_id, "delta": delta, "subagentRunId": subagent}

    decoded = decode([chunk("a", "1", "s1"), chunk("b", "2", "s2"), chunk("a", "3", "s1"), chunk(None, "4", "s2")])
    assert [event.message_id for event in decoded if isinstance(event, events.TextMessageStart)] == ["a", "b"]
    texts = [(event.message_id, event.delta) for event in decoded if isinstance(event, events.TextMessageContent)]
    assert texts == [("a", "1"), ("b", "2"), ("a", "3"), ("b", "4")]


@pytest.mark.parametrize(
    ("written", "delta"),
    [
        (r'{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"\ud83d"}', "\ud83d"),
        ('{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"a\x01"}', "a\x01"),
        (b'{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"\xff"}', "\ufffd"),
    ],
)
def test_json_that_is_a_little_off_is_read(written: str | bytes, delta: str) -> None:
    assert EventDecoder().decode(written) == [events.TextMessageContent(message_id="m", delta=delta)]


@pytest.mark.parametrize(
    "garbage",
    [
        "data: not json\n\n",
        "data: [1]\n\n",
        'data: {"type": 5}\n\n',
        'data: {"type":"TEXT_MESSAGE_CONTENT","messageId":1,"delta":{}}\n\n',
        '{"type":"TEXT_MESSAGE_START"}',
        "{broken",
        b"data: \xff\xfe\n\n",
        {},
        None,
        17,
        object(),
    ],
)
def test_garbage_is_a_typed_error(garbage: Any) -> None:
    with pytest.raises(ProtocolError):
        decode([garbage])


async def stream_of(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item


async def test_a_reported_failure_is_raised_with_the_agents_text() -> None:
    failure = {"type": "RUN_ERROR", "message": "No tea left", "code": "TEAPOT"}
    with pytest.raises(CopilotKitError, match="No tea left") as caught:
        [event async for event in decode_stream(stream_of(failure))]
    assert caught.value.code is ErrorCode.UNKNOWN
    assert caught.value.original_type == "TEAPOT"


async def test_a_reported_failure_keeps_a_code_of_the_contract() -> None:
    failure = events.RunError(message="Who?", code="AUTHENTICATION_ERROR")
    with pytest.raises(CopilotKitError) as caught:
        [event async for event in decode_stream(stream_of(failure))]
    assert caught.value.code is ErrorCode.AUTHENTICATION_ERROR
