"""Checkpoints on a Redis server without modules; the framework's own Redis saver needs RediSearch and RedisJSON."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import msgspec
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_checkpoint_metadata,
)

from ...runtime.stores.redis_client import RedisClient
from ...runtime.stores.settings import StoreSettings
from .checkpoint_history import ListedCheckpoint, expired, unused_blobs
from .redis_records import CheckpointRecords, Place
from .serializer import CheckpointSerializer

T = TypeVar("T")

_PAGE = 50

_Typed = tuple[str, bytes]


class _Checkpoint(msgspec.Struct, array_like=True):
    checkpoint: _Typed
    metadata: _Typed
    parent: str | None


class _Write(msgspec.Struct, array_like=True):
    task_id: str
    index: int
    channel: str
    value: _Typed
    task_path: str


class _Found(NamedTuple):
    """A checkpoint, and the names of what else belongs to it: its writes, and its values by channel."""

    place: Place
    entry: _Checkpoint
    checkpoint: Checkpoint
    writes: Sequence[str]
    blobs: dict[str, str]


_pack = msgspec.msgpack.Encoder().encode
_unpack_checkpoint = msgspec.msgpack.Decoder(_Checkpoint).decode
_unpack_write = msgspec.msgpack.Decoder(_Write).decode
_unpack_blob = msgspec.msgpack.Decoder(_Typed).decode


class RedisSaver(BaseCheckpointSaver[str]):
    """Keeps checkpoints on Redis 6.2 or newer.

    Its synchronous methods serve graphs that are invoked from another thread than the loop's, as the
    framework's own asynchronous savers do.

    Args:
        client: A client that repeats nothing by itself (``runtime.stores.redis_servers.connect``).
        settings: ``prefix`` of all keys; ``ttl``, after which a thread that nothing was written to is
            forgotten; ``retry_for``, since every operation is safe to repeat.
    """

    def __init__(self, client: RedisClient, settings: StoreSettings) -> None:
        super().__init__(serde=CheckpointSerializer(strict=True))
        self._records = CheckpointRecords(client, settings)
        self._loop = asyncio.get_running_loop()

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint that ``config`` names, or else the newest of its thread and namespace."""
        place = Place.of(config)
        if not place.checkpoint_id:
            places = await self._records.places(place.thread_id, place.namespace, limit=1)
        else:
            places = [place]
        return next(iter(await self._tuples(places)), None)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints, newest first.

        Args:
            config: Only those of its thread, and of its namespace and id if it names them.
            filter: Only those whose metadata have these values.
            before: Only those older than the one named here.
            limit: How many at most.
        """
        left = limit
        for places in await self._pages(config, get_checkpoint_id(before) if before else None):
            for found in await self._tuples(places):
                if left is not None and left <= 0:
                    return
                if _matches(found.metadata, filter):
                    left = left and left - 1
                    yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint; only the channels with new versions are written."""
        parent = Place.of(config)
        place = parent._replace(checkpoint_id=checkpoint["id"])
        values = checkpoint["channel_values"]
        bare = {**checkpoint, "channel_values": {}}
        entry = _Checkpoint(
            self.serde.dumps_typed(bare),
            self.serde.dumps_typed(get_checkpoint_metadata(config, metadata)),
            parent.checkpoint_id or None,
        )
        fields = {
            place.blob_name(channel, version): _pack(self.serde.dumps_typed(values[channel]))
            for channel, version in new_versions.items()
            if channel in values
        }
        fields[place.name] = _pack(entry)
        await self._records.write(place.thread_id, fields, {}, [place.name])
        return place.config

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep a task's writes. Those the framework has special indices for replace earlier ones."""
        place = Place.of(config)
        replacing: dict[str, bytes] = {}
        first: dict[str, bytes] = {}
        for position, (channel, value) in enumerate(writes):
            index = WRITES_IDX_MAP.get(channel, position)
            name = place.write_name(task_id, index)
            entry = _Write(task_id, index, channel, self.serde.dumps_typed(value), task_path)
            (first if index >= 0 else replacing)[name] = _pack(entry)
        await self._records.write(place.thread_id, replacing, first, [*first, *replacing])

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread."""
        await self._records.delete(str(thread_id))

    async def trim(self, thread_id: str, turns: int) -> None:
        """Delete the checkpoints that neither the newest one nor the last ``turns`` turns need."""
        places = await self._records.places(thread_id, None)
        if not places:
            return
        entries, _ = await self._records.read(places)
        listed = [self._listed(place, entry) for place, entry in zip(places, entries, strict=True) if entry]
        gone = expired(listed, turns)
        if not gone:
            return
        removed = [Place(thread_id, each.namespace, each.id) for each in gone]
        blobs = [Place(thread_id, namespace, "").blob_name(*blob) for namespace, *blob in unused_blobs(listed, gone)]
        await self._records.remove(thread_id, removed, blobs)

    def _listed(self, place: Place, packed: bytes) -> ListedCheckpoint:
        entry = _unpack_checkpoint(packed)
        versions = self.serde.loads_typed(entry.checkpoint)["channel_versions"]
        metadata = self.serde.loads_typed(entry.metadata)
        return ListedCheckpoint(place.namespace, place.checkpoint_id, entry.parent, metadata, versions)

    def get_next_version(self, current: str | None, channel: None) -> str:
        """Return a channel's next version: a number that sorts as text, and a random part that distinguishes forks."""
        number = 0 if current is None else int(str(current).split(".")[0])
        return f"{number + 1:032}.{random.random():016}"  # noqa: S311

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """``aget_tuple`` for other threads than the loop's."""
        return self._from_thread(self.aget_tuple(config))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """``alist`` for other threads than the loop's."""

        async def collect() -> Sequence[CheckpointTuple]:
            return [found async for found in self.alist(config, filter=filter, before=before, limit=limit)]

        yield from self._from_thread(collect())

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """``aput`` for other threads than the loop's."""
        return self._from_thread(self.aput(config, checkpoint, metadata, new_versions))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """``aput_writes`` for other threads than the loop's."""
        self._from_thread(self.aput_writes(config, writes, task_id, task_path))

    def delete_thread(self, thread_id: str) -> None:
        """``adelete_thread`` for other threads than the loop's."""
        self._from_thread(self.adelete_thread(thread_id))

    def _from_thread(self, operation: Coroutine[Any, Any, T]) -> T:
        try:
            own = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            own = False
        if own:
            operation.close()
            raise asyncio.InvalidStateError("On the event loop's own thread, use the asynchronous methods.")
        return asyncio.run_coroutine_threadsafe(operation, self._loop).result()

    async def _pages(self, config: RunnableConfig | None, before: str | None) -> Sequence[Sequence[Place]]:
        wanted = config["configurable"] if config else {}
        namespace, checkpoint_id = wanted.get("checkpoint_ns"), wanted.get("checkpoint_id")
        threads = [str(wanted["thread_id"])] if config else await self._records.threads()
        pages: deque[Sequence[Place]] = deque()
        for thread_id in threads:
            places = [
                place
                for place in await self._records.places(thread_id, namespace)
                if (not checkpoint_id or place.checkpoint_id == checkpoint_id)
                and (not before or place.checkpoint_id < before)
            ]
            places.sort(key=lambda place: place.checkpoint_id, reverse=True)
            pages.extend(places[start : start + _PAGE] for start in range(0, len(places), _PAGE))
        return pages

    async def _tuples(self, places: Sequence[Place]) -> Sequence[CheckpointTuple]:
        """Return the checkpoints at ``places``, all of one thread; those that are not there are left out."""
        if not places:
            return []
        rows = zip(places, *await self._records.read(places), strict=True)
        present = [self._found(place, entry, names) for place, entry, names in rows if entry]
        fields = {name for found in present for name in (*found.writes, *found.blobs.values())}
        values = await self._records.values(places[0].thread_id, sorted(fields))
        return [self._tuple(found, values) for found in present]

    def _found(self, place: Place, packed: bytes, names: Sequence[bytes]) -> _Found:
        entry = _unpack_checkpoint(packed)
        checkpoint = self.serde.loads_typed(entry.checkpoint)
        versions = checkpoint["channel_versions"].items()
        blobs = {channel: place.blob_name(channel, version) for channel, version in versions}
        return _Found(place, entry, checkpoint, [name.decode() for name in names], blobs)

    def _tuple(self, found: _Found, values: dict[str, bytes]) -> CheckpointTuple:
        parent = found.entry.parent
        blobs = {
            channel: self.serde.loads_typed(_unpack_blob(values[name]))
            for channel, name in found.blobs.items()
            if name in values
        }
        writes = [_unpack_write(values[name]) for name in found.writes if name in values]
        writes.sort(key=lambda write: (write.task_path, write.task_id, write.index))
        return CheckpointTuple(
            config=found.place.config,
            checkpoint={**found.checkpoint, "channel_values": blobs},
            metadata=self.serde.loads_typed(found.entry.metadata),
            parent_config=found.place._replace(checkpoint_id=parent).config if parent else None,
            pending_writes=[(write.task_id, write.channel, self.serde.loads_typed(write.value)) for write in writes],
        )


def _matches(metadata: CheckpointMetadata, wanted: dict[str, Any] | None) -> bool:
    present = cast("dict[str, Any]", metadata)
    return all(present.get(key) == value for key, value in (wanted or {}).items())
