"""A run that another process began, as far as it got: what goes on is measured against what was shown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, TypeAlias

import msgspec

from .. import events
from ..messages import Message, TextMessage, ToolCallMessage
from .compaction import compact

_Start: TypeAlias = events.TextMessageStart | events.ToolCallStart | events.ReasoningMessageStart
_Content: TypeAlias = events.TextMessageContent | events.ToolCallArgs | events.ReasoningMessageContent
_End: TypeAlias = events.TextMessageEnd | events.ToolCallEnd | events.ReasoningMessageEnd

_BORDERS = frozenset((events.AGENT_ENTERED, events.AGENT_LEFT))
_KINDS: dict[type[Any], type[Any]] = {
    events.TextMessageStart: events.TextMessageStart,
    events.TextMessageContent: events.TextMessageStart,
    events.TextMessageEnd: events.TextMessageStart,
    events.ToolCallStart: events.ToolCallStart,
    events.ToolCallArgs: events.ToolCallStart,
    events.ToolCallEnd: events.ToolCallStart,
    events.ReasoningMessageStart: events.ReasoningMessageStart,
    events.ReasoningMessageContent: events.ReasoningMessageStart,
    events.ReasoningMessageEnd: events.ReasoningMessageStart,
}

Key: TypeAlias = tuple[type[Any], str]
"""What a run has sent, by the type of its first event and its id."""


def key_of(event: Any) -> Key:
    """Return what an event begins, goes on with or ends."""
    return _KINDS[type(event)], event.tool_call_id if hasattr(event, "tool_call_id") else event.message_id


def renamed(event: Any, id_: str, **more: Any) -> Any:
    """Return a copy of an event that belongs to another message or call."""
    field = "tool_call_id" if hasattr(event, "tool_call_id") else "message_id"
    return msgspec.structs.replace(event, **{field: id_}, **more)


class ShownItem(msgspec.Struct):
    """A text, tool call or reasoning text that was shown, whole or in part."""

    kind: type[Any]
    id: str
    name: str = ""
    text: str = ""
    open: bool = True

    def content(self, text: str) -> _Content:
        """Return the event that appends ``text``."""
        if self.kind is events.ToolCallStart:
            return events.ToolCallArgs(tool_call_id=self.id, delta=text)
        if self.kind is events.TextMessageStart:
            return events.TextMessageContent(message_id=self.id, delta=text)
        return events.ReasoningMessageContent(message_id=self.id, delta=text)

    def end(self, *, broken: bool = False) -> _End:
        """Return the event that closes it."""
        if self.kind is events.ToolCallStart:
            return events.ToolCallEnd(tool_call_id=self.id, broken=broken)
        if self.kind is events.TextMessageStart:
            return events.TextMessageEnd(message_id=self.id, broken=broken)
        return events.ReasoningMessageEnd(message_id=self.id)


class Continuation:
    """What is stored of a run that this process is to go on with.

    Args:
        history: The stored events, of which the first may be compacted.
        last: The number of the last one.
        kept: The agent's messages on the thread, if it has a memory of its own: what is among them will not be sent
            again.
    """

    def __init__(self, history: Sequence[events.Event], last: int, kept: Iterable[Message] = ()) -> None:
        self.history = history
        self.last = last
        self.shown: dict[Key, ShownItem] = {}
        """All that was shown, in order."""
        self.answered: set[str] = set()
        """The ids of the calls that have results."""
        self.steps: dict[str, None] = {}
        """The steps that are open."""
        self.thinking: dict[str, None] = {}
        """The ids of what the agent was reasoning about when its process died."""
        self.aliases: dict[str, str] = {}
        """The ids under which the agent keeps what was shown under others: theirs by its own."""
        self._custom: list[bytes] = []
        self._kept = {message.id: message for message in kept}
        for event in compact(history):
            self._note(event)

    def settle(self) -> list[events.Event]:
        """Return what completes and closes the open messages that the agent has kept whole."""
        settled: list[events.Event] = []
        for each in self.shown.values():
            if each.open and each.id in self._kept:
                rest = _rest(each, self._kept[each.id])
                settled += [each.content(rest)] if rest else []
                settled.append(each.end(broken=rest is None))
                each.open = False
        return settled

    def expected(self) -> list[ShownItem]:
        """Return what the agent has not kept, so that it will send it again."""
        return [each for each in self.shown.values() if each.id not in self._kept]

    def unanswered(self) -> list[events.Event]:
        """Return the calls that the agent has kept and that have no result yet, as events."""
        calls: list[events.Event] = []
        for each in self.shown.values():
            if each.kind is events.ToolCallStart and each.id in self._kept and each.id not in self.answered:
                start = events.ToolCallStart(tool_call_id=each.id, tool_call_name=each.name)
                calls += [start, each.content(each.text), each.end()]
        return calls

    def repeats(self, event: events.Custom) -> bool:
        """Return whether an event was shown before, and is not the second one like it."""
        if event.name in _BORDERS or not self._custom:
            return False
        encoded = msgspec.json.encode(event)
        if encoded not in self._custom:
            return False
        self._custom.remove(encoded)
        return True

    def _note(self, event: events.Event) -> None:
        kind = _KINDS.get(type(event))
        if kind is not None:
            self._note_said(event, kind)
        elif isinstance(event, events.ToolCallResult):
            self.answered.add(event.tool_call_id)
        elif isinstance(event, events.StepStarted):
            self.steps[event.step_name] = None
        elif isinstance(event, events.StepFinished):
            self.steps.pop(event.step_name, None)
        elif isinstance(event, events.ReasoningStart):
            self.thinking[event.message_id] = None
        elif isinstance(event, events.ReasoningEnd):
            self.thinking.pop(event.message_id, None)
        elif isinstance(event, events.Custom):
            self._custom.append(msgspec.json.encode(event))

    def _note_said(self, event: Any, kind: type[Any]) -> None:
        key = key_of(event)
        if type(event) is kind:
            self.shown[key] = ShownItem(kind, key[1], name=getattr(event, "tool_call_name", ""))
        elif key in self.shown and hasattr(event, "delta"):
            self.shown[key].text += event.delta
        elif key in self.shown:
            self.shown[key].open = False


def _rest(item: ShownItem, kept: Message) -> str | None:
    """Return what is left to show of what the agent has kept; None if it holds something else."""
    wholes: Collection[str] = ()
    if isinstance(kept, TextMessage):
        wholes = (kept.content,)
    elif isinstance(kept, ToolCallMessage):
        encoded = msgspec.json.encode(kept.arguments).decode()
        wholes = (encoded, encoded.replace('":', '": ').replace(',"', ', "'))
    return next((whole[len(item.text) :] for whole in wholes if whole.startswith(item.text)), None)
