"""Messages of a checkpoint in groups: a call and its results stand together, as vendors require."""

from __future__ import annotations

from collections.abc import Iterable

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

UNANSWERED = "The person went on without answering."


def merged(messages: Iterable[BaseMessage], new: Iterable[BaseMessage]) -> list[BaseMessage]:
    """Merge ``new`` messages into ``messages``: results directly behind their calls, the rest at the end, in order."""
    groups = _Groups(messages)
    for message in new:
        groups.put(message)
    return groups.settled()


class _Groups:
    """Messages in order, each in a group with the results that stand directly behind it."""

    def __init__(self, messages: Iterable[BaseMessage]) -> None:
        self._groups: list[list[BaseMessage]] = [[]]
        self._places: dict[tuple[bool, str | None], tuple[int, int]] = {}
        self._callers: dict[str | None, int] = {}
        for message in messages:
            self._append(message, len(self._groups) - 1)

    def put(self, message: BaseMessage) -> None:
        """Replace a message of the same identity; else put a result behind its call, and another message at the end."""
        place = self._places.get(_identity(message))
        if place is None:
            last = len(self._groups) - 1
            call = message.tool_call_id if isinstance(message, ToolMessage) else None
            self._append(message, self._callers.get(call, last))
            return
        group, index = place
        for call in _calls(self._groups[group][index]):
            if self._callers.get(call) == group:
                del self._callers[call]
        self._groups[group][index] = message
        self._note_calls(message, group)

    def settled(self) -> list[BaseMessage]:
        """Return the messages, with results for calls that were left behind: vendors refuse calls without."""
        for group, messages in enumerate(self._groups[:-1]):
            unanswered = [id_ for message in messages for id_ in _calls(message) if (True, id_) not in self._places]
            for id_ in filter(None, unanswered):
                left = ToolMessage(id=unanswered_id(id_), content=UNANSWERED, tool_call_id=id_)
                self._append(left, self._callers.get(id_, group))
        return [message for messages in self._groups for message in messages]

    def _append(self, message: BaseMessage, group: int) -> None:
        if not isinstance(message, ToolMessage):
            group = len(self._groups)
            self._groups.append([])
        self._places.setdefault(_identity(message), (group, len(self._groups[group])))
        self._groups[group].append(message)
        self._note_calls(message, group)

    def _note_calls(self, message: BaseMessage, group: int) -> None:
        for id_ in _calls(message):
            self._callers[id_] = max(group, self._callers.get(id_, group))


def _identity(message: BaseMessage) -> tuple[bool, str | None]:
    """Return what two versions of a message have in common: a result's call, or else the id."""
    if isinstance(message, ToolMessage):
        return True, message.tool_call_id
    return False, message.id


def _calls(message: BaseMessage) -> list[str | None]:
    return [call["id"] for call in message.tool_calls] if isinstance(message, AIMessage) else []


def unanswered_id(call_id: str) -> str:
    """Return the id of the result that a call gets which nobody answered."""
    return f"unanswered-{call_id}"
