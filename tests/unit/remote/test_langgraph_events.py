from __future__ import annotations

from typing import Any

import pytest

from copilotkit_runtime.providers.remote.langgraph_events import LangGraphEvents
from copilotkit_runtime.runtime import events
from copilotkit_runtime.runtime.errors import NetworkError, ProtocolError


def chunk(content: Any = "", *, calls: Any = (), finish: str | None = None, **metadata: Any) -> dict[str, Any]:
    kwargs = {"id": "m", "content": content, "tool_call_chunks": list(calls)}
    if finish is not None:
        kwargs["response_metadata"] = {"finish_reason": finish}
    prefixed = {f"copilotkit:{key.replace('_', '-')}": value for key, value in metadata.items()}
    return {"event": "on_chat_model_stream", "metadata": prefixed, "data": {"chunk": {"kwargs": kwargs}}}


def call(index: int, args: str = "", **opening: str) -> dict[str, Any]:
    return {"index": index, "args": args, "id": None, "name": None, **opening}


def read(*lines: Any) -> list[events.Event]:
    reader = LangGraphEvents()
    return [event for line in lines for event in reader.read(line)]


def test_text_is_one_message_until_the_model_stops() -> None:
    assert read(chunk("a"), chunk([{"type": "text", "text": "b"}]), chunk("", finish="stop")) == [
        events.TextMessageStart(message_id="m"),
        events.TextMessageContent(message_id="m", delta="a"),
        events.TextMessageContent(message_id="m", delta="b"),
        events.TextMessageEnd(message_id="m"),
    ]


def test_interleaved_tool_calls_keep_their_arguments_apart() -> None:
    lines = [
        chunk("so", calls=[call(0, id="c0", name="f")]),
        chunk(calls=[call(1, id="c1", name="g")]),
        chunk(calls=[call(0, "{"), call(1, "[")]),
        chunk(calls=[call(1, "]"), call(0, "}")]),
        chunk(finish="tool_calls"),
    ]
    seen = read(*lines)
    arguments: dict[str, str] = {}
    for event in seen:
        if isinstance(event, events.ToolCallArgs):
            arguments[event.tool_call_id] = arguments.get(event.tool_call_id, "") + event.delta
    assert arguments == {"c0": "{}", "c1": "[]"}
    ended = [event.tool_call_id for event in seen if isinstance(event, events.ToolCallEnd)]
    assert ended == ["c0", "c1"]


@pytest.mark.parametrize(
    ("wanted", "shown"), [(True, ["f", "g"]), (False, []), ("f", ["f"]), (["g"], ["g"]), (None, ["f", "g"])]
)
def test_tool_calls_are_shown_as_the_agent_wants(wanted: Any, shown: list[str]) -> None:
    calls = [call(0, "{}", id="c0", name="f"), call(1, "{}", id="c1", name="g")]
    seen = read(chunk(calls=calls, emit_tool_calls=wanted))
    assert [event.tool_call_name for event in seen if isinstance(event, events.ToolCallStart)] == shown
    assert len([event for event in seen if isinstance(event, events.ToolCallArgs)]) == len(shown)


def test_text_is_hidden_as_the_agent_wants() -> None:
    assert read(chunk("a", emit_messages=False), chunk("", finish="stop", emit_messages=False)) == []


def test_state_reports_become_steps_and_snapshots() -> None:
    def report(node: str, **more: Any) -> dict[str, Any]:
        return {"event": "on_copilotkit_state_sync", "node_name": node, "state": {"k": 1}, **more}

    assert read(report("a"), report("b"), report("__end__", running=False)) == [
        events.StepStarted(step_name="a"),
        events.StateSnapshot(snapshot={"k": 1}),
        events.StepFinished(step_name="a"),
        events.StepStarted(step_name="b"),
        events.StateSnapshot(snapshot={"k": 1}),
        events.StepFinished(step_name="b"),
        events.StepStarted(step_name="__end__"),
        events.StepFinished(step_name="__end__"),
        events.Custom(name=events.EXIT, value=True),
        events.StateSnapshot(snapshot={"k": 1}),
    ]


def test_interrupts_and_manual_emissions_are_shown() -> None:
    message = {"message_id": "x", "message": "hello"}
    called = {"id": "c", "name": "f", "args": {"x": 1}}
    value = {"value": "?", "messages": []}
    assert read(
        {"event": "on_interrupt", "value": "ok?"},
        {"event": "on_copilotkit_interrupt", "data": value},
        {"event": "on_custom_event", "name": "copilotkit_manually_emit_message", "data": message},
        {"event": "on_custom_event", "name": "copilotkit_manually_emit_tool_call", "data": called},
        {"event": "on_custom_event", "name": "other", "data": called},
        {"event": "on_chain_end"},
    ) == [
        events.Custom(name=events.INTERRUPT, value="ok?"),
        events.Custom(name=events.COPILOTKIT_INTERRUPT, value=value),
        events.TextMessageStart(message_id="x"),
        events.TextMessageContent(message_id="x", delta="hello"),
        events.TextMessageEnd(message_id="x"),
        events.ToolCallStart(tool_call_id="c", tool_call_name="f", parent_message_id="c"),
        events.ToolCallArgs(tool_call_id="c", delta='{"x":1}'),
        events.ToolCallEnd(tool_call_id="c"),
    ]


def test_a_reported_error_is_raised_with_its_text() -> None:
    error = {"type": "AuthError", "message": "no key", "status_code": 401}
    with pytest.raises(NetworkError, match="AuthError: no key") as caught:
        read({"event": "on_copilotkit_error", "data": {"error": error}})
    assert (caught.value.status_code, caught.value.original_type) == (401, "AuthError")


@pytest.mark.parametrize(
    "line",
    [
        None,
        [],
        {},
        {"event": 5},
        {"event": "on_chat_model_stream"},
        {"event": "on_chat_model_stream", "data": {"chunk": 5}},
        {"event": "on_interrupt"},
        {"event": "on_copilotkit_state_sync", "state": "{"},
        {"event": "on_copilotkit_state_sync", "state": []},
    ],
)
def test_garbage_is_a_typed_error(line: Any) -> None:
    with pytest.raises(ProtocolError):
        read(line)
