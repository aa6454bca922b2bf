"""Reasoning for clients of all ages: as it is, under its older name, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeAlias

from ...runtime.events import ReasoningMessageContent

Reasoning: TypeAlias = Literal["on", "thinking", "off"]
Kind: TypeAlias = str
Emit: TypeAlias = Callable[[Any], None]


class ReasoningWriter(Protocol):
    """Writes reasoning; ``kind`` is ``reasoning`` for the whole and ``thought`` for one text of it."""

    def open(self, kind: Kind, id_: str) -> None:
        """Write that something begins."""

    def content(self, event: ReasoningMessageContent) -> None:
        """Write what is thought."""

    def close(self, kind: Kind, id_: str) -> None:
        """Write that something ends."""


def reasoning_writer(setting: Reasoning, emit: Emit) -> ReasoningWriter:
    """Return the writer of reasoning for ``setting``."""
    match setting:
        case "on":
            return _AsReasoning(emit)
        case "thinking":
            return _AsThinking(emit)
        case "off":
            return _Silent()


class _AsReasoning:
    __slots__ = ("_emit",)

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def open(self, kind: Kind, id_: str) -> None:
        if kind == "reasoning":
            self._emit({"type": "REASONING_START", "messageId": id_})
        else:
            self._emit({"type": "REASONING_MESSAGE_START", "messageId": id_, "role": "reasoning"})

    def content(self, event: ReasoningMessageContent) -> None:
        self._emit(event)

    def close(self, kind: Kind, id_: str) -> None:
        name = "REASONING_END" if kind == "reasoning" else "REASONING_MESSAGE_END"
        self._emit({"type": name, "messageId": id_})


class _AsThinking:
    """Writes the older events, which have no ids: one text at a time, within one thinking."""

    __slots__ = ("_emit", "_thinking", "_thought")

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._thinking: set[str] = set()
        self._thought: str | None = None

    def open(self, kind: Kind, id_: str) -> None:
        if not self._thinking:
            self._emit({"type": "THINKING_START"})
        self._thinking.add(f"{kind} {id_}")
        if kind == "thought":
            self._end_thought()
            self._begin_thought(id_)

    def content(self, event: ReasoningMessageContent) -> None:
        if self._thought != event.message_id:
            self._end_thought()
            self._begin_thought(event.message_id)
        self._emit({"type": "THINKING_TEXT_MESSAGE_CONTENT", "delta": event.delta})

    def close(self, kind: Kind, id_: str) -> None:
        if kind == "thought" and self._thought == id_:
            self._end_thought()
        self._thinking.discard(f"{kind} {id_}")
        if not self._thinking:
            self._end_thought()
            self._emit({"type": "THINKING_END"})

    def _begin_thought(self, id_: str) -> None:
        self._thought = id_
        self._emit({"type": "THINKING_TEXT_MESSAGE_START"})

    def _end_thought(self) -> None:
        if self._thought is not None:
            self._thought = None
            self._emit({"type": "THINKING_TEXT_MESSAGE_END"})


class _Silent:
    def open(self, kind: Kind, id_: str) -> None:
        """Write nothing."""

    def content(self, event: ReasoningMessageContent) -> None:
        """Write nothing."""

    def close(self, kind: Kind, id_: str) -> None:
        """Write nothing."""
