"""A model's answer while it is being written, as events that keep the stream's rules."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import Any

from ..runtime.call_ids import CallIds
from ..runtime.events import (
    Event,
    ReasoningMessageContent,
    TextMessageContent,
    TextMessageEnd,
    TextMessageStart,
)
from ..runtime.messages import new_id
from .call_assembler import CallAssembler
from .event_groups import begin_reasoning, end_reasoning
from .text_pieces import TextPieces


class MessageAssembler:
    """Turns what a vendor sends piece by piece into events, and opens and closes ids as the stream's rules require.

    Args:
        message_id: The vendor's id of the answer. Without one, or if the thread has it already, one is made up.
        ids: The ids that are in use on the thread.
        tools: The names of the tools that can be called, if they are known.
    """

    def __init__(
        self, message_id: str | None = None, *, ids: CallIds | None = None, tools: Collection[str] = ()
    ) -> None:
        self._ids = ids or CallIds()
        self.message_id = ""
        self.name(message_id)
        self.empty = True
        self._text: str | None = None
        self._texts = 0
        self._text_pieces = TextPieces()
        self._reasoning: str | None = None
        self._reasonings = 0
        self._reasoning_pieces = TextPieces()
        self._calls = CallAssembler(self._ids, self._before_call, self._id, tools)

    def name(self, message_id: str | None) -> None:
        """Take the vendor's id of the answer, unless it has one already."""
        if not self.message_id and message_id and message_id not in self._ids:
            self.message_id = message_id

    def text(self, delta: str) -> Iterable[Event]:
        """Go on with the text of the answer."""
        if not delta.isascii() or self._text_pieces.half:
            delta = self._text_pieces.feed(delta)
        if not delta:
            return ()
        if self._text is not None:
            return (TextMessageContent(message_id=self._text, delta=delta),)
        return self._open_text(delta)

    def reasoning(self, delta: str) -> Iterable[Event]:
        """Go on with the model's reasoning."""
        delta = self._reasoning_pieces.feed(delta)
        if not delta:
            return ()
        if self._reasoning is not None:
            return (ReasoningMessageContent(message_id=self._reasoning, delta=delta),)
        return self._open_reasoning(delta)

    def call(
        self, key: Hashable, name: str, call_id: str | None = None, details: Mapping[str, Any] | None = None
    ) -> Iterable[Event]:
        """Begin a tool call whose name is whole.

        Args:
            key: What later pieces of this call are known by, such as its index.
            name: The tool.
            call_id: The vendor's id of the call. When it gives none, one is made up.
            details: What else the vendor sends with the call.
        """
        return self._calls.start(key, name, call_id, details)

    def call_piece(
        self,
        index: Hashable | None,
        call_id: str | None,
        name: str | None,
        arguments: str | None,
        details: Mapping[str, Any] | None = None,
    ) -> Iterable[Event]:
        """Begin a call or go on with one, as OpenAI and those after it stream calls (``CallAssembler.piece``)."""
        return self._calls.piece(index, call_id, name, arguments, details)

    def arguments(self, key: Hashable, delta: str) -> Iterable[Event]:
        """Go on with the arguments of an open call. A call that was never begun is passed over."""
        return self._calls.arguments(key, delta) if delta else ()

    def end_call(self, key: Hashable) -> Iterable[Event]:
        """Complete the arguments of a call."""
        return self._calls.end(key)

    def end_text(self) -> Iterable[Event]:
        """Complete the text that is open."""
        rest = [*self.text(self._text_pieces.end())]
        message_id, self._text = self._text, None
        return [*rest, TextMessageEnd(message_id=message_id)] if message_id is not None else rest

    def end(self) -> Iterable[Event]:
        """Complete the answer."""
        return [*self._end_reasoning(), *self.end_text(), *self._calls.end_all()]

    def call_details(self) -> dict[str, dict[str, Any]]:
        """Return the ids towards clients of the calls so far, with what the vendor sent beside each."""
        return self._calls.details()

    def _id(self) -> str:
        if not self.message_id:
            self.message_id = new_id()
        return self.message_id

    def _before_call(self) -> list[Event]:
        events = [*self.end_text(), *self._end_reasoning()]
        self.empty = False
        return events

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
            *begin_reasoning(self._reasoning),
            ReasoningMessageContent(message_id=self._reasoning, delta=delta),
        ]

    def _end_reasoning(self) -> Iterable[Event]:
        rest = [*self.reasoning(self._reasoning_pieces.end())]
        message_id, self._reasoning = self._reasoning, None
        return rest if message_id is None else [*rest, *end_reasoning(message_id)]
