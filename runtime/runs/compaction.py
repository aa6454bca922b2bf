"""Shorten a run's events to what a late reader needs: one entry per message, tool call and state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, ClassVar, TypeAlias

import msgspec

from .. import events
from ..errors import ProtocolError
from .growing_text import GrowingText
from .json_patch import JsonPatchError, apply_patch

_Start: TypeAlias = events.TextMessageStart | events.ToolCallStart | events.ReasoningMessageStart
_Content: TypeAlias = events.TextMessageContent | events.ToolCallArgs | events.ReasoningMessageContent
_End: TypeAlias = events.TextMessageEnd | events.ToolCallEnd | events.ReasoningMessageEnd

_Folded: TypeAlias = "_Streamed | _State | _Activity"

PIECES = frozenset((events.TextMessageContent, events.ToolCallArgs))
"""The events that are pieces of what an agent says."""
_BORDERS = frozenset((events.AGENT_ENTERED, events.AGENT_LEFT))


def compact(run: Iterable[events.Event]) -> list[events.Event]:
    """Return the compacted form of one or several runs' events; nothing crosses a run's border.

    Raises:
        ProtocolError: A state delta does not fit.
    """
    compactor = Compactor()
    compactor.add_all(run)
    return compactor.compacted()


def without_earlier_turns(run: Iterable[events.Event]) -> list[events.Event]:
    """Return the compacted events of a run that has ended, with the last turn alone in a snapshot of the thread.

    What came before is kept with earlier runs; with all of it in each, a thread would take the square of its length.
    """
    return [_last_turn(event) if isinstance(event, events.MessagesSnapshot) else event for event in run]


def _last_turn(event: events.MessagesSnapshot) -> events.MessagesSnapshot:
    for place in range(len(event.messages) - 1, 0, -1):
        if event.messages[place].get("role") == "user":
            return events.MessagesSnapshot(messages=event.messages[place:])
    return event


class Compactor:
    """Folds a valid event stream, event by event, into a shorter one that means the same.

    Messages, tool calls and reasoning texts become a start, at most one content and, once they are closed, an end, in
    the order in which they began. States become one snapshot where the last change was, and only the last occurrence
    of a step and the last ``MessagesSnapshot`` are kept. Other events keep their places, except ``Raw``, which is
    dropped. What is open stays open: the compacted events of a stream's first part, followed by its second part
    unchanged, are again a valid stream. Each event costs a constant amount of work, besides the size of a state.
    """

    def __init__(self) -> None:
        self._finished: list[events.Event] = []
        self._begin()

    def add(self, event: events.Event) -> None:
        """Take the next event.

        Raises:
            ProtocolError: A state delta does not fit.
        """
        adder = self._ADDERS.get(type(event))
        if adder is None:
            self._keep(event)
        else:
            adder(self, event)

    def add_all(self, run: Iterable[events.Event]) -> None:
        """Take events in turn. Text costs no call of its own: most events are pieces of it.

        Raises:
            ProtocolError: A state delta does not fit.
        """
        content, adders = events.TextMessageContent, self._ADDERS
        for event in run:
            if type(event) is content:
                streamed = self._open[content].get(event.message_id)
                if streamed is not None:
                    streamed.text.pieces.append(event.delta)
                    continue
            adder = adders.get(type(event))
            if adder is None:
                self._keep(event)
            else:
                adder(self, event)
        for opened in self._open.values():
            for streamed in opened.values():
                streamed.text.fold()

    @property
    def pieces(self) -> int:
        """How many pieces of texts and of arguments have come."""
        streamed = (entry for entry in self._entries.values() if isinstance(entry, _Streamed))
        return sum(len(each.text) for each in streamed if each.content in PIECES)

    def compacted(self) -> list[events.Event]:
        """Return the compacted form of all events so far. Later events do not change the result."""
        return [*self._finished, *self._current()]

    def _begin(self) -> None:
        self._entries: dict[int, events.Event | _Folded] = {}
        self._next = 0
        self._open: dict[type[events.Event], dict[str, _Streamed]] = {
            events.TextMessageContent: {},
            events.ToolCallArgs: {},
            events.ReasoningMessageContent: {},
        }
        self._steps: dict[str, list[int]] = {}
        self._results: dict[str, int] = {}
        self._activities: dict[str, _Activity] = {}
        self._snapshot: int | None = None
        self._continued: list[tuple[_Streamed, int]] = []
        self._state = _State(known=True)
        self._state_place: int | None = None

    def _current(self) -> Iterator[events.Event]:
        for entry in self._entries.values():
            if isinstance(entry, (_Streamed, _State, _Activity)):
                yield from entry.parts()
            else:
                yield entry

    def _keep(self, entry: events.Event | _Folded) -> int:
        place = self._next
        self._next += 1
        self._entries[place] = entry
        return place

    def _run_started(self, event: events.RunStarted) -> None:
        if self._entries:
            self._finished += self._current()
            self._begin()
        self._keep(event)

    def _drop(self, event: events.Raw) -> None:
        """Leave out a framework's own event: it repeats the others."""

    def _start(self, event: _Start) -> None:
        content, id_ = _CONTENT_OF[type(event)], _id_of(event)
        streamed = _Streamed(content, id_, event)
        self._open[content][id_] = streamed
        self._keep(streamed)

    def _content(self, event: _Content) -> None:
        streamed = self._open[type(event)].get(_id_of(event))
        if streamed is None:
            self._keep(event)
        else:
            streamed.text.pieces.append(event.delta)

    def _end(self, event: _End) -> None:
        streamed = self._open[_CONTENT_OF[type(event)]].pop(_id_of(event), None)
        if streamed is None:
            self._keep(event)
        else:
            streamed.end = event
            streamed.text.close()

    def _result(self, event: events.ToolCallResult) -> None:
        place = self._results.get(event.tool_call_id)
        if place is None or (self._snapshot is not None and place < self._snapshot):
            self._results[event.tool_call_id] = self._keep(event)
        else:
            self._entries[place] = event

    def _step_started(self, event: events.StepStarted) -> None:
        for place in self._steps.pop(event.step_name, ()):
            del self._entries[place]
        self._steps[event.step_name] = [self._keep(event)]

    def _step_finished(self, event: events.StepFinished) -> None:
        self._steps.setdefault(event.step_name, []).append(self._keep(event))

    def _state_changed(self, event: events.StateSnapshot | events.StateDelta) -> None:
        self._state.change(event)
        if self._state_place is not None:
            del self._entries[self._state_place]
        self._state_place = self._keep(self._state)

    def _custom(self, event: events.Custom) -> None:
        if event.name in _BORDERS:
            # The states that follow are another agent's.
            self._state, self._state_place = _State(known=False), None
        self._keep(event)

    def _activity(self, event: events.ActivitySnapshot | events.ActivityDelta) -> None:
        activity = self._activities.get(event.message_id)
        if activity is not None:
            activity.change(event)
        elif isinstance(event, events.ActivitySnapshot):
            self._activities[event.message_id] = activity = _Activity(event)
            self._keep(activity)
        else:
            self._keep(event)

    def _messages_snapshot(self, event: events.MessagesSnapshot) -> None:
        """Keep the last snapshot where it came: text that was added later must not come before it."""
        if self._snapshot is not None:
            del self._entries[self._snapshot]
        self._rejoin()
        self._snapshot = self._keep(event)
        for opened in self._open.values():
            for id_, first in opened.items():
                opened[id_] = rest = _Streamed(first.content, id_, None)
                self._continued.append((first, self._keep(rest)))

    def _rejoin(self) -> None:
        for first, place in self._continued:
            rest = self._entries.pop(place)
            if isinstance(rest, _Streamed):
                first.join(rest)
                opened = self._open[first.content]
                if opened.get(first.id) is rest:
                    opened[first.id] = first
        self._continued.clear()

    _ADDERS: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        events.RunStarted: _run_started,
        events.Raw: _drop,
        events.TextMessageStart: _start,
        events.TextMessageContent: _content,
        events.TextMessageEnd: _end,
        events.ToolCallStart: _start,
        events.ToolCallArgs: _content,
        events.ToolCallEnd: _end,
        events.ReasoningMessageStart: _start,
        events.ReasoningMessageContent: _content,
        events.ReasoningMessageEnd: _end,
        events.ToolCallResult: _result,
        events.StepStarted: _step_started,
        events.StepFinished: _step_finished,
        events.StateSnapshot: _state_changed,
        events.StateDelta: _state_changed,
        events.ActivitySnapshot: _activity,
        events.ActivityDelta: _activity,
        events.MessagesSnapshot: _messages_snapshot,
        events.Custom: _custom,
    }


