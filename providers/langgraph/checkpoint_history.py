"""Which of a thread's checkpoints are still of use, and which only take space.

Each checkpoint holds the whole conversation, so that keeping all of them costs the square of a thread's length.
Resuming and taking over need the newest one; regenerating or editing a turn needs those of the turn and the one
before it. Older turns are regenerated in place, from the newest checkpoint.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from msgspec import Struct

MOST_CHECKPOINTS = 100
"""How many checkpoints of a thread's graph are kept, however few turns they are."""

_DELTAS = "counters_since_delta_snapshot"

Blob: TypeAlias = tuple[str, str, Any]
"""A channel's value: namespace, channel and version."""


class ListedCheckpoint(Struct, frozen=True):
    """A checkpoint without its values."""

    namespace: str
    id: str
    parent_id: str | None
    metadata: Mapping[str, Any]
    versions: Mapping[str, Any] = {}

    @property
    def root_id(self) -> str:
        """The root graph's checkpoint whose step this subgraph's is part of."""
        parents = self.metadata.get("parents")
        return str(parents.get("", "")) if isinstance(parents, Mapping) else ""

    @property
    def blobs(self) -> set[Blob]:
        """The values that the checkpoint needs."""
        return {(self.namespace, channel, version) for channel, version in self.versions.items()}


@runtime_checkable
class TrimsHistory(Protocol):
    """A saver that can delete old checkpoints of a thread."""

    async def trim(self, thread_id: str, turns: int) -> None:
        """Delete the checkpoints that neither the newest one nor the last ``turns`` turns need."""


def expired(listed: Sequence[ListedCheckpoint], turns: int) -> list[ListedCheckpoint]:
    """Return the checkpoints of one thread that the last ``turns`` turns do not need.

    A thread with delta channels, whose checkpoints need those before them, keeps all.
    """
    if any(each.metadata.get(_DELTAS) for each in listed):
        return []
    roots = _kept_roots({each.id: each for each in listed if not each.namespace}, turns)
    newest = _newest_of_lasting(listed)
    return [each for each in listed if not _is_kept(each, roots, newest)]


def unused_blobs(listed: Iterable[ListedCheckpoint], gone: Collection[ListedCheckpoint]) -> set[Blob]:
    """Return the values that only the checkpoints in ``gone`` need."""
    names = {(each.namespace, each.id) for each in gone}
    used = {blob for each in listed if (each.namespace, each.id) not in names for blob in each.blobs}
    return {blob for each in gone for blob in each.blobs} - used


def _kept_roots(roots: Mapping[str, ListedCheckpoint], turns: int) -> set[str]:
    """Return the newest checkpoint and its ancestors, back to the one before the first of the turns."""
    kept: set[str] = set()
    current = roots[max(roots)] if roots else None
    while current is not None and current.id not in kept and len(kept) < MOST_CHECKPOINTS:
        kept.add(current.id)
        if turns <= 0:
            break
        parent = roots.get(current.parent_id or "")
        # A turn that was regenerated begins behind the beginning of the one that it replaces.
        turns -= _begins_turn(current) and not (parent and _begins_turn(parent))
        current = parent
    return kept


def _begins_turn(checkpoint: ListedCheckpoint) -> bool:
    return checkpoint.metadata.get("source") == "input"


def _newest_of_lasting(listed: Iterable[ListedCheckpoint]) -> dict[str, str]:
    """Return the newest checkpoint of each subgraph that remembers earlier runs: its namespace names no task."""
    newest: dict[str, str] = {}
    for each in listed:
        if each.namespace and ":" not in each.namespace:
            newest[each.namespace] = max(each.id, newest.get(each.namespace, ""))
    return newest


def _is_kept(each: ListedCheckpoint, roots: Collection[str], newest: Mapping[str, str]) -> bool:
    if not each.namespace:
        return each.id in roots
    return each.root_id in roots or newest.get(each.namespace) == each.id
