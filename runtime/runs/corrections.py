"""Texts that an agent corrects once they have been streamed: a later step takes a secret out, or adds its sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .. import events


def with_corrections(run: Sequence[events.Event]) -> Sequence[events.Event]:
    """Return a run whose messages have the texts that its last snapshot of the thread has for them.

    Args:
        run: The events of a run that has ended.
    """
    place = next(
        (place for place in reversed(range(len(run))) if isinstance(run[place], events.MessagesSnapshot)), None
    )
    if place is None:
        return run
    grown = {event.message_id for event in run[place:] if isinstance(event, events.TextMessageContent)}
    snapshot: Any = run[place]
    texts = {id_: text for id_, text in answers_of(snapshot.messages) if id_ not in grown}
    return [event for each in run for event in _corrected(each, texts)]


def answers_of(thread: Iterable[Any]) -> list[tuple[str, str]]:
    """Return the id and the text of each of a snapshot's messages that an agent wrote, as far as they have both."""
    answers = (item for item in thread if isinstance(item, dict) and item.get("role") == "assistant")
    written = ((item.get("id"), item.get("content")) for item in answers)
    return [(id_, text) for id_, text in written if isinstance(id_, str) and isinstance(text, str) and text]


def _corrected(event: events.Event, texts: dict[str, str]) -> list[events.Event]:
    """Return what stands for an event: a text stands where it began."""
    if not isinstance(event, events.TextMessageContent) or event.message_id not in texts:
        return [event]
    text, texts[event.message_id] = texts[event.message_id], ""
    return [events.TextMessageContent(message_id=event.message_id, delta=text)] if text else []