class _Streamed:
    """A text or arguments that come in pieces; without ``start``, the part that follows a messages snapshot."""

    __slots__ = ("content", "end", "id", "start", "text")

    def __init__(self, content: type[events.Event], id_: str, start: _Start | None) -> None:
        self.content = content
        self.id = id_
        self.start = start
        self.text = GrowingText()
        self.end: _End | None = None

    def join(self, rest: _Streamed) -> None:
        self.text.add(rest.text)
        self.end = rest.end

    def parts(self) -> Iterator[events.Event]:
        if self.start is not None:
            yield self.start
        text = self.text.value()
        if text:
            yield _content_event(self.content, self.id, text)
        if self.end is not None:
            yield self.end


def _patched(document: Any, delta: list[dict[str, Any]]) -> Any:
    try:
        return apply_patch(document, delta)
    except JsonPatchError as error:
        raise ProtocolError("The agent sent a delta that does not fit its state.") from error


class _State:
    """One agent's state. What it was before is ``known`` to be empty, or else kept as changes until a snapshot."""

    __slots__ = ("_changes", "_document")

    def __init__(self, *, known: bool) -> None:
        self._document: Any = {}
        self._changes: list[dict[str, Any]] | None = None if known else []

    def change(self, event: events.StateSnapshot | events.StateDelta) -> None:
        if isinstance(event, events.StateSnapshot):
            value = event.snapshot if isinstance(event.snapshot, dict) else {}
            self._document = {k: v for k, v in value.items() if k != "messages"}
            self._changes = None
        elif self._changes is not None:
            self._changes += event.delta
        else:
            self._document = _patched(self._document, event.delta)

    def parts(self) -> Iterator[events.Event]:
        if self._changes is None:
            yield events.StateSnapshot(snapshot=self._document)
        else:
            yield events.StateDelta(delta=list(self._changes))


