"""Texts that an agent corrects once they have been streamed: a later step takes a secret out, or adds its sources."""

from __future__ import annotations

from collections.abc import Sequence
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
    texts = {id_: text for id_, text in _texts(snapshot) if id_ not in grown}
    return [event for each in run for event in _corrected(each, texts)]


def _texts(snapshot: events.MessagesSnapshot) -> list[tuple[Any, Any]]:
    answers = [message for message in snapshot.messages if message.get("role") == "assistant"]
    return [(message.get("id"), message.get("content")) for message in answers if _is_text(message.get("content"))]


def _is_text(content: Any) -> bool:
    return isinstance(content, str) and bool(content)


def _corrected(event: events.Event, texts: dict[Any, Any]) -> list[events.Event]:
    """Return what stands for an event: a text stands where it began."""
    if not isinstance(event, events.TextMessageContent) or event.message_id not in texts:
        return [event]
    text, texts[event.message_id] = texts[event.message_id], ""
    return [events.TextMessageContent(message_id=event.message_id, delta=text)] if text else []
