"""Shorten a run's events to what a late reader needs: one entry per message, tool call and state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar

from .. import events
from .folded_events import (
    CONTENT_OF,
    CONTENTS,
    Content,
    End,
    Folded,
    FoldedActivity,
    FoldedState,
    Start,
    StreamedText,
    id_of,
)

PIECES = frozenset((events.TextMessageContent, events.ToolCallArgs))
"""The events that are pieces of an agent's texts."""
_BORDERS = frozenset((events.AGENT_ENTERED, events.AGENT_LEFT))


def compact(run: Iterable[events.Event]) -> list[events.Event]:
    """Return the compacted form of one or several runs' events; nothing crosses a run's border.

    Raises:
        ProtocolError: A state delta does not fit.
    """
    compactor = Compactor()
    compactor.add_all(list(run))
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
        self._unfolded = 0  # how many events have come since texts were folded
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

    def add_all(self, run: Sequence[events.Event]) -> None:
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
        self._unfolded += len(run)
        # Not after each call, if so many texts are open: an agent may open one with each event.
        if self._unfolded >= sum(map(len, self._open.values())):
            self._fold()

    @property
    def pieces(self) -> int:
        """How many pieces of texts and of arguments have come."""
        streamed = (entry for entry in self._entries.values() if isinstance(entry, StreamedText))
        return sum(len(each.text) for each in streamed if each.content in PIECES)

    def compacted(self) -> list[events.Event]:
        """Return the compacted form of all events so far. Later events do not change the result."""
        return [*self._finished, *self._current()]

    def _fold(self) -> None:
        self._unfolded = 0
        for opened in self._open.values():
            for streamed in opened.values():
                streamed.text.fold()

    def _begin(self) -> None:
        self._entries: dict[int, events.Event | Folded] = {}
        self._next = 0
        self._open: dict[type[events.Event], dict[str, StreamedText]] = {content: {} for content in CONTENTS}
        self._resting: dict[type[events.Event], dict[str, StreamedText]] = {content: {} for content in CONTENTS}
        self._steps: dict[str, list[int]] = {}
        self._results: dict[str, int] = {}
        self._activities: dict[str, FoldedActivity] = {}
        self._snapshot: int | None = None
        self._continued: list[tuple[StreamedText, int]] = []
        self._state = FoldedState(known=True)
        self._state_place: int | None = None

    def _current(self) -> Iterator[events.Event]:
        for entry in self._entries.values():
            if isinstance(entry, (StreamedText, FoldedState, FoldedActivity)):
                yield from entry.parts()
            else:
                yield entry

    def _keep(self, entry: events.Event | Folded) -> int:
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

    def _start(self, event: Start) -> None:
        content, id_ = CONTENT_OF[type(event)], id_of(event)
        streamed = StreamedText(content, id_, event)
        self._open[content][id_] = streamed
        self._keep(streamed)

    def _content(self, event: Content) -> None:
        streamed = self._opened(type(event), id_of(event))
        if streamed is None:
            self._keep(event)
        else:
            streamed.text.pieces.append(event.delta)

    def _end(self, event: End) -> None:
        content, id_ = CONTENT_OF[type(event)], id_of(event)
        streamed = self._opened(content, id_)
        self._open[content].pop(id_, None)
        if streamed is None:
            self._keep(event)
        else:
            streamed.end = event
            streamed.text.close()

    def _opened(self, content: type[events.Event], id_: str) -> StreamedText | None:
        """Return what an open text's next piece belongs to; behind a snapshot of the thread, a part of its own."""
        first = self._resting[content].pop(id_, None)
        if first is None:
            return self._open[content].get(id_)
        self._open[content][id_] = rest = StreamedText(content, id_, None)
        self._continued.append((first, self._keep(rest)))
        return rest

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
            self._state, self._state_place = FoldedState(known=False), None
        self._keep(event)

    def _activity(self, event: events.ActivitySnapshot | events.ActivityDelta) -> None:
        activity = self._activities.get(event.message_id)
        if activity is not None:
            activity.change(event)
        elif isinstance(event, events.ActivitySnapshot):
            self._activities[event.message_id] = activity = FoldedActivity(event)
            self._keep(activity)
        else:
            self._keep(event)

    def _messages_snapshot(self, event: events.MessagesSnapshot) -> None:
        """Keep the last snapshot where it came: text that was added later must not come before it."""
        if self._snapshot is not None:
            del self._entries[self._snapshot]
        self._rejoin()
        self._snapshot = self._keep(event)
        for content, opened in self._open.items():
            self._resting[content].update(opened)
            opened.clear()

    def _rejoin(self) -> None:
        for first, place in self._continued:
            rest = self._entries.pop(place)
            if isinstance(rest, StreamedText):
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
