"""A model's answer while it is being written."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from uuid import uuid4

import msgspec

from ...runtime.events import (
    Event,
    ReasoningEnd,
    ReasoningMessageContent,
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
from ...runtime.messages import new_id


class _Call:
    def __init__(self, call_id: str) -> None:
        self.id = call_id
        self.open = True
        self.written: list[str] = []

    @property
    def complete(self) -> bool:
        try:
            msgspec.json.decode("".join(self.written))
        except msgspec.DecodeError:
            return False
        return True


class MessageAssembler:
    """Turns what a vendor sends piece by piece into events, opening and closing ids as the stream's rules ask.

    Args:
        message_id: The vendor's id of the answer. When it gives none, one is made up.
    """

    def __init__(self, message_id: str | None = None) -> None:
        self.message_id = message_id or ""
        self.empty = True
        self._text: str | None = None
        self._texts = 0
        self._reasoning: str | None = None
        self._reasonings = 0
        self._calls: dict[Hashable, _Call] = {}
        self._given_ids: dict[Hashable, str | None] = {}
        self._last_key: Hashable = None

    def name(self, message_id: str | None) -> None:
        """Takes the vendor's id of the answer, unless it has one already."""
        if not self.message_id and message_id:
            self.message_id = message_id

    def text(self, delta: str) -> Iterable[Event]:
        """The answer says ``delta``."""
        if not delta:
            return ()
        if self._text is not None:
            return (TextMessageContent(message_id=self._text, delta=delta),)
        return self._open_text(delta)

    def reasoning(self, delta: str) -> Iterable[Event]:
        """The model thinks ``delta``."""
        if not delta:
            return ()
        if self._reasoning is not None:
            return (ReasoningMessageContent(message_id=self._reasoning, delta=delta),)
        return self._open_reasoning(delta)

    def call(self, key: Hashable, name: str, call_id: str | None = None) -> Iterable[Event]:
        """The model calls a tool.

        Args:
            key: What later pieces of this call are known by, such as its index.
            name: The tool.
            call_id: The vendor's id of the call. When it gives none, one is made up.
        """
        events = [*self.end_text(), *self._end_reasoning(), *self._end_complete_calls(), *self.end_call(key)]
        call = self._calls[key] = _Call(call_id or f"call_{uuid4().hex}")
        self.empty = False
        start = ToolCallStart(tool_call_id=call.id, tool_call_name=name, parent_message_id=self._id())
        return [*events, start]

    def call_piece(
        self, index: int | str | None, call_id: str | None, name: str | None, arguments: str | None
    ) -> Iterable[Event]:
        """A call begins or goes on, as OpenAI and those after it stream calls.

        Some vendors number their calls, some only name them, and some give the same number to all of them.

        Args:
            index: The call's number, if the vendor counts.
            call_id: The call's id, which may come with the first piece only.
            name: The tool, likewise.
            arguments: More of its arguments.
        """
        key = index if index is not None else call_id or self._last_key
        self._last_key = key
        events: Iterable[Event] = ()
        if self._begins(key, call_id, name):
            self._given_ids[key] = call_id
            events = self.call(key, name or "", call_id)
        return [*events, *self.arguments(key, arguments or "")]

    def arguments(self, key: Hashable, delta: str) -> Iterable[Event]:
        """The arguments of an open call go on with ``delta``. A call that was never opened is passed over."""
        call = self._calls.get(key)
        if call is None or not call.open or not delta:
            return ()
        call.written.append(delta)
        return (ToolCallArgs(tool_call_id=call.id, delta=delta),)

    def end_call(self, key: Hashable) -> Iterable[Event]:
        """The arguments of a call are complete."""
        call = self._calls.get(key)
        if call is None or not call.open:
            return ()
        call.open = False
        end = ToolCallEnd(tool_call_id=call.id)
        return (end,) if call.written else (ToolCallArgs(tool_call_id=call.id, delta="{}"), end)

    def end_text(self) -> Iterable[Event]:
        """What was being said is complete."""
        message_id, self._text = self._text, None
        return (TextMessageEnd(message_id=message_id),) if message_id is not None else ()

    def end(self) -> Iterable[Event]:
        """The answer is complete."""
        calls = [event for key in self._calls for event in self.end_call(key)]
        return [*self._end_reasoning(), *self.end_text(), *calls]

    def _begins(self, key: Hashable, call_id: str | None, name: str | None) -> bool:
        if key not in self._calls:
            return bool(call_id or name)
        return bool(call_id and name and call_id != self._given_ids.get(key))

    def _id(self) -> str:
        if not self.message_id:
            self.message_id = new_id()
        return self.message_id

    def _open_text(self, delta: str) -> list[Event]:
        self.empty = False
        self._texts += 1
        self._text = self._id() if self._texts == 1 else f"{self._id()}-{self._texts}"
        return [
            *self._end_reasoning(),
            TextMessageStart(message_id=self._text),
            TextMessageContent(message_id=self._text, delta=delta),
        ]

    def _open_reasoning(self, delta: str) -> list[Event]:
        self._reasonings += 1
        self._reasoning = f"{self._id()}-reasoning-{self._reasonings}"
        return [
            ReasoningStart(message_id=self._reasoning),
            ReasoningMessageStart(message_id=self._reasoning),
            ReasoningMessageContent(message_id=self._reasoning, delta=delta),
        ]

    def _end_reasoning(self) -> Iterable[Event]:
        message_id, self._reasoning = self._reasoning, None
        if message_id is None:
            return ()
        return (ReasoningMessageEnd(message_id=message_id), ReasoningEnd(message_id=message_id))

    # A vendor may send the pieces of parallel calls in turns, so a call whose arguments are no JSON yet stays open.
    def _end_complete_calls(self) -> Iterable[Event]:
        ready = [key for key, call in self._calls.items() if call.open and call.complete]
        return [event for key in ready for event in self.end_call(key)]
