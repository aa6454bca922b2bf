"""How checkpoints lie in Redis.

A thread is two keys: a hash with all its values, and a sorted set of the names of its checkpoints and writes, whose
equal scores make it a list in alphabetical order, which can be asked for the names that begin with a prefix.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from time import time
from typing import Any, NamedTuple, TypeAlias, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import get_checkpoint_id

from ...runtime.stores.redis_client import RedisClient, Word
from ...runtime.stores.redis_errors import translated
from ...runtime.stores.redis_scripts import RedisScript
from ...runtime.stores.redis_shards import Shards
from ...runtime.stores.retry import retry_unavailable
from ...runtime.stores.settings import StoreSettings

T = TypeVar("T")

_CHECKPOINT, _BLOB, _WRITE = "c", "b", "w"
# KEYS: all that the commands name. ARGV: of each command, how many words it has, and these. A transaction, which
# redis-py has for one server only.
_TRANSACTION = """
local answers, place = {}, 1
while place <= #ARGV do
    local words = tonumber(ARGV[place])
    answers[#answers + 1] = redis.call(unpack(ARGV, place + 1, place + words))
    place = place + words + 1
end
return answers
"""
_Command: TypeAlias = Sequence[Word]


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
        client: A client that repeats nothing by itself (``runtime.stores.redis_servers.connect``).
        settings: ``prefix`` of all keys; ``ttl``, after which a thread that nothing was written to is
            forgotten; ``retry_for``, since every operation is safe to repeat.
    """

    def __init__(self, client: RedisClient, settings: StoreSettings) -> None:
        self._client = client
        self._settings = settings
        self._shards = Shards(client, settings.prefix)
        self._transaction = RedisScript(client, _TRANSACTION)

    async def write(
        self, thread_id: str, fields: dict[str, bytes], first: dict[str, bytes], names: Sequence[str]
    ) -> None:
        """Set ``fields``, and those of ``first`` that are not there yet, and list ``names``, all at once."""
        await self._retry_unavailable(lambda: self._write(thread_id, fields, first, names))

    async def places(self, thread_id: str, namespace: str | None, limit: int | None = None) -> list[Place]:
        """Return the thread's checkpoints, of one namespace or all, newest first in each."""
        low, high = _beginning(_CHECKPOINT) if namespace is None else _beginning(_CHECKPOINT, namespace)
        page = () if limit is None else ("LIMIT", 0, limit)
        command = ("ZREVRANGEBYLEX", self._keys(thread_id)[1], high, low, *page)
        names: list[bytes] = await self._retry_unavailable(lambda: self._client.execute_command(*command))
        parts = [name.decode().split("\0") for name in names]
        return [Place(thread_id, found, checkpoint_id) for _, found, checkpoint_id in parts]

    async def threads(self) -> list[str]:
        """Return the threads that have checkpoints, and perhaps some that were forgotten."""

        async def read() -> list[Any]:
            async with self._client.pipeline(transaction=False) as pipeline:
                for shard in self._shards.all:
                    pipeline.execute_command("ZRANGE", f"{shard}:checkpointed", 0, -1)
                return await pipeline.execute()

        return [name.decode() for names in await self._retry_unavailable(read) for name in names]

    async def read(self, places: Sequence[Place]) -> tuple[list[bytes | None], list[list[bytes]]]:
        """Return the checkpoints at ``places``, all of one thread, and the names of the writes of each."""
        return await self._retry_unavailable(lambda: self._read(places))

    async def values(self, thread_id: str, fields: Sequence[str]) -> dict[str, bytes]:
        """Return the values of those of ``fields`` that are there."""
        if not fields:
            return {}
        key = self._keys(thread_id)[0]
        found = await self._retry_unavailable(lambda: self._client.execute_command("HMGET", key, *fields))
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
        values, listed, threads = self._keys(thread_id)
        commands: list[_Command] = [["HSET", values, name, value] for name, value in fields.items()]
        commands += [["HSETNX", values, name, value] for name, value in first.items()]
        commands += [["ZADD", listed, 0, name] for name in names]
        commands.append(["ZADD", threads, time(), thread_id])
        await self._do(thread_id, [*commands, *self._limits(thread_id)])

    def _limits(self, thread_id: str) -> list[_Command]:
        ttl = self._settings.ttl
        if ttl is None:
            return []
        values, listed, threads = self._keys(thread_id)
        lives: list[_Command] = [["PEXPIRE", key, int(ttl * 1000)] for key in (values, listed)]
        return [*lives, ["ZREMRANGEBYSCORE", threads, "-inf", time() - ttl]]

    async def _read(self, places: Sequence[Place]) -> tuple[list[bytes | None], list[list[bytes]]]:
        values, listed, _ = self._keys(places[0].thread_id)
        commands: list[_Command] = [["HGET", values, place.name] for place in places]
        commands += [
            ["ZRANGEBYLEX", listed, *_beginning(_WRITE, place.namespace, place.checkpoint_id)] for place in places
        ]
        answers = await self._do(places[0].thread_id, commands)
        return answers[: len(places)], answers[len(places) :]

    async def _remove(self, thread_id: str, places: Sequence[Place], blobs: Sequence[str]) -> None:
        _, writes = await self._read(places)
        names = [*(place.name for place in places), *(name.decode() for found in writes for name in found)]
        values, listed, _ = self._keys(thread_id)
        commands: list[_Command] = [["HDEL", values, name] for name in (*names, *blobs)]
        await self._do(thread_id, [*commands, *(["ZREM", listed, name] for name in names)])

    async def _delete(self, thread_id: str) -> None:
        values, listed, threads = self._keys(thread_id)
        await self._do(thread_id, [["DEL", values, listed], ["ZREM", threads, thread_id]])

    async def _do(self, thread_id: str, commands: Sequence[_Command]) -> list[Any]:
        """Do all commands or none, and return the answers."""
        words = [word for command in commands for word in (len(command), *command)]
        answers: list[Any] = await self._transaction(self._keys(thread_id), words)
        return answers

    async def _retry_unavailable(self, work: Callable[[], Awaitable[T]]) -> T:
        async def attempt() -> T:
            with translated():
                return await work()

        return await retry_unavailable(attempt, self._settings.retry_for)

    def _keys(self, thread_id: str) -> list[str]:
        shard = self._shards.of(thread_id)
        kept = f"{shard}:checkpoints"
        return [f"{kept}:values:{thread_id}", f"{kept}:names:{thread_id}", f"{shard}:checkpointed"]
