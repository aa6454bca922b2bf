"""The turns of a conversation, from which each vendor's request is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from ...runtime.call_ids import prompt_ids
from ...runtime.messages import ImageMessage, MediaMessage, Message, TextMessage, ToolCallMessage
from .call_uses import CallUses

UNANSWERED = "The call was interrupted before it had a result."


class TextTurn(msgspec.Struct, kw_only=True, frozen=True):
    """A text by ``role``."""

    role: Literal["assistant", "developer", "system", "user"]
    text: str
    id: str = ""


class Picture(msgspec.Struct, kw_only=True, frozen=True):
    """A picture shown to the model: ``format`` is the media subtype, ``data`` the base64 text."""

    format: str
    data: str


class Attached(msgspec.Struct, kw_only=True, frozen=True):
    """A recording, a document, or a picture elsewhere, shown to the model."""

    message: MediaMessage


class Exchange(msgspec.Struct, kw_only=True):
    """Tool calls that the model made in one breath, with ``text`` before them and one result each, in order."""

    calls: list[ToolCallMessage]
    results: list[str]
    text: str = ""
    parent: str | None = None
    ids: dict[str, str] = {}
    """The ids to show the vendor, by those of the calls, where they differ (``call_ids.prompt_ids``)."""

    def id_of(self, call: ToolCallMessage) -> str:
        """Return the id under which to show the vendor ``call``."""
        return self.ids.get(call.id, call.id)


Turn: TypeAlias = TextTurn | Picture | Attached | Exchange


def turns(messages: Sequence[Message]) -> list[Turn]:
    """Return the conversation that ``messages`` hold, such that every vendor accepts it.

    Vendors refuse a result without its call, a call without a result, and results away from their calls, all of
    which a client can send. Here each call is followed by exactly one result: the first one given for it, or
    ``UNANSWERED``. Results of no call, agent states, and blank answers are left out. Calls of one answer, which
    share a parent id or stand side by side without one, become one exchange.

    Args:
        messages: A thread, oldest first.
    """
    conversation = _Conversation(messages)
    ids = prompt_ids(call.id for call in conversation.calls)
    for turn in conversation.turns:
        if isinstance(turn, Exchange):
            turn.ids = ids
    return conversation.turns


class _Conversation:
    def __init__(self, messages: Sequence[Message]) -> None:
        self.turns: list[Turn] = []
        self.calls: list[ToolCallMessage] = []
        self._uses = CallUses(messages)
        self._by_parent: dict[str, Exchange] = {}
        for index, message in enumerate(messages):
            self._add(index, message)

    def _add(self, index: int, message: Message) -> None:
        match message:
            case TextMessage():
                self._add_text(message)
            case ImageMessage():
                self.turns.append(Picture(format=message.format, data=message.bytes))
            case MediaMessage():
                self.turns.append(Attached(message=message))
            case ToolCallMessage() if (use := self._uses.at(index)) is not None:
                self._call(*use)

    def _add_text(self, message: TextMessage) -> None:
        if message.role == "user":
            self._by_parent.clear()
        if message.role == "tool" or (message.role == "assistant" and not message.content.strip()):
            return
        self.turns.append(TextTurn(role=message.role, text=message.content, id=message.id))

    def _call(self, call: ToolCallMessage, result: str | None) -> None:
        exchange = self._exchange_of(call.parent_message_id)
        exchange.calls.append(call)
        exchange.results.append(UNANSWERED if result is None else result)
        self.calls.append(call)

    def _exchange_of(self, parent: str | None) -> Exchange:
        last = self.turns[-1] if self.turns else None
        if parent is None:
            alongside = isinstance(last, Exchange) and last.parent is None
            return last if alongside and isinstance(last, Exchange) else self._open(Exchange(calls=[], results=[]))
        if parent not in self._by_parent:
            text = self._take_text(parent)
            self._by_parent[parent] = self._open(Exchange(calls=[], results=[], text=text, parent=parent))
        return self._by_parent[parent]

    def _open(self, exchange: Exchange) -> Exchange:
        self.turns.append(exchange)
        return exchange

    def _take_text(self, parent: str) -> str:
        last = self.turns[-1] if self.turns else None
        if isinstance(last, TextTurn) and last.role == "assistant" and last.id == parent:
            self.turns.pop()
            return last.text
        return ""
