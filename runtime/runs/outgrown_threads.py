"""Threads that have outgrown the place where they are kept: what can be left out of them, and what stays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from ..media import word_for
from ..messages import ImageMessage, MediaMessage, Message
from ..stores.interface import AgentState
from .history import is_users

NOT_KEPT = "no longer kept"


def shortened(kept: AgentState, excess: int, room: int) -> AgentState | None:
    """Return what is kept of a thread so that it takes ``excess`` bytes less, and ``room`` more if that can be had.

    A word stands for each attachment that is left out, oldest first; if that is not enough, the oldest turns are left
    out. A run that could not be stored would be an error, and so would be every later one of the thread.

    Returns:
        None if even without all earlier turns it takes too much: then it is the state, or the newest turn.
    """
    messages, freed = _without_media(kept.messages, excess + room)
    first = 0
    for begin, end in pairwise(_turns(messages)):
        if freed >= excess + room:
            break
        freed += _size(messages[begin:end])
        first = end
    return msgspec.structs.replace(kept, messages=messages[first:]) if freed >= excess else None


def _without_media(messages: Iterable[Message], excess: int) -> tuple[list[Message], int]:
    """Return messages without the oldest attachments, and how many bytes these took."""
    short: list[Message] = []
    freed = 0
    for message in messages:
        if freed >= excess or not isinstance(message, ImageMessage | MediaMessage):
            short.append(message)
            continue
        word = word_for(message, NOT_KEPT)
        freed += _size([message]) - _size([word])
        short.append(word)
    return short, freed


def _turns(messages: Sequence[Message]) -> list[int]:
    """Return where turns begin: at the thread's first message, and at a user's that follows one of somebody else's."""
    begins = [
        index
        for index, message in enumerate(messages)
        if index and is_users(message) and not is_users(messages[index - 1])
    ]
    return [0, *begins]


def _size(messages: Sequence[Message]) -> int:
    return len(msgspec.json.encode(messages))