class _Activity:
    """What is shown of something that goes on: the last snapshot with the deltas folded in."""

    __slots__ = ("_document", "_snapshot")

    def __init__(self, snapshot: events.ActivitySnapshot) -> None:
        self._snapshot = snapshot
        self._document: Any = snapshot.content

    def change(self, event: events.ActivitySnapshot | events.ActivityDelta) -> None:
        if isinstance(event, events.ActivityDelta):
            # A change that does not fit changes nothing, as at clients: it is no reason to lose the run.
            with suppress(JsonPatchError):
                self._document = apply_patch(self._document, event.patch)
        elif event.replace:
            self._snapshot, self._document = event, event.content

    def parts(self) -> Iterator[events.Event]:
        yield msgspec.structs.replace(self._snapshot, content=self._document)


_CONTENT_OF: dict[type[events.Event], type[events.Event]] = {
    events.TextMessageStart: events.TextMessageContent,
    events.TextMessageEnd: events.TextMessageContent,
    events.ToolCallStart: events.ToolCallArgs,
    events.ToolCallEnd: events.ToolCallArgs,
    events.ReasoningMessageStart: events.ReasoningMessageContent,
    events.ReasoningMessageEnd: events.ReasoningMessageContent,
}


def _id_of(event: _Start | _Content | _End) -> str:
    if isinstance(event, (events.ToolCallStart, events.ToolCallArgs, events.ToolCallEnd)):
        return event.tool_call_id
    return event.message_id


def _content_event(kind: type[events.Event], id_: str, text: str) -> events.Event:
    if kind is events.ToolCallArgs:
        return events.ToolCallArgs(tool_call_id=id_, delta=text)
    if kind is events.TextMessageContent:
        return events.TextMessageContent(message_id=id_, delta=text)
    return events.ReasoningMessageContent(message_id=id_, delta=text)
