"""Events that belong together: a whole text or tool call, and both ends of a reasoning."""

from __future__ import annotations

from ..runtime.events import (
    Event,
    ReasoningEnd,
    ReasoningMessageEnd,
    ReasoningMessageStart,
    ReasoningStart,
    TextMessageContent,
    TextMessageEnd,
    TextMessageStart,
    ToolCallArgs,
    ToolCallEnd,
    ToolCallStart,
)


def text_message(message_id: str, text: str) -> list[Event]:
    """Return the events of a whole text message."""
    return [
        TextMessageStart(message_id=message_id),
        TextMessageContent(message_id=message_id, delta=text),
        TextMessageEnd(message_id=message_id),
    ]


def tool_call(call_id: str, name: str, arguments: str, parent_message_id: str | None = None) -> list[Event]:
    """Return the events of a whole tool call."""
    return [
        ToolCallStart(tool_call_id=call_id, tool_call_name=name, parent_message_id=parent_message_id),
        ToolCallArgs(tool_call_id=call_id, delta=arguments),
        ToolCallEnd(tool_call_id=call_id),
    ]


def begin_reasoning(message_id: str) -> list[Event]:
    """Return the events that open a reasoning and its one text."""
    return [ReasoningStart(message_id=message_id), ReasoningMessageStart(message_id=message_id)]


def end_reasoning(message_id: str) -> list[Event]:
    """Return the events that close a reasoning and its one text."""
    return [ReasoningMessageEnd(message_id=message_id), ReasoningEnd(message_id=message_id)]
