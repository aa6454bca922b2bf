"""How checkpoints lie in Redis.

A thread is two keys: a hash with all its values, and a sorted set of the names of its checkpoints and writes, whose
equal scores make it a list in alphabetical order, which can be asked for the names that begin with a prefix.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from time import time
from typing import NamedTuple, TypeVar, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import get_checkpoint_id
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from ...runtime.stores.redis import translated
from ...runtime.stores.retry import retry_unavailable
from ...runtime.stores.settings import StoreSettings

T = TypeVar("T")

_CHECKPOINT, _BLOB, _WRITE = "c", "b", "w"


class Place(NamedTuple):
    """Where a checkpoint belongs."""

    thread_id: str
    namespace: str
    checkpoint_id: str

    @classmethod
    def of(cls, config: RunnableConfig) -> Place:
        """Return the checkpoint that a configuration names; its id is empty if it names none."""
        given = config["configurable"]
        return cls(str(given["thread_id"]), given.get("checkpoint_ns", ""), get_checkpoint_id(config) or "")

    @property
    def config(self) -> RunnableConfig:
        """The configuration that names the checkpoint."""
        return {"configurable": dict(zip(("thread_id", "checkpoint_ns", "checkpoint_id"), self, strict=True))}

    @property
    def name(self) -> str:
        """The field that holds the checkpoint."""
        return _name(_CHECKPOINT, self.namespace, self.checkpoint_id)

    def write_name(self, task_id: str, index: int) -> str:
        """Return the field that holds one of the checkpoint's writes."""
        return _name(_WRITE, self.namespace, self.checkpoint_id, task_id, str(index))

    def blob_name(self, channel: str, version: str | float) -> str:
        """Return the field that holds a channel's value, shared by the checkpoints with this version of it."""
        return _name(_BLOB, self.namespace, channel, str(version))


def _name(*parts: str) -> str:
    return "\0".join(parts)


def _beginning(*parts: str) -> tuple[bytes, bytes]:
    prefix = _name(*parts).encode()
    return b"[" + prefix + b"\0", b"(" + prefix + b"\1"


class CheckpointRecords:
    """Named values of threads on a Redis server.

    Args:
        client: A client that repeats nothing by itself (``runtime.stores.redis.connect``).
        settings: ``prefix`` of all keys; ``ttl``, after which a thread that nothing was written to is
            forgotten; ``retry_for``, since every operation is safe to repeat.
    """

    def __init__(self, client: Redis, settings: StoreSettings) -> None:
        self._client = client
        self._settings = settings
        self._threads = f"{settings.prefix}:checkpointed"

    async def write(
        self, thread_id: str, fields: dict[str, bytes], first: dict[str, bytes], names: Sequence[str]
    ) -> None:
        """Set ``fields``, and those of ``first`` that are not there yet, and list ``names``, all at once."""
        await self._retry_unavailable(lambda: self._write(thread_id, fields, first, names))

    async def places(self, thread_id: str, namespace: str | None, limit: int | None = None) -> list[Place]:
        """Return the thread's checkpoints, of one namespace or all, newest first in each."""
        low, high = _beginning(_CHECKPOINT) if namespace is None else _beginning(_CHECKPOINT, namespace)
        key = self._keys(thread_id)[1]
        start, count = (None, None) if limit is None else (0, limit)
        names = await self._retry_unavailable(lambda: self._client.zrevrangebylex(key, high, low, start, count))
        parts = [name.decode().split("\0") for name in cast("list[bytes]", names)]
        return [Place(thread_id, found, checkpoint_id) for _, found, checkpoint_id in parts]

    async def threads(self) -> list[str]:
        """Return the threads that have checkpoints, and perhaps some that were forgotten."""
        names = await self._retry_unavailable(lambda: self._client.zrange(self._threads, 0, -1))
        return [name.decode() for name in cast("list[bytes]", names)]

    async def read(self, places: Sequence[Place]) -> tuple[list[bytes | None], list[list[bytes]]]:
        """Return the checkpoints at ``places``, all of one thread, and the names of the writes of each."""
        return await self._retry_unavailable(lambda: self._read(places))

    async def values(self, thread_id: str, fields: Sequence[str]) -> dict[str, bytes]:
        """Return the values of those of ``fields`` that are there."""
        if not fields:
            return {}
        key = self._keys(thread_id)[0]
        found = cast("list[bytes | None]", await self._retry_unavailable(lambda: self._client.hmget(key, [*fields])))
        return {field: value for field, value in zip(fields, found, strict=True) if value is not None}

    async def remove(self, thread_id: str, places: Sequence[Place], blobs: Sequence[str]) -> None:
        """Delete checkpoints of a thread with their writes, and the fields ``blobs``."""
        await self._retry_unavailable(lambda: self._remove(thread_id, places, blobs))

    async def delete(self, thread_id: str) -> None:
        """Delete a thread."""
        await self._retry_unavailable(lambda: self._delete(thread_id))

    async def _write(
        self, thread_id: str, fields: dict[str, bytes], first: dict[str, bytes], names: Sequence[str]
    ) -> None:
        values_key, names_key = self._keys(thread_id)
        async with self._client.pipeline(transaction=True) as pipeline:
            for name, value in fields.items():
                pipeline.hset(values_key, name, value)
            for name, value in first.items():
                pipeline.hsetnx(values_key, name, value)
            if names:
                pipeline.zadd(names_key, dict.fromkeys(names, 0))
            pipeline.zadd(self._threads, {thread_id: time()})
            self._limit_life(pipeline, values_key, names_key)
            await pipeline.execute()

    def _limit_life(self, pipeline: Pipeline, *keys: str) -> None:
        ttl = self._settings.ttl
        if ttl is not None:
            for key in keys:
                pipeline.pexpire(key, int(ttl * 1000))
            pipeline.zremrangebyscore(self._threads, "-inf", time() - ttl)

    async def _read(self, places: Sequence[Place]) -> tuple[list[bytes | None], list[list[bytes]]]:
        values_key, names_key = self._keys(places[0].thread_id)
        async with self._client.pipeline(transaction=True) as pipeline:
            pipeline.hmget(values_key, [place.name for place in places])
            for place in places:
                low, high = _beginning(_WRITE, place.namespace, place.checkpoint_id)
                pipeline.zrangebylex(names_key, low, high)
            entries, *writes = await pipeline.execute()
        return entries, writes

    async def _remove(self, thread_id: str, places: Sequence[Place], blobs: Sequence[str]) -> None:
        _, writes = await self._read(places)
        names = [*(place.name for place in places), *(name.decode() for found in writes for name in found)]
        values_key, names_key = self._keys(thread_id)
        async with self._client.pipeline(transaction=True) as pipeline:
            pipeline.hdel(values_key, *names, *blobs)
            pipeline.zrem(names_key, *names)
            await pipeline.execute()

    async def _delete(self, thread_id: str) -> None:
        async with self._client.pipeline(transaction=True) as pipeline:
            pipeline.delete(*self._keys(thread_id))
            pipeline.zrem(self._threads, thread_id)
            await pipeline.execute()

    async def _retry_unavailable(self, work: Callable[[], Awaitable[T]]) -> T:
        async def attempt() -> T:
            with translated():
                return await work()

        return await retry_unavailable(attempt, self._settings.retry_for)

    def _keys(self, thread_id: str) -> tuple[str, str]:
        prefix = self._settings.prefix
        return f"{prefix}:checkpoints:values:{thread_id}", f"{prefix}:checkpoints:names:{thread_id}"
