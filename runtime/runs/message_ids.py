"""Ids of messages and tool calls as every client and store needs them: texts, each used once on a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeAlias
from uuid import uuid4

import msgspec

from .. import events
from ..messages import Message, TextMessage, ToolCallMessage

_Kind: TypeAlias = type[events.Event]


class MessageIds:
    """Gives another id to what an agent begins under none, or under one that was used before.

    Clients and stores take a second message of an id for a new form of the first, which would be lost. What an agent
    begins a second time while it is still open keeps its id: that breaks the rules of the stream.
    """

    __slots__ = ("_last", "_open", "_taken", "_used", "renames")

    def __init__(self) -> None:
        self.renames = False
        """Whether an agent's id was not good enough: from then on, every event must be named."""
        self._taken: set[tuple[_Kind, str]] = set()
        self._open: dict[tuple[_Kind, Any], str] = {}
        self._last: dict[Any, str] = {}
        """The last id that was given instead of an agent's own, where it was another one."""
        self._used: dict[tuple[_Kind, Any], int] = {}
        """How often an id was used that was used before: with each number tried again, many would take their square."""

    def know(self, messages: Iterable[Message]) -> None:
        """Take note of messages that the thread has already."""
        for message in messages:
            if isinstance(message, TextMessage):
                self._taken.add((events.TextMessageEnd, message.id))
            elif isinstance(message, ToolCallMessage):
                self._taken.add((events.ToolCallEnd, message.id))

    def named(self, event: Any) -> Any:
        """Return ``event``, or the same under the id that it is to have."""
        name = self._NAMERS.get(type(event))
        return event if name is None else name(self, event)

    def _begin(self, event: Any) -> Any:
        kind, field = _BEGINNINGS[type(event)]
        id_ = getattr(event, field)
        chosen = self._open.get((kind, id_))
        if chosen is None:
            chosen = self._open[kind, id_] = self._choose(kind, id_)
        if chosen != id_:
            self._last[id_] = chosen
        elif self._last:
            self._last.pop(id_, None)
        changes = {field: chosen}
        if kind is events.ToolCallEnd and event.parent_message_id in self._last:
            changes["parent_message_id"] = self._last[event.parent_message_id]
        return self._changed(event, changes)

    def _go_on(self, event: Any) -> Any:
        kind, field = _PARTS[type(event)]
        id_ = getattr(event, field)
        return self._changed(event, {field: self._open.get((kind, id_), id_)})

    def _end(self, event: Any) -> Any:
        named = self._go_on(event)
        kind, field = _PARTS[type(event)]
        self._open.pop((kind, getattr(event, field)), None)
        return named

    def _answer(self, event: events.ToolCallResult) -> Any:
        message_id = event.message_id
        if message_id is not None:
            message_id = str(message_id) or str(uuid4())
        call_id = self._last.get(event.tool_call_id, event.tool_call_id)
        return self._changed(event, {"tool_call_id": call_id, "message_id": message_id})

    def _choose(self, kind: _Kind, id_: Any) -> str:
        chosen = id_ if isinstance(id_, str) and id_ else str(uuid4())
        count = self._used.get((kind, chosen), 1)
        first = chosen
        while (kind, chosen) in self._taken:
            count += 1
            chosen = f"{first}-{count}"
        if chosen != first:
            self._used[kind, first] = count
        self._taken.add((kind, chosen))
        return chosen

    def _changed(self, event: Any, changes: dict[str, Any]) -> Any:
        for field, value in changes.items():
            if getattr(event, field) != value:
                self.renames = True
                return msgspec.structs.replace(event, **changes)
        return event

    _NAMERS: ClassVar[dict[type, Callable[[Any, Any], Any]]] = {
        events.TextMessageStart: _begin,
        events.ReasoningMessageStart: _begin,
        events.ToolCallStart: _begin,
        events.TextMessageContent: _go_on,
        events.ReasoningMessageContent: _go_on,
        events.ToolCallArgs: _go_on,
        events.TextMessageEnd: _end,
        events.ReasoningMessageEnd: _end,
        events.ToolCallEnd: _end,
        events.ToolCallResult: _answer,
    }


_BEGINNINGS: dict[type, tuple[_Kind, str]] = {
    events.TextMessageStart: (events.TextMessageEnd, "message_id"),
    events.ReasoningMessageStart: (events.ReasoningMessageEnd, "message_id"),
    events.ToolCallStart: (events.ToolCallEnd, "tool_call_id"),
}
_PARTS: dict[type, tuple[_Kind, str]] = {
    events.TextMessageContent: (events.TextMessageEnd, "message_id"),
    events.TextMessageEnd: (events.TextMessageEnd, "message_id"),
    events.ReasoningMessageContent: (events.ReasoningMessageEnd, "message_id"),
    events.ReasoningMessageEnd: (events.ReasoningMessageEnd, "message_id"),
    events.ToolCallArgs: (events.ToolCallEnd, "tool_call_id"),
    events.ToolCallEnd: (events.ToolCallEnd, "tool_call_id"),
}
