"""Texts of a run: an answer is not sent twice, and a message keeps the id that it was streamed with."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from ...runtime import events
from ..event_groups import text_message

if TYPE_CHECKING:
    from ...runtime.events import Event


class TextLog:
    """Records the text messages of one run."""

    def __init__(self) -> None:
        self._open: dict[str, list[str]] = {}
        self._ids: dict[str, str] = {}
        self._last = ""

    def watch(self, event: Event) -> None:
        """Record ``event``."""
        match event:
            case events.TextMessageContent():
                self._open.setdefault(event.message_id, []).append(event.delta)
            case events.TextMessageEnd():
                self._last = "".join(self._open.pop(event.message_id, ()))
                self._ids[self._last] = event.message_id

    @property
    def anything(self) -> bool:
        """Whether the run sent any text."""
        return bool(self._ids or self._open)

    def ends_with(self, text: str) -> bool:
        """Return whether the last message was ``text``, or ended in it, as an agent's reasoning ends in its answer."""
        return self._last.strip().endswith(text.strip())

    def id_of(self, text: object) -> str:
        """Return the id that ``text`` was sent under, or a fresh one."""
        id_ = self._ids.get(text) if isinstance(text, str) else None
        return id_ or str(uuid4())


def message(text: str) -> list[Event]:
    """Return the events of a whole message, under an id of its own."""
    return text_message(str(uuid4()), text)


def message_id(message_events: list[Event]) -> str:
    """Return the id of what ``message`` made."""
    return next(event.message_id for event in message_events if isinstance(event, events.TextMessageStart))
