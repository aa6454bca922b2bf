"""The store on a Redis server, 6.2 or newer, without modules.

A thread is one hash: its owner, times and name, and for each agent a mark, and a version, two times and the payload.
A sorted set orders all threads by their last write, and one more those of each owner. What must happen at once is a
script.

One more hash leads from a thread's key (``thread_keys``) to the spelling of its id that everything is kept under. Its
entry and the place in the sorted set outlive the thread's hash, whose time is limited. So a thread that was
forgotten can be recognised as different from one that never was.

In a cluster all this is kept for each shard by itself (``redis_shards``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.exceptions import (
    NoPermissionError,
)
from typing_extensions import override

from ..errors import ConfigurationError
from .interface import ThreadInfo
from .records import Place, Record, RecordStore, Stamp
from .redis_client import RedisClient, Word
from .redis_cluster import RedisCluster
from .redis_errors import translated
from .redis_listing import ThreadList, thread_info
from .redis_scripts import Call, RedisScript, milliseconds
from .redis_servers import connect
from .redis_shards import Shards
from .redis_tickets import RedisTickets
from .settings import StoreSettings
from .thread_keys import thread_key

_NOW = """
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
"""
_TOUCH = """
local function touch(key, thread, created, ttl)
    redis.call('HSETNX', key, 'created', created)
    redis.call('HSET', key, 'updated', created)
    redis.call('ZADD', KEYS[2], created, thread)
    local owner = redis.call('HGET', key, 'owner')
    if owner then redis.call('ZADD', KEYS[2] .. ':' .. owner, created, thread) end
    redis.call('HSETNX', KEYS[3], ARGV[#ARGV], thread)
    if ttl > 0 then redis.call('PEXPIRE', key, ttl) end
    return owner
end
"""
_WRITE = f"""
local thread, agent, payload, expected, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local version = tonumber(redis.call('HGET', KEYS[1], 'v:' .. agent) or 0)
if expected ~= '' and tonumber(expected) ~= version then return false end
{_NOW}{_TOUCH}
local owner = touch(KEYS[1], thread, now, ttl)
redis.call('HSETNX', KEYS[1], 'c:' .. agent, now)
redis.call('HSET', KEYS[1], 'v:' .. agent, version + 1, 'u:' .. agent, now, 'd:' .. agent, payload)
return {{version + 1, owner, redis.call('HGET', KEYS[1], 'c:' .. agent), now}}
"""
# KEYS: the beginning of the threads' keys, then the index and the spellings. ARGV: the thread, ..., and its key last.
_FIND = """
local function find(thread)
    local key = KEYS[1] .. thread
    local head = redis.call('HMGET', key, 'owner', 'created', 'updated', 'name', 'archived')
    if head[3] then return {thread, head, redis.call('HKEYS', key)} end
    local updated = redis.call('ZSCORE', KEYS[2], thread)
    if updated then return {thread, {false, updated, updated, false, false}, {}, 1} end
    return false
end
"""
_THREAD = f"""{_FIND}
return find(redis.call('HGET', KEYS[3], ARGV[2]) or ARGV[1])
"""
_OPEN = f"""{_FIND}
redis.call('HSETNX', KEYS[3], ARGV[#ARGV], ARGV[1])
local thread = redis.call('HGET', KEYS[3], ARGV[#ARGV])
local key, claimant, agent, ttl = KEYS[1] .. thread, ARGV[2], ARGV[3], tonumber(ARGV[4])
local living = redis.call('EXISTS', key) == 1
if not living and redis.call('ZSCORE', KEYS[2], thread) then return find(thread) end
local owner = redis.call('HGET', key, 'owner')
if living and claimant ~= '' and owner ~= claimant then return false end
if not living and claimant ~= '' then redis.call('HSET', key, 'owner', claimant) end
if agent ~= '' then redis.call('HSET', key, 'a:' .. agent, '1') end
{_NOW}{_TOUCH}
touch(key, thread, now, ttl)
return find(thread)
"""
_DESCRIBE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if ARGV[3] ~= '' and redis.call('HGET', KEYS[1], 'owner') ~= ARGV[3] then return 0 end
if ARGV[2] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return 1
"""
_CLAIM = f"""
local thread, claimant, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3])
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= claimant then return 0 end
redis.call('HSET', KEYS[1], 'owner', claimant)
{_NOW}{_TOUCH}
touch(KEYS[1], thread, now, ttl)
return 1
"""
# ARGV: the thread, whether it is disowned, for how long that is kept, and the thread's key.
_DELETE = f"""
local thread, disowned, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3])
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner then redis.call('ZREM', KEYS[2] .. ':' .. owner, thread) end
redis.call('ZREM', KEYS[2], thread)
if redis.call('HGET', KEYS[3], ARGV[4]) == thread then redis.call('HDEL', KEYS[3], ARGV[4]) end
local deleted = redis.call('DEL', KEYS[1])
if disowned ~= '' then
    {_NOW}{_TOUCH}
    touch(KEYS[1], thread, now, ttl)
end
return deleted
"""
_EXPIRED = """
local time, prefix = redis.call('TIME'), ARGV[1]
local oldest = string.format('(%.0f', time[1] * 1000000 + time[2] - ARGV[2])
local found = {}
for _, thread in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', oldest, 'LIMIT', 0, ARGV[3])) do
    if redis.call('EXISTS', prefix .. thread) == 0 then found[#found + 1] = thread end
end
return found
"""


_TAKES_WRITES = """
redis.call('HSET', KEYS[1], 'written', 1)
redis.call('PEXPIRE', KEYS[1], 60000)
"""

_CLUSTER = (
    "The store's URL is that of a node of a Redis Cluster, where keys have other names than on one server: add"
    " ?cluster=true to it."
)


class RedisStore(RecordStore):
    """Keeps states on a Redis server.

    Args:
        url: ``redis://`` or ``rediss://``, as redis-py reads it.
        settings: The limits, and the prefix of all keys.
    """

    def __init__(self, url: str, settings: StoreSettings | None = None) -> None:
        settings = settings or StoreSettings()
        self._client = connect(url, settings)
        self._shards = Shards(self._client, settings.prefix)
        self._threads = ThreadList(self._client, self._shards)
        self._write_script = RedisScript(self._client, _WRITE)
        self._claim_script = RedisScript(self._client, _CLAIM)
        self._delete_script = RedisScript(self._client, _DELETE)
        self._expired_script = RedisScript(self._client, _EXPIRED)
        self._thread_script = RedisScript(self._client, _THREAD)
        self._open_script = RedisScript(self._client, _OPEN)
        self._describe_script = RedisScript(self._client, _DESCRIBE)
        self._takes_writes_script = RedisScript(self._client, _TAKES_WRITES)
        super().__init__(RedisTickets(self._client, self._shards), settings)

    @property
    def client(self) -> RedisClient:
        """What is connected to, for the runs that are kept beside the states."""
        return self._client

    @override
    async def _open(self) -> None:
        await self._reach()
        if isinstance(self._client, RedisCluster):
            return
        await self._refuse_cluster()
        with translated():
            _, index, spellings = self._keys("")
            threads = await self._client.execute_command("ZCARD", index)
            if threads > await self._client.execute_command("HLEN", spellings):
                await self._set_spellings(index, spellings)

    async def _refuse_cluster(self) -> None:
        with translated():
            try:
                found = await self._client.execute_command("INFO", "cluster")
            except NoPermissionError:
                return
        if found.get("cluster_enabled"):
            raise ConfigurationError(_CLUSTER)

    @override
    async def _close(self) -> None:
        await self._client.aclose()

    @override
    async def _ping(self) -> None:
        if isinstance(self._client, RedisCluster):  # one node that takes no writes is that of its threads alone
            await self._reach()
            return
        with translated():
            await self._takes_writes_script([f"{self.settings.prefix}:ready"], [])

    async def _reach(self) -> None:
        with translated():
            await self._client.execute_command("PING")

    @override
    async def _read(self, keys: Sequence[tuple[str, str]]) -> list[Record | None]:
        with translated():
            async with self._client.pipeline(transaction=False) as pipeline:
                for thread_id, agent_name in keys:
                    fields = [f"{field}:{agent_name}" for field in "dvcu"]
                    pipeline.execute_command("HMGET", self._key(thread_id), *fields, "owner")
                rows = await pipeline.execute()
        return [None if row[0] is None else _record(*row) for row in rows]

    @override
    async def _write(self, thread_id: str, agent_name: str, payload: bytes, expected: int | None) -> Stamp | None:
        condition = "" if expected is None else str(expected)
        arguments: list[Word] = [
            thread_id,
            agent_name,
            payload,
            condition,
            self._ttl(),
            thread_key(thread_id),
        ]
        with translated():
            row = await self._write_script(self._keys(thread_id), arguments)
        if row is None:
            return None
        version, owner, created, updated = row
        return Stamp(version, _text(owner), int(created), int(updated))

    @override
    async def _list(self, owner: str | None, limit: int, after: Place | None) -> list[ThreadInfo]:
        with translated():
            return await self._threads.newest(owner, limit, after)

    @override
    async def _thread(self, thread_id: str) -> ThreadInfo | None:
        with translated():
            row = await self._thread_script(self._beginnings(thread_id), [thread_id, thread_key(thread_id)])
        return None if row is None else thread_info(*row)

    @override
    async def _open_thread(self, thread_id: str, owner: str | None, agent_name: str | None) -> ThreadInfo | None:
        given: list[Word] = [thread_id, owner or "", agent_name or "", self._ttl(), thread_key(thread_id)]
        with translated():
            row = await self._open_script(self._beginnings(thread_id), given)
        return None if row is None else thread_info(*row)

    @override
    async def _expired(self, limit: int) -> list[str]:
        if self._settings.ttl is None:
            return []
        age = int(self._settings.ttl * 1_000_000)
        calls: list[Call] = [([f"{shard}:threads"], [f"{shard}:thread:", age, limit]) for shard in self._shards.all]
        with translated():
            found = await self._expired_script.all(calls)
        return [name.decode() for names in found for name in names][:limit]

    @override
    async def _describe(self, thread_id: str, changes: dict[str, Any], owner: str | None) -> bool:
        ((field, value),) = changes.items()
        text = value if isinstance(value, str) else "1" if value else ""
        with translated():
            spelling = await self._spelling(thread_id)
            return bool(await self._describe_script([self._key(spelling)], [field, text, owner or ""]))

    @override
    async def _delete(self, thread_id: str, *, disown: bool = False) -> bool:
        key, deleted = thread_key(thread_id), []
        with translated():
            kept_under = await self._spelling(thread_id)
            for each in dict.fromkeys((thread_id, kept_under)):
                given: list[Word] = [each, "1" if disown and each == kept_under else "", self._ttl(), key]
                deleted.append(await self._delete_script(self._keys(each), given))
        return any(deleted)

    @override
    async def _claim(self, thread_id: str, owner: str) -> bool:
        with translated():
            spelling = await self._spelling(thread_id, keep=True)
            arguments: list[Word] = [spelling, owner, self._ttl(), thread_key(thread_id)]
            return bool(await self._claim_script(self._keys(spelling), arguments))

    @override
    async def _owner(self, thread_id: str) -> str | None:
        with translated():
            key = self._key(await self._spelling(thread_id))
            return _text(await self._client.execute_command("HGET", key, "owner"))

    async def _spelling(self, thread_id: str, *, keep: bool = False) -> str:
        """Return the spelling that the thread is kept under; ``keep`` makes ``thread_id`` that if it has none yet."""
        key, spellings = thread_key(thread_id), self._keys(thread_id)[2]
        if keep:
            await self._client.execute_command("HSETNX", spellings, key, thread_id)
        return _text(await self._client.execute_command("HGET", spellings, key)) or thread_id

    async def _set_spellings(self, index: str, spellings: str) -> None:
        """Lead keys to the threads that an earlier release kept; of several spellings of one, to the oldest."""
        names = [name.decode() for name in await self._client.execute_command("ZRANGE", index, 0, -1)]
        async with self._client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.execute_command("HGET", self._key(name), "created")
            created = await pipeline.execute()
            for _, name in sorted((int(when), name) for when, name in zip(created, names, strict=True) if when):
                pipeline.execute_command("HSETNX", spellings, thread_key(name), name)
            await pipeline.execute()

    def _beginnings(self, thread_id: str) -> list[str]:
        """Return what the keys of the thread's shard begin with, and its lists: of threads, and of spellings."""
        shard = self._shards.of(thread_id)
        return [f"{shard}:thread:", f"{shard}:threads", f"{shard}:spellings"]

    def _keys(self, thread_id: str) -> list[str]:
        beginning, index, spellings = self._beginnings(thread_id)
        return [beginning + thread_id, index, spellings]

    def _key(self, thread_id: str) -> str:
        return self._keys(thread_id)[0]

    def _ttl(self) -> int:
        return 0 if self._settings.ttl is None else milliseconds(self._settings.ttl)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _record(payload: bytes, version: bytes, created: bytes, updated: bytes, owner: bytes | None) -> Record:
    return Record(payload, Stamp(int(version), _text(owner), int(created), int(updated)))
