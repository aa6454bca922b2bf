"""The one canonical form of a thread id, under which its owner is kept."""

from __future__ import annotations

import re
from functools import lru_cache
from uuid import NAMESPACE_URL, UUID, uuid5

_UUID = re.compile(
    r"(?:ck-)?(?:urn:uuid:)?\{?([0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12})\}?",
    re.ASCII | re.IGNORECASE,
)

_REMEMBERED_CHARACTERS = 128


def thread_key(thread_id: str) -> str:
    """Fold all spellings of a thread id into one UUID.

    Servers of agents take UUIDs in any spelling, and hash other ids to one. Whoever writes an id in another way, or
    writes its hash, must find the same owner.
    """
    return _remembered(thread_id) if len(thread_id) <= _REMEMBERED_CHARACTERS else _key(thread_id)


def _key(thread_id: str) -> str:
    spelled = _UUID.fullmatch(thread_id)
    return str(UUID(spelled[1])) if spelled else str(uuid5(NAMESPACE_URL, thread_id))


# A run looks its thread up half a dozen times.
_remembered = lru_cache(maxsize=1024)(_key)
