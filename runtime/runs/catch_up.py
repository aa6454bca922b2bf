"""What a reader lacks that has fallen behind the log: the rest of a run whose front is compacted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import msgspec

from .. import events

EventKey: TypeAlias = tuple[type[events.Event], str]
"""A kind of event, and the message or call that it is about."""

_CONTENTS = (events.TextMessageContent, events.ToolCallArgs, events.ReasoningMessageContent)
_ONCE = (
    events.TextMessageStart,
    events.ToolCallStart,
    events.ReasoningStart,
    events.ReasoningMessageStart,
    events.TextMessageEnd,
    events.ToolCallEnd,
    events.ReasoningMessageEnd,
    events.ReasoningEnd,
    events.ToolCallResult,
)


class ReadEvents:
    """What has been read of a run, in as far as it must not be read again.

    Args:
        once: The starts, ends and results that have been read.
        characters: How much of each text and of each call's arguments.
        customs: How many custom events.
        counts: Which custom events are meant; the others come again.
    """

    def __init__(
        self,
        once: Iterable[EventKey] = (),
        characters: Counter[EventKey] | None = None,
        customs: int = 0,
        counts: Callable[[events.Custom], bool] = lambda _: True,
    ) -> None:
        self._once = set(once)
        self._characters: Counter[EventKey] = Counter() if characters is None else characters
        self._customs = customs
        self._counts = counts

    def note(self, batch: Iterable[events.Event]) -> None:
        """Take note of what is read."""
        for event in batch:
            kind = type(event)
            if kind in _CONTENTS:
                self._characters[event_key(event)] += len(_delta(event))
            elif kind in _ONCE:
                self._once.add(event_key(event))
            elif kind is events.Custom:
                self._customs += 1

    def rest_of(self, whole: Iterable[events.Event]) -> Iterator[events.Event]:
        """Return what has not been read of all events of a run. State and activities come again, whole."""
        customs, characters = self._customs, Counter(self._characters)
        for event in whole:
            kind = type(event)
            if kind in _CONTENTS:
                text, key = _delta(event), event_key(event)
                cut = min(characters[key], len(text))
                characters[key] -= cut
                if cut < len(text):
                    yield _with_delta(event, text[cut:]) if cut else event
            elif isinstance(event, events.Custom) and customs and self._counts(event):
                customs -= 1
            elif kind not in _ONCE or event_key(event) not in self._once:
                yield event


def event_key(event: Any) -> EventKey:
    """Return the kind of an event and the message or call that it is about."""
    id_ = event.tool_call_id if hasattr(event, "tool_call_id") else event.message_id
    return type(event), id_


def _delta(event: Any) -> str:
    return str(event.delta)


def _with_delta(event: Any, delta: str) -> events.Event:
    return msgspec.structs.replace(event, delta=delta)  # type: ignore[no-any-return]
