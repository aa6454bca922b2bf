"""Messages that an agent reports whole and that were never streamed, as events that every client reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any, TypeAlias

from ...runtime.agui_messages import messages_from_agui, messages_to_agui

Json: TypeAlias = dict[str, Any]
FreshId: TypeAlias = Callable[[str], str]

HASHED_PIECES = 256
"""How many pieces of a text wait to be hashed."""


class UnseenMessages:
    """Finds in an agent's snapshots of its thread what the client cannot know.

    A snapshot itself would take from the client what it does not contain, and put everything in its own order; so
    the messages of this run that were not streamed are written as if they had been. What was streamed and has another
    id in the snapshot, as LlamaIndex's adapter gives each message a new one, is a copy.

    Args:
        known: The ids of the messages that the client has.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._client = set(known)
        self._streamed: set[str] = set()
        self._answered: set[str] = set()
        self._texts: dict[str, _StreamedText] = {}
        self._copies: dict[str, str] = {}
        self._unplaced: Sequence[Any] | None = None

    @property
    def sent_ids(self) -> set[str]:
        """The ids of what has been streamed, or written here."""
        return self._streamed

    def streamed(self, id_: str) -> None:
        """Take note of a message, a call or a result that the client has got."""
        self._streamed.add(id_)

    def note_of(self, id_: str) -> Callable[[Sequence[str]], None]:
        """Return what takes note of the pieces of a message's text."""
        text = self._texts.get(id_)
        if text is None:
            text = self._texts[id_] = _StreamedText()
        return text.add

    def answered(self, call_id: str) -> None:
        """Take note of a call's result."""
        self._answered.add(call_id)

    def snapshot(self, thread: Sequence[Any], fresh_id: FreshId) -> list[Json]:
        """Return the events for what a snapshot has behind the messages that the client has.

        One that has none of them is kept for the end: it may be of before the run.
        """
        behind = self._behind_known(thread)
        if behind is None:
            self._unplaced = thread
            return []
        self._unplaced = None
        return self._write(behind, fresh_id)

    def at_end(self, fresh_id: FreshId) -> list[Json]:
        """Return the events for the last snapshot that could not be placed, if nothing was streamed at all."""
        thread, self._unplaced = self._unplaced, None
        return [] if thread is None or self._streamed else self._write(_last_turn(thread), fresh_id)

    def _behind_known(self, thread: Sequence[Any]) -> Sequence[Any] | None:
        for index in range(len(thread) - 1, -1, -1):
            item = thread[index]
            if isinstance(item, dict) and item.get("id") in self._client:
                return thread[index + 1 :]
        return None

    def _write(self, thread: Sequence[Any], fresh_id: FreshId) -> list[Json]:
        written: list[Json] = []
        copies = self._uncopied(thread)
        for item in messages_to_agui(messages_from_agui(thread)):
            if item["role"] == "assistant" and item["id"] not in self._streamed:
                self._take_for_copy(item, copies)
            match item["role"]:
                case "assistant":
                    written += self._assistant(item, fresh_id)
                case "tool" if item["toolCallId"] not in self._answered and item["id"] not in self._streamed:
                    written.append(self._result(item))
        return written

    def _uncopied(self, thread: Sequence[Any]) -> Counter[str]:
        """Return how often each text was streamed that the snapshot does not have under its id, by its hash."""
        listed = {item.get("id") for item in thread if isinstance(item, dict)}
        texts = Counter(text.digest() for id_, text in self._texts.items() if id_ not in listed)
        return texts - Counter(text for id_, text in self._copies.items() if id_ in listed)

    def _take_for_copy(self, item: Json, copies: Counter[str]) -> None:
        digest = sha256(_encoded(item.get("content") or "")).hexdigest()
        if copies[digest] > 0:
            copies[digest] -= 1
            self._copies[item["id"]] = digest
            self._streamed.add(item["id"])

    def _assistant(self, item: Json, fresh_id: FreshId) -> list[Json]:
        written: list[Json] = []
        if item.get("content") and item["id"] not in self._streamed:
            id_ = fresh_id(item["id"])
            written += [
                {"type": "TEXT_MESSAGE_START", "messageId": id_, "role": "assistant"},
                {"type": "TEXT_MESSAGE_CONTENT", "messageId": id_, "delta": item["content"]},
                {"type": "TEXT_MESSAGE_END", "messageId": id_},
            ]
        self._streamed.add(item["id"])
        for call in item.get("toolCalls", ()):
            if call["id"] not in self._streamed:
                written += _call(call, item["id"])
                self._streamed.add(call["id"])
        return written

    def _result(self, item: Json) -> Json:
        self._streamed.add(item["id"])
        self._answered.add(item["toolCallId"])
        return {
            "type": "TOOL_CALL_RESULT",
            "messageId": item["id"],
            "toolCallId": item["toolCallId"],
            "content": item["content"],
            "role": "tool",
        }


class _StreamedText:
    """A text as a hash, for the text itself may be long. It grows by many pieces at once, as hashing each is dear."""

    def __init__(self) -> None:
        self._hash = sha256()
        self._pieces: list[str] = []

    def add(self, pieces: Sequence[str]) -> None:
        self._pieces += pieces
        if len(self._pieces) >= HASHED_PIECES:
            self._update()

    def digest(self) -> str:
        self._update()
        return self._hash.hexdigest()

    def _update(self) -> None:
        self._hash.update(_encoded("".join(self._pieces)))
        self._pieces.clear()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _call(call: Json, parent: str) -> list[Json]:
    id_, function = call["id"], call["function"]
    return [
        {"type": "TOOL_CALL_START", "toolCallId": id_, "toolCallName": function["name"], "parentMessageId": parent},
        {"type": "TOOL_CALL_ARGS", "toolCallId": id_, "delta": function["arguments"]},
        {"type": "TOOL_CALL_END", "toolCallId": id_},
    ]


def _last_turn(thread: Sequence[Any]) -> Sequence[Any]:
    for index in range(len(thread) - 1, -1, -1):
        if isinstance(thread[index], dict) and thread[index].get("role") == "user":
            return thread[index + 1 :]
    return thread
