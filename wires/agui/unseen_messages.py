"""Messages that an agent reports whole and that were never streamed, as events that every client reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from ...runtime.agui_messages import messages_from_agui, messages_to_agui
from ...runtime.runs.corrections import answers_of
from .streamed_texts import StreamedText, StreamedTexts, hash_of

Json: TypeAlias = dict[str, Any]
FreshId: TypeAlias = Callable[[str], str]

_NO_IDS: frozenset[str] = frozenset()


class UnseenMessages:
    """Finds in an agent's snapshots of its thread what the client cannot know.

    A snapshot itself would take from the client what it does not contain, and put everything in its own order; so
    the messages of this run that were not streamed are written as if they had been. What was streamed and has another
    id in the snapshot, as LlamaIndex's adapter gives each message a new one, is a copy.

    Args:
        known: The ids of the messages that the client has.
        answered: The calls whose results the client has, which an agent may keep under ids of its own.
    """

    __slots__ = (
        "_answers",
        "_copies",
        "_corrected",
        "_known",
        "_known_answers",
        "_last",
        "_streamed",
        "_texts",
        "_unplaced",
    )

    def __init__(self, known: Iterable[str], answered: Iterable[str] = ()) -> None:
        self._known = tuple(known)
        self._known_answers = frozenset(answered) or _NO_IDS  # an empty set of its own takes 216 bytes
        self._streamed: set[str] = set()
        self._last: Sequence[Any] = ()
        self._corrected: list[tuple[str, str]] = []
        self._answers: dict[str, str] = {}
        """The calls that have been answered, with the ids of their results."""
        self._texts = StreamedTexts()
        self._copies: dict[str, str] = {}
        self._unplaced: Sequence[Any] | None = None

    @property
    def sent_ids(self) -> set[str]:
        """The ids of what has been streamed, or written here."""
        return self._streamed

    def streamed(self, id_: str) -> None:
        """Take note of a message, a call or a result that the client has got."""
        self._streamed.add(id_)

    def growing(self, id_: str) -> StreamedText:
        """Return a message's text, for whoever writes more of it to the client."""
        return self._texts.growing(id_)

    def answered(self, call_id: str, message_id: str) -> None:
        """Take note of a call's result."""
        self._answers[call_id] = message_id
        self._streamed.add(message_id)

    def snapshot(self, thread: Sequence[Any], fresh_id: FreshId) -> list[Json]:
        """Return the events for what a snapshot has behind the messages that the client has.

        One that has none of them is kept for the end: it may be of before the run.
        """
        behind = self._behind_known(thread)
        self._last, self._corrected = thread, self._corrections(behind or ())
        if behind is None:
            self._unplaced = thread
            return []
        self._unplaced = None
        return self._write(behind, fresh_id)

    def at_end(self, fresh_id: FreshId) -> list[Json]:
        """Return the events for the last snapshot that could not be placed, if nothing was streamed at all."""
        thread, self._unplaced = self._unplaced, None
        return [] if thread is None or self._streamed else self._write(_last_turn(thread), fresh_id)

    def corrected(self) -> list[Json]:
        """Return the last snapshot if a text in it is another than was streamed: a later step took a secret out.

        It must have all that the client has, which would lose the rest, and nothing may have come behind it.
        """
        if not self._corrected or any(self._texts.hash_of(id_) != streamed for id_, streamed in self._corrected):
            return []
        thread = messages_to_agui(messages_from_agui(self._last))
        return [{"type": "MESSAGES_SNAPSHOT", "messages": thread}] if self._is_whole(thread) else []

    def _corrections(self, thread: Sequence[Any]) -> list[tuple[str, str]]:
        """Return the messages that have another text than was streamed, each with the hash of what was."""
        streamed = ((id_, text, self._texts.hash_of(id_)) for id_, text in answers_of(thread))
        return [(id_, known) for id_, text, known in streamed if known is not None and known != hash_of(text)]

    def _is_whole(self, thread: Sequence[Json]) -> bool:
        listed = {item["id"] for item in thread} | {call["id"] for item in thread for call in item.get("toolCalls", ())}
        answered = {item["toolCallId"] for item in thread if item["role"] == "tool"}
        streamed = self._streamed.difference(self._answers.values())
        return listed.issuperset(self._known) and streamed <= listed and self._answers.keys() <= answered

    def _behind_known(self, thread: Sequence[Any]) -> Sequence[Any] | None:
        known = set(self._known)
        for index in range(len(thread) - 1, -1, -1):
            item = thread[index]
            if isinstance(item, dict) and item.get("id") in known:
                return thread[index + 1 :]
        return None

    def _write(self, thread: Sequence[Any], fresh_id: FreshId) -> list[Json]:
        written: list[Json] = []
        taken = self._taken(thread)
        for item in messages_to_agui(messages_from_agui(thread)):
            if item["role"] == "assistant" and item["id"] not in self._streamed:
                self._take_for_copy(item, taken)
            match item["role"]:
                case "assistant":
                    written += self._assistant(item, fresh_id)
                case "tool" if self._is_unseen_result(item):
                    written.append(self._result(item))
        return written

    def _is_unseen_result(self, item: Json) -> bool:
        call = item["toolCallId"]
        # A call of this run is another one, whatever its id: models use ids again.
        answered = call in self._answers or (call in self._known_answers and call not in self._streamed)
        return not answered and item["id"] not in self._streamed

    def _taken(self, thread: Sequence[Any]) -> Counter[str]:
        """Return how many streamed texts of each hash the snapshot has, under their own ids or as copies."""
        listed = {item.get("id") for item in thread if isinstance(item, dict)}
        return self._texts.hashes_of(listed) + Counter(self._copies[id_] for id_ in listed if id_ in self._copies)

    def _take_for_copy(self, item: Json, taken: Counter[str]) -> None:
        """Take a message for one that was streamed under another id, if a text like its own is left over."""
        text = hash_of(item.get("content") or "")
        if self._texts.counts()[text] > taken[text]:
            taken[text] += 1
            self._copies[item["id"]] = text
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
        self.answered(item["toolCallId"], item["id"])
        return {
            "type": "TOOL_CALL_RESULT",
            "messageId": item["id"],
            "toolCallId": item["toolCallId"],
            "content": item["content"],
            "role": "tool",
        }


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
