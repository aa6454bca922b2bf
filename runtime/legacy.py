"""The JSON shapes in which the contract shows a thread's messages inside an agent's state.

``loadAgentState.messages`` and the ``messages`` key of a run's last agent state carry this "legacy" shape, which the
published client reads by the keys that are present (reference, sections 4.5, 6.1 and appendix B).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .messages import (
    ImageMessage,
    Message,
    Role,
    TextMessage,
    ToolCallMessage,
    ToolResultMessage,
    parse_arguments,
)

_SHOWN_ROLES = frozenset({"user", "assistant", "system"})


def legacy_messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """The messages that the client can show, in order, each result right behind its call."""
    return [shape for message in _results_behind_calls(messages) for shape in _legacy(message)]


def _results_behind_calls(messages: Iterable[Message]) -> Iterable[Message]:
    thread = list(messages)
    results = {m.tool_call_id: m for m in thread if isinstance(m, ToolResultMessage)}
    for message in thread:
        if isinstance(message, ToolResultMessage):
            continue
        yield message
        if isinstance(message, ToolCallMessage) and message.id in results:
            yield results[message.id]


def _legacy(message: Message) -> Iterable[dict[str, Any]]:
    match message:
        case TextMessage(role=role, content=content) if role in _SHOWN_ROLES and content:
            yield {"id": message.id, "role": role, "content": content}
        case ImageMessage():
            yield {"id": message.id, "role": message.role, "format": message.format, "bytes": message.bytes}
        case ToolCallMessage():
            yield {
                "id": message.id,
                "name": message.name,
                "arguments": message.arguments,
                "parentMessageId": message.parent_message_id,
            }
        case ToolResultMessage():
            yield {
                "id": message.id,
                "result": message.result,
                "actionExecutionId": message.tool_call_id,
                "actionName": message.tool_name,
            }


def messages_from_agui(snapshot: Iterable[dict[str, Any]]) -> list[Message]:
    """AG-UI message objects as a thread's messages; what has no place in a thread is left out."""
    names: dict[str, str] = {}
    return [message for item in snapshot for message in _from_agui(item, names)]


def _from_agui(item: dict[str, Any], names: dict[str, str]) -> Iterable[Message]:
    id_, role = str(item.get("id", "")), item.get("role")
    if role == "tool":
        call_id = str(item.get("toolCallId", ""))
        yield ToolResultMessage(
            id=id_,
            tool_call_id=call_id,
            tool_name=names.get(call_id, "unknown"),
            result=_text(item.get("content")),
        )
        return
    if role in ("user", "assistant", "system", "developer") and item.get("content"):
        yield from _contents(id_, role, item["content"])
    for call in item.get("toolCalls") or ():
        names[call["id"]] = call["function"]["name"]
        yield ToolCallMessage(
            id=call["id"],
            name=call["function"]["name"],
            arguments=parse_arguments(call["function"].get("arguments")),
            parent_message_id=id_,
        )


def _contents(id_: str, role: Role, content: Any) -> Iterable[Message]:
    if isinstance(content, str):
        yield TextMessage(id=id_, role=role, content=content)
        return
    for index, part in enumerate(part for part in content if isinstance(part, dict)):
        part_id = id_ if index == 0 else f"{id_}-{index}"
        if part.get("type") == "binary" and str(part.get("mimeType", "")).startswith("image/") and part.get("data"):
            format_ = part["mimeType"].removeprefix("image/")
            yield ImageMessage(id=part_id, role=role, format=format_, bytes=part["data"])
        elif part.get("text"):
            yield TextMessage(id=part_id, role=role, content=part["text"])


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = [part.get("text", "") for part in content or () if isinstance(part, dict)]
    return "".join(parts)
