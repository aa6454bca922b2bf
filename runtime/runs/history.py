"""A thread's messages, as several runs leave them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from ..messages import Message


def merge_messages(
    kept: Sequence[Message], asked: Sequence[Message], added: Iterable[Message], since: datetime
) -> list[Message]:
    """What is to be kept of a thread after a run, each message once.

    What the page sent counts: what it left out behind a message that it did send was taken back there. What it left
    out before, it merely did not send again; and what was written after it asked, it could not know of.

    Args:
        kept: The messages kept so far.
        asked: Those that the page sent.
        added: Those that the run added.
        since: When the page asked.
    """
    sent = {message.id for message in asked}
    last_sent = max((index for index, message in enumerate(kept) if message.id in sent), default=len(kept))
    unsent = [(index, message) for index, message in enumerate(kept) if message.id not in sent]
    before = [message for index, message in unsent if index < last_sent]
    unknown = [message for index, message in unsent if index > last_sent and message.created_at >= since]
    return list({message.id: message for message in (*before, *asked, *unknown, *added)}.values())
