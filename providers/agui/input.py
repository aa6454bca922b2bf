"""A run's input as AG-UI's ``RunAgentInput`` (docs/contract.md, sections 4.4 and 6.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ...runtime.messages import ImageMessage, Message, TextMessage, ToolCallMessage, ToolResultMessage

if TYPE_CHECKING:
    from ...runtime.context import Resume, RunContext, RunInput


def run_agent_input(run: RunInput, context: RunContext) -> dict[str, Any]:
    """The JSON object that starts a run of an AG-UI agent."""
    payload = {
        "threadId": run.thread_id,
        "runId": run.run_id,
        "tools": msgspec.to_builtins(run.tools),
        "context": msgspec.to_builtins(run.context),
        "forwardedProps": _forwarded_props(run, context),
        "state": run.state,
        "messages": agui_messages(run.messages),
    }
    resume = [entry for answer in run.resume if (entry := _resume_entry(answer)) is not None]
    return {**payload, "resume": resume} if resume else payload


def agui_messages(messages: list[Message]) -> list[dict[str, Any]]:
    """The messages as AG-UI has them: tool calls are in an assistant's message, agent states left out."""
    result: list[dict[str, Any]] = []
    by_id: dict[str, dict[str, Any]] = {}
    for message in messages:
        converted = _standalone(message)
        if isinstance(message, ToolCallMessage):
            converted = _attach_call(message, by_id)
        if converted is not None:
            result.append(converted)
            by_id[converted["id"]] = converted
    return result


def _standalone(message: Message) -> dict[str, Any] | None:
    match message:
        case TextMessage():
            return {"id": message.id, "role": message.role, "content": message.content}
        case ImageMessage():
            return {"id": message.id, "role": "user", "content": [_image(message)]}
        case ToolResultMessage():
            return {
                "id": message.id,
                "role": "tool",
                "content": message.result,
                "toolCallId": message.tool_call_id,
            }
        case _:
            return None


def _image(message: ImageMessage) -> dict[str, Any]:
    source = {"type": "data", "value": message.bytes, "mimeType": f"image/{message.format}"}
    return {"type": "image", "source": source}


def _attach_call(message: ToolCallMessage, by_id: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Adds the call to the message it belongs to; returns a message made for it if there is none."""
    arguments = msgspec.json.encode(message.arguments).decode()
    call = {"id": message.id, "type": "function", "function": {"name": message.name, "arguments": arguments}}
    parent = by_id.get(message.parent_message_id or "")
    if parent is None or parent["role"] != "assistant":
        return {"id": message.parent_message_id or message.id, "role": "assistant", "toolCalls": [call]}
    parent.setdefault("toolCalls", []).append(call)
    return None


def _forwarded_props(run: RunInput, context: RunContext) -> dict[str, Any]:
    config = dict(run.config)
    props: dict[str, Any] = {"threadMetadata": context.properties.get("threadMetadata") or {}}
    if "streamSubgraphs" in config:
        props["streamSubgraphs"] = config.pop("streamSubgraphs")
    if run.node_name is not None:
        props["nodeName"] = run.node_name
    if run.resume:
        props["command"] = {"resume": run.resume[0].response}
    return {"config": config, **props, **context.properties}


def _resume_entry(answer: Resume) -> dict[str, Any] | None:
    """The answer as AG-UI 1.0 wants it, if what was asked was an interrupt of AG-UI 1.0."""
    try:
        asked = msgspec.json.decode(answer.value)
    except msgspec.DecodeError:
        return None
    if not isinstance(asked, dict) or not isinstance(asked.get("id"), str) or "reason" not in asked:
        return None
    return {"interruptId": asked["id"], "status": "resolved", "payload": answer.response}
