"""Prompts as LangChain's messages and tools."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, assert_never

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from ...runtime.context import Tool
from .attachments import langchain_block
from .call_details import CallDetails
from .conversation import Attached, Exchange, Picture, TextTurn, Turn
from .system_text import parted


def langchain_messages(
    turns: Sequence[Turn], details: CallDetails | None = None, origin: str = ""
) -> list[BaseMessage]:
    """Return ``turns`` in the form that every vendor behind LangChain accepts: one system message, at the start.

    Args:
        turns: The conversation.
        details: What has to come back with its calls.
        origin: The vendor, as ``details`` know it.
    """
    instructions, rest = parted(turns)
    system = [SystemMessage(instructions)] if instructions else []
    exchange = partial(_exchange, details=details or CallDetails(), origin=origin)
    return [*system, *(message for turn in rest for message in _messages_of(turn, exchange))]


def langchain_tools(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """Return ``tools`` as the dictionaries that ``bind_tools`` takes."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in tools
    ]


def _messages_of(turn: Turn, exchange: Callable[[Exchange], list[BaseMessage]]) -> Iterable[BaseMessage]:
    match turn:
        case TextTurn():
            return [AIMessage(turn.text) if turn.role == "assistant" else HumanMessage(turn.text)]
        case Picture():
            url = f"data:image/{turn.format};base64,{turn.data}"
            return [HumanMessage([{"type": "image_url", "image_url": {"url": url}}])]
        case Attached(message=attached):
            return [HumanMessage([langchain_block(attached)])]
        case Exchange():
            return exchange(turn)
        case _:
            assert_never(turn)


def _exchange(turn: Exchange, details: CallDetails, origin: str) -> list[BaseMessage]:
    calls: list[Any] = [{"name": call.name, "args": call.arguments, "id": turn.id_of(call)} for call in turn.calls]
    results = [
        ToolMessage(result, tool_call_id=turn.id_of(call), name=call.name)
        for call, result in zip(turn.calls, turn.results, strict=True)
    ]
    kept = details.of_message(turn.calls, origin)
    blocks: list[Any] = kept.get("content") or []
    text: list[Any] = [{"type": "text", "text": turn.text}] if turn.text else []
    content = [*blocks, *text] if blocks else turn.text
    aside = kept.get("additional_kwargs") or {}
    return [AIMessage(content, tool_calls=calls, additional_kwargs=aside), *results]
