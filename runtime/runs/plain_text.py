"""The continuation of one text, which is nearly all that comes of a run.

A piece of the text that the last event continued needs little of what an event needs in general. The verifier has
seen the text open, and nothing has come since that could have closed it; and what is valid UTF-8 needs no cleaning.
Where the stages have promised to pass the text unchanged, what is left is one append to the log for each piece. Any
other event takes the general way, and decides whether what follows it may come this way again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import events
from .sanitizer import EventSanitizer
from .stages import Emit, Flow

_NO_TEXT = object()  # and not None, which a provider may give for an id


class PlainText:
    """The text that may be continued without further checks, if there is one.

    Args:
        sanitizer: Whether even plain text must be cleaned.
        flow: The stages that events pass; None if there are none.
    """

    def __init__(self, sanitizer: EventSanitizer, flow: Flow | None) -> None:
        self.message_id: object = _NO_TEXT
        """The text's message; equal to no id if the next event has to take the general way."""
        self.feed: Emit | None = None
        """Takes its pieces; None if they go to the log as they are."""
        self.asks_again = flow is not None and flow.may_pass_text
        """Whether pieces that are fed may come to go to the log as they are, for which each is to be followed."""
        self._sanitizer = sanitizer
        self._flow = flow

    def follow(self, event: Any) -> None:
        """Take note of an event that took the general way, or that was fed to the stages."""
        self.message_id = _NO_TEXT
        if type(event) is not events.TextMessageContent or self._sanitizer.sees_all:
            return
        self.message_id = event.message_id
        self.feed = None if self._flow is None or self._flow.passes_text(event.message_id) else self._flow.feed


def pieces_of(message_id: str, batch: Sequence[events.Event]) -> list[str] | None:
    """Return the pieces of a text that ``batch`` brings, without empty ones.

    Args:
        message_id: The text's message.
        batch: What was read from a log.

    Returns:
        None if something else is in the batch, or nothing is.
    """
    pieces = []
    for event in batch:
        if type(event) is not events.TextMessageContent or event.message_id != message_id:
            return None
        if event.delta:
            pieces.append(event.delta)
    return pieces if batch else None


def is_clean(text: str) -> bool:
    """Return whether a text has a form in UTF-8, so that it can be kept and sent as it is."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
