"""A thread's messages as turns of a conversation, the form from which each vendor's request is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from ...runtime.messages import ImageMessage, Message, TextMessage, ToolCallMessage, ToolResultMessage

UNANSWERED = "The call was interrupted before it had a result."


class Said(msgspec.Struct, kw_only=True, frozen=True):
    """Something that ``role`` said."""

    role: Literal["assistant", "developer", "system", "user"]
    text: str
    id: str = ""


class Picture(msgspec.Struct, kw_only=True, frozen=True):
    """A picture shown to the model: ``format`` is the media subtype, ``data`` the base64 text."""

    format: str
    data: str


class Exchange(msgspec.Struct, kw_only=True):
    """Tool calls that the model made in one breath, with ``text`` before them and one result each, in order."""

    calls: list[ToolCallMessage]
    results: list[str]
    text: str = ""
    parent: str | None = None


Turn: TypeAlias = Said | Picture | Exchange


def turns(messages: Sequence[Message]) -> list[Turn]:
    """The conversation that ``messages`` tell, such that every vendor accepts it.

    Vendors refuse a result without its call, a call without a result, and results away from their calls, all of
    which a page can send. Here each call is followed by exactly one result: the first one given for its id, or
    ``UNANSWERED``. Results of no call, agent states, and blank answers are left out. Calls of one answer, which
    share a parent id or stand side by side without one, become one exchange.

    Args:
        messages: A thread, oldest first.
    """
    return _Conversation(messages).turns


class _Conversation:
    def __init__(self, messages: Sequence[Message]) -> None:
        self.turns: list[Turn] = []
        self._results = _first_results(messages)
        self._seen: set[str] = set()
        self._by_parent: dict[str, Exchange] = {}
        for message in messages:
            self._add(message)

    def _add(self, message: Message) -> None:
        match message:
            case TextMessage():
                self._say(message)
            case ImageMessage():
                self.turns.append(Picture(format=message.format, data=message.bytes))
            case ToolCallMessage() if message.id not in self._seen:
                self._seen.add(message.id)
                self._call(message)

    def _say(self, message: TextMessage) -> None:
        if message.role == "tool" or (message.role == "assistant" and not message.content.strip()):
            return
        self.turns.append(Said(role=message.role, text=message.content, id=message.id))

    def _call(self, call: ToolCallMessage) -> None:
        exchange = self._exchange_of(call.parent_message_id)
        exchange.calls.append(call)
        exchange.results.append(self._results.get(call.id, UNANSWERED))

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
        if isinstance(last, Said) and last.role == "assistant" and last.id == parent:
            self.turns.pop()
            return last.text
        return ""


def _first_results(messages: Sequence[Message]) -> dict[str, str]:
    results: dict[str, str] = {}
    for message in messages:
        if isinstance(message, ToolResultMessage):
            results.setdefault(message.tool_call_id, message.result)
    return results
