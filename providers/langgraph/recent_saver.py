"""Checkpoints in memory that does not grow with a thread's length."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple
from langgraph.checkpoint.memory import InMemorySaver
from msgspec import Struct, field

from .checkpoint_history import ListedCheckpoint, expired
from .serializer import CheckpointSerializer


class _Kept(Struct):
    """The checkpoints of one thread, oldest first, apart for the root graph and for its subgraphs."""

    roots: OrderedDict[tuple[str, str], ChannelVersions] = field(default_factory=OrderedDict)
    nested: OrderedDict[tuple[str, str], ChannelVersions] = field(default_factory=OrderedDict)
    uses: Counter[tuple[str, str, Any]] = field(default_factory=Counter)
    prunes: bool = True
    size: int = 0


class RecentMemorySaver(InMemorySaver):
    """LangGraph's saver in memory, which forgets old checkpoints and the threads that were used least recently.

    Each checkpoint holds all messages, so that keeping every one costs the square of a thread's length. A thread
    that has a delta channel, whose checkpoints need those before them, is kept whole.

    Args:
        checkpoints: How many checkpoints of a thread are kept: of its graph, and as many of all its subgraphs. A run
            of a graph takes as many as it makes steps, and two.
        threads: How many threads are kept.
        max_bytes: How many bytes all of them take; of the thread that is written to, the newest checkpoints of its
            graph and of its subgraphs stay in any case.
    """

    def __init__(self, *, checkpoints: int = 100, threads: int = 10_000, max_bytes: int = 256 << 20) -> None:
        super().__init__(serde=CheckpointSerializer(strict=False))  # what it holds never leaves the process
        self._checkpoints = checkpoints
        self._threads = threads
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    @property
    def size(self) -> int:
        """How many bytes all checkpoints take."""
        return self._bytes

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint, or None. Asking for a thread that there is not leaves no trace of it."""
        return super().get_tuple(config) if config["configurable"]["thread_id"] in self._kept else None

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint, in place of the oldest one if there are too many."""
        written = super().put(config, checkpoint, metadata, new_versions)
        named = written["configurable"]
        kept = self._touch(named["thread_id"])
        kept.prunes = kept.prunes and not metadata.get("counters_since_delta_snapshot")
        place = named["thread_id"], named["checkpoint_ns"], named["checkpoint_id"]
        self._add(kept, place[1:], dict(checkpoint["channel_versions"]))
        blobs = (self.blobs.get((*place[:2], *version)) for version in new_versions.items())
        self._count(kept, self._checkpoint_size(place) + sum(len(blob[1]) for blob in blobs if blob is not None))
        self._prune(named["thread_id"], kept)
        return written

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep a task's writes."""
        named = config["configurable"]
        place = named["thread_id"], named.get("checkpoint_ns", ""), named["checkpoint_id"]
        before = self._writes_size(place)
        super().put_writes(config, writes, task_id, task_path)
        if named["thread_id"] in self._kept:
            self._count(self._kept[named["thread_id"]], self._writes_size(place) - before)

    def delete_thread(self, thread_id: str) -> None:
        """Delete a thread."""
        kept = self._kept.pop(thread_id, _Kept())
        for checkpoints in (kept.roots, kept.nested):
            for key in list(checkpoints):
                self._forget(thread_id, kept, checkpoints, key)
        self.storage.pop(thread_id, None)
        self._count(kept, -kept.size)

    async def trim(self, thread_id: str, turns: int) -> None:
        """Delete the checkpoints that neither the newest one nor the last ``turns`` turns need."""
        kept = self._kept.get(thread_id)
        if kept is None or not kept.prunes:
            return
        for each in expired([*self._listed(thread_id)], turns):
            key = each.namespace, each.id
            self._forget(thread_id, kept, kept.nested if each.namespace else kept.roots, key)

    def _listed(self, thread_id: str) -> Iterator[ListedCheckpoint]:
        for namespace, checkpoints in self.storage[thread_id].items():
            for id_, (_, metadata, parent_id) in checkpoints.items():
                yield ListedCheckpoint(namespace, id_, parent_id, self.serde.loads_typed(metadata))

    def _touch(self, thread_id: str) -> _Kept:
        kept = self._kept.setdefault(thread_id, _Kept())
        self._kept.move_to_end(thread_id)
        if len(self._kept) > self._threads:
            self.delete_thread(next(iter(self._kept)))
        return kept

    def _add(self, kept: _Kept, key: tuple[str, str], versions: ChannelVersions) -> None:
        checkpoints = kept.nested if key[0] else kept.roots
        if key not in checkpoints:
            checkpoints[key] = versions
            kept.uses.update((key[0], *version) for version in versions.items())

    def _prune(self, thread_id: str, kept: _Kept) -> None:
        for checkpoints in (kept.roots, kept.nested):
            while kept.prunes and len(checkpoints) > self._checkpoints:
                self._forget(thread_id, kept, checkpoints, next(iter(checkpoints)))
        self._shrink(thread_id, kept)

    def _shrink(self, thread_id: str, kept: _Kept) -> None:
        """Let go of the threads that were used least recently, then of this one's oldest checkpoints."""
        while self._bytes > self._max_bytes and len(self._kept) > 1:
            self.delete_thread(next(iter(self._kept)))
        for checkpoints in (kept.nested, kept.roots):
            while kept.prunes and self._bytes > self._max_bytes and len(checkpoints) > 1:
                self._forget(thread_id, kept, checkpoints, next(iter(checkpoints)))

    def _count(self, kept: _Kept, size: int) -> None:
        kept.size += size
        self._bytes += size

    def _checkpoint_size(self, place: tuple[str, str, str]) -> int:
        checkpoint, metadata, _ = self.storage[place[0]][place[1]][place[2]]
        return len(checkpoint[1]) + len(metadata[1])

    def _writes_size(self, place: tuple[str, str, str]) -> int:
        return sum(len(write[2][1]) for write in self.writes.get(place, {}).values())

    def _forget(
        self,
        thread_id: str,
        kept: _Kept,
        checkpoints: OrderedDict[tuple[str, str], ChannelVersions],
        key: tuple[str, str],
    ) -> None:
        namespace, checkpoint_id = key
        for version in checkpoints.pop(key).items():
            self._release(thread_id, kept, (namespace, *version))
        place = thread_id, namespace, checkpoint_id
        self._count(kept, -self._writes_size(place) - self._checkpoint_size(place))
        self.writes.pop(place, None)
        remaining = self.storage[thread_id][namespace]
        remaining.pop(checkpoint_id, None)
        if not remaining:
            del self.storage[thread_id][namespace]

    def _release(self, thread_id: str, kept: _Kept, blob: tuple[str, str, Any]) -> None:
        kept.uses[blob] -= 1
        if not kept.uses[blob]:
            del kept.uses[blob]
            _, content = self.blobs.pop((thread_id, *blob), ("empty", b""))
            self._count(kept, -len(content))
