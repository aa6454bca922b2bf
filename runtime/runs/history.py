"""A thread's messages, as several runs leave them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import dropwhile

from ..messages import Message, TextMessage


def without_instructions(messages: Iterable[Message]) -> list[Message]:
    """Returns the messages without the system messages at their head.

    Clients prepend their instructions to every request, under a new id each time. A thread that kept them would give
    one more of them back after every turn.
    """
    return list(dropwhile(lambda message: isinstance(message, TextMessage) and message.role == "system", messages))


def merge_messages(
    kept: Sequence[Message], asked: Sequence[Message], added: Iterable[Message], since: datetime
) -> list[Message]:
    """Returns what is to be kept of a thread after a run, each message once.

    What the client sent counts: what it left out behind a message that it did send was taken back there. What it left
    out before, it merely did not send again; and what was written after the request, it could not have seen. Its
    instructions are not part of the thread.

    Args:
        kept: The messages kept so far.
        asked: Those that the client sent.
        added: Those that the run added.
        since: When the request arrived.
    """
    kept, asked = without_instructions(kept), without_instructions(asked)
    sent = {message.id for message in asked}
    last_sent = max((index for index, message in enumerate(kept) if message.id in sent), default=len(kept))
    unsent = [(index, message) for index, message in enumerate(kept) if message.id not in sent]
    before = [message for index, message in unsent if index < last_sent]
    unknown = [message for index, message in unsent if index > last_sent and message.created_at >= since]
    return list({message.id: message for message in (*before, *asked, *unknown, *added)}.values())
