"""The messages inside an agent's state, in the contract's JSON.

``loadAgentState.messages`` and the ``messages`` key of a run's last agent state carry this older shape, which the
published client reads by the keys that are present (docs/contract.md, sections 4.5, 6.1, appendix B).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...runtime.messages import ImageMessage, Message, TextMessage, ToolCallMessage, ToolResultMessage

_SHOWN_ROLES = frozenset({"user", "assistant", "system"})


def state_messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """List the messages that the client can show, in order, each result right behind its call."""
    return [shape for message in _results_behind_calls(messages) for shape in _shapes(message)]


def _results_behind_calls(messages: Iterable[Message]) -> Iterable[Message]:
    thread = list(messages)
    results = {m.tool_call_id: m for m in thread if isinstance(m, ToolResultMessage)}
    for message in thread:
        if isinstance(message, ToolResultMessage):
            continue
        yield message
        if isinstance(message, ToolCallMessage) and message.id in results:
            yield results[message.id]


def _shapes(message: Message) -> Iterable[dict[str, Any]]:
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
