"""The tool calls of a thread under ids that no two of them share.

A model may number its calls anew in every answer. The graph's messages keep the vendor's ids; towards clients a call
whose id was used before on the thread has an id of its own (``runtime.call_ids``), made of the vendor's and of the id
of the message that it belongs to, so that every process finds the same one.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from ...runtime.call_ids import CallIds


class ThreadCalls:
    """Client ids of the calls of one thread, met in the order of the thread."""

    def __init__(self) -> None:
        self._ids = CallIds()
        self._waiting: dict[str, deque[str]] = {}
        self._newest: dict[str, str] = {}
        self._answered: set[str] = set()
        self.names: dict[str, str] = {}
        """The names of the calls by client id."""
        self.vendor_ids: dict[str, str] = {}
        """The vendors' ids by client id."""

    def add(self, vendor_id: str | None, name: str, message_id: str, place: int = 0) -> str:
        """Return the client id of a call.

        Args:
            vendor_id: The id that the model gave it, if any.
            name: The tool.
            message_id: The message that it belongs to.
            place: How many calls of the same id the message has before it.
        """
        client_id = self._ids.assign(vendor_id, f"{message_id}#{place}" if place else message_id)
        if client_id not in self.names:
            self._waiting.setdefault(vendor_id or client_id, deque()).append(client_id)
            self._newest[vendor_id or client_id] = client_id
            self.vendor_ids[client_id] = vendor_id or client_id
        self.names[client_id] = name
        return client_id

    def answer(self, vendor_id: str) -> str:
        """Return the client id of the call that a result belongs to: the oldest without one, else the newest."""
        client_id = self.waiting(vendor_id) or self._newest.get(vendor_id, vendor_id)
        self._answered.add(client_id)
        return client_id

    def waiting(self, vendor_id: str) -> str | None:
        """Return the client id of the oldest call of this id that has no result, or None."""
        calls = self._waiting.get(vendor_id)
        while calls and calls[0] in self._answered:
            calls.popleft()
        return calls[0] if calls else None


def unique_calls(messages: Iterable[BaseMessage], calls: ThreadCalls) -> list[BaseMessage]:
    """Return a thread's messages under client ids, and note their calls in ``calls``.

    Messages whose ids stay are the same objects.
    """
    return [_unique(message, calls) for message in messages]


def _unique(message: BaseMessage, calls: ThreadCalls) -> BaseMessage:
    if isinstance(message, ToolMessage):
        return with_call_id(message, calls.answer(message.tool_call_id))
    if isinstance(message, AIMessage) and message.tool_calls:
        met: Counter[str | None] = Counter()
        ids = []
        for call in message.tool_calls:
            ids.append(calls.add(call["id"], call["name"], message.id or "", met[call["id"]]))
            met[call["id"]] += 1
        return with_call_ids(message, ids)
    return message


def with_call_id(message: ToolMessage, call_id: str) -> ToolMessage:
    """Return a result as that of another call; the message itself if the call is the same."""
    return message if message.tool_call_id == call_id else message.model_copy(update={"tool_call_id": call_id})


def with_call_ids(message: AIMessage, ids: Sequence[str]) -> AIMessage:
    """Return a message whose calls have other ids; the message itself if they are the same."""
    if [call["id"] for call in message.tool_calls] == list(ids):
        return message
    calls = [{**call, "id": id_} for call, id_ in zip(message.tool_calls, ids, strict=True)]
    return message.model_copy(update={"tool_calls": calls})
