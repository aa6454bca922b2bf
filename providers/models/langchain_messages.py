"""A run's conversation and tools, as LangChain takes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, assert_never

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from ...runtime.context import Tool
from .conversation import Exchange, Picture, Said, Turn
from .system_text import parted


def langchain_messages(turns: Sequence[Turn]) -> list[BaseMessage]:
    """``turns`` in the form that every vendor behind LangChain accepts: one system message, at the start."""
    told, rest = parted(turns)
    system = [SystemMessage(told)] if told else []
    return [*system, *(message for turn in rest for message in _messages_of(turn))]


def langchain_tools(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """``tools`` as the dictionaries that ``bind_tools`` takes."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in tools
    ]


def _messages_of(turn: Turn) -> Iterable[BaseMessage]:
    match turn:
        case Said():
            return [AIMessage(turn.text) if turn.role == "assistant" else HumanMessage(turn.text)]
        case Picture():
            url = f"data:image/{turn.format};base64,{turn.data}"
            return [HumanMessage([{"type": "image_url", "image_url": {"url": url}}])]
        case Exchange():
            return _exchange(turn)
        case _:
            assert_never(turn)


def _exchange(turn: Exchange) -> list[BaseMessage]:
    calls: list[Any] = [{"name": call.name, "args": call.arguments, "id": turn.id_of(call)} for call in turn.calls]
    results = [
        ToolMessage(result, tool_call_id=turn.id_of(call), name=call.name)
        for call, result in zip(turn.calls, turn.results, strict=True)
    ]
    return [AIMessage(turn.text, tool_calls=calls), *results]
