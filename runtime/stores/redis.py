"""The store on a Redis server, 6.2 or newer, without modules.

A thread is one hash: its owner, times and name, and for each agent a mark, and a version, two times and the payload.
A sorted set orders all threads by their last write, and one more those of each owner. What must happen at once is a
script.

One more hash leads from a thread's key (``thread_keys``) to the spelling of its id that everything is kept under. Its
entry and the place in the sorted set outlive the thread's hash, whose time is limited. So a thread that was
forgotten can be recognised as different from one that never was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import quote

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    TimeoutError,
)
from typing_extensions import override

from ..errors import ConfigurationError, StoreError
from .errors import StoreUnavailableError
from .interface import ThreadInfo
from .locks import Standing, Ticket, TicketDesk
from .records import Place, Record, RecordStore, Stamp, moment
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
_DELETE = """
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner then redis.call('ZREM', KEYS[2] .. ':' .. owner, ARGV[1]) end
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('HGET', KEYS[3], ARGV[2]) == ARGV[1] then redis.call('HDEL', KEYS[3], ARGV[2]) end
return redis.call('DEL', KEYS[1])
"""
_LIST = """
local prefix, owner, limit, below = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local found = {}
while #found < limit do
    local batch = redis.call(
        'ZREVRANGEBYSCORE', KEYS[1], below, '-inf', 'WITHSCORES', 'LIMIT', 0, limit - #found)
    if #batch == 0 then break end
    for i = 1, #batch, 2 do
        local key = prefix .. batch[i]
        local head = redis.call('HMGET', key, 'owner', 'created', 'updated', 'name', 'archived')
        if head[3] and (owner == '' or owner == head[1]) then
            found[#found + 1] = {batch[i], head, redis.call('HKEYS', key)}
        elseif owner ~= '' then
            redis.call('ZREM', KEYS[1], batch[i])
        end
        below = '(' .. batch[i + 1]
    end
end
return found
"""

_QUEUE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function parse(place)
    local seq, expires, stop = string.match(place, '^(%d+) (%d+) (%d)$')
    return tonumber(seq), tonumber(expires), stop
end
local function put(token, seq, expires, stop)
    redis.call('HSET', KEYS[1], token, string.format('%.0f %.0f %s', seq, expires, stop))
end
"""
_ENTER = f"""{_QUEUE}
local token, lease = ARGV[1], tonumber(ARGV[2])
local queue = redis.call('HGETALL', KEYS[1])
local first, last, mine, stopped = nil, 0, nil, '0'
for i = 1, #queue, 2 do
    local seq, expires, stop = parse(queue[i + 1])
    if expires < now then
        redis.call('HDEL', KEYS[1], queue[i])
    else
        if not first or seq < first then first = seq end
        if seq > last then last = seq end
        if queue[i] == token then mine, stopped = seq, stop end
    end
end
mine = mine or last + 1
put(token, mine, now + lease, stopped)
redis.call('PEXPIRE', KEYS[1], lease)
return {{(first or mine) == mine and 1 or 0, stopped}}
"""
# KEYS: of each ticket, its lock's. ARGV: lease, then the tokens. Returns of each '' if it has run out, else its stop.
_RENEW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease, answers = tonumber(ARGV[1]), {}
for number, key in ipairs(KEYS) do
    local token = ARGV[number + 1]
    local place = redis.call('HGET', key, token)
    local seq, expires, stop = string.match(place or '', '^(%d+) (%d+) (%d)$')
    if seq and tonumber(expires) >= now then
        redis.call('HSET', key, token, string.format('%s %.0f %s', seq, now + lease, stop))
        redis.call('PEXPIRE', key, lease)
    end
    answers[number] = seq and tonumber(expires) >= now and stop or ''
end
return answers
"""
_STOP = f"""{_QUEUE}
local before = redis.call('HGET', KEYS[1], ARGV[1])
local limit = before and parse(before)
local queue = redis.call('HGETALL', KEYS[1])
for i = 1, #queue, 2 do
    local seq, expires = parse(queue[i + 1])
    if not limit or seq < limit then put(queue[i], seq, expires, '1') end
end
"""


_CLUSTER = (
    "The store's URL is that of a node of a Redis Cluster. What belongs to a thread is written together with the lists"
    " of all threads and runs, which a cluster keeps on other nodes: use one Redis server, with replicas, for each"
    " deployment."
)


RENEWED_AT_ONCE = 256
"""How many tickets one operation renews at most, so that others need not wait for it."""


def connect(url: str, settings: StoreSettings) -> Redis:
    """Return a client with a bounded pool, which waits no longer than ``settings`` allows and repeats nothing.

    Raises:
        ConfigurationError: The URL is not one of a Redis server.
    """
    options: dict[str, Any] = {
        "max_connections": settings.pool_size,
        "timeout": settings.command_timeout,
        "socket_timeout": settings.command_timeout,
        "socket_connect_timeout": settings.connect_timeout,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    try:
        pool = BlockingConnectionPool.from_url(url, **options)
    except ValueError as error:
        raise ConfigurationError(f"The store's URL is not a valid Redis URL: {error}") from error
    return Redis.from_pool(pool)


@contextmanager
def translated() -> Iterator[None]:
    """Turn what redis-py raises into the errors of stores."""
    try:
        yield
    except AuthenticationError as error:
        raise StoreError("The state store rejected the credentials.") from error
    except (BusyLoadingError, ConnectionError, ReadOnlyError, TimeoutError, OSError) as error:
        raise StoreUnavailableError from error
    except RedisError as error:
        raise StoreError("The state store rejected a command.") from error


def _milliseconds(seconds: float) -> int:
    return max(int(seconds * 1000), 1)


class RedisTickets(TicketDesk):
    """Tickets in a hash for each lock: token to place in the queue, expiry, and whether to stop."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._enter = client.register_script(_ENTER)
        self._renew = client.register_script(_RENEW)
        self._stop = client.register_script(_STOP)

    @override
    async def enter(self, ticket: Ticket, lease: float) -> Standing:
        with translated():
            first, stop = await self._enter([self._key(*ticket[:2])], [ticket.token, _milliseconds(lease)])
        return Standing(first == 1, stop == b"1")

    @override
    async def renew(self, tickets: Sequence[Ticket], lease: float) -> dict[str, bool]:
        stops: dict[str, bool] = {}
        for start in range(0, len(tickets), RENEWED_AT_ONCE):
            group = tickets[start : start + RENEWED_AT_ONCE]
            keys = [self._key(*ticket[:2]) for ticket in group]
            with translated():
                answers = await self._renew(keys, [_milliseconds(lease), *(ticket.token for ticket in group)])
            stops |= {ticket.token: stop == b"1" for ticket, stop in zip(group, answers, strict=True) if stop}
        return stops

    @override
    async def leave(self, ticket: Ticket) -> None:
        with translated():
            await self._client.hdel(self._key(*ticket[:2]), ticket.token)

    @override
    async def request_stop(self, thread_id: str, agent_name: str, before: str | None) -> None:
        with translated():
            await self._stop([self._key(thread_id, agent_name)], [before or ""])

    def _key(self, thread_id: str, agent_name: str) -> str:
        return f"{self._prefix}:lock:{quote(thread_id, safe='')}:{quote(agent_name, safe='')}"


class RedisStore(RecordStore):
    """Keeps states on a Redis server.

    Args:
        url: ``redis://`` or ``rediss://``, as redis-py reads it.
        settings: The limits, and the prefix of all keys.
    """

    def __init__(self, url: str, settings: StoreSettings | None = None) -> None:
        settings = settings or StoreSettings()
        self._client = connect(url, settings)
        self._write_script = self._client.register_script(_WRITE)
        self._claim_script = self._client.register_script(_CLAIM)
        self._delete_script = self._client.register_script(_DELETE)
        self._list_script = self._client.register_script(_LIST)
        self._thread_script = self._client.register_script(_THREAD)
        self._open_script = self._client.register_script(_OPEN)
        self._describe_script = self._client.register_script(_DESCRIBE)
        self._index = f"{settings.prefix}:threads"
        self._spellings = f"{settings.prefix}:spellings"
        super().__init__(RedisTickets(self._client, settings.prefix), settings)

    @property
    def client(self) -> Redis:
        """What is connected to, for the runs that are kept beside the states."""
        return self._client

    @override
    async def _open(self) -> None:
        await self._refuse_cluster()
        with translated():
            threads = await self._client.zcard(self._index)
            if threads > await self._client.hlen(self._spellings):
                await self._set_spellings()

    async def _refuse_cluster(self) -> None:
        with translated():
            try:
                found = await self._client.info("cluster")
            except NoPermissionError:
                return
        if found.get("cluster_enabled"):
            raise ConfigurationError(_CLUSTER)

    @override
    async def _close(self) -> None:
        await self._client.aclose()

    @override
    async def _ping(self) -> None:
        with translated():
            await self._client.ping()

    @override
    async def _read(self, keys: Sequence[tuple[str, str]]) -> list[Record | None]:
        with translated():
            async with self._client.pipeline(transaction=False) as pipeline:
                for thread_id, agent_name in keys:
                    fields = [f"{field}:{agent_name}" for field in "dvcu"]
                    pipeline.hmget(self._key(thread_id), [*fields, "owner"])
                rows = await pipeline.execute()
        return [None if row[0] is None else _record(*row) for row in rows]

    @override
    async def _write(self, thread_id: str, agent_name: str, payload: bytes, expected: int | None) -> Stamp | None:
        condition = "" if expected is None else str(expected)
        arguments: list[str | bytes | int] = [
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
        index = self._index if owner is None else f"{self._index}:{owner}"
        below = "+inf" if after is None else f"({after.updated}"
        with translated():
            rows = await self._list_script([index], [self._key(""), owner or "", limit, below])
        return [_info(*row) for row in rows]

    @override
    async def _thread(self, thread_id: str) -> ThreadInfo | None:
        with translated():
            row = await self._thread_script(self._keys(""), [thread_id, thread_key(thread_id)])
        return None if row is None else _info(*row)

    @override
    async def _open_thread(self, thread_id: str, owner: str | None, agent_name: str | None) -> ThreadInfo | None:
        given: list[str | int] = [thread_id, owner or "", agent_name or "", self._ttl(), thread_key(thread_id)]
        with translated():
            row = await self._open_script(self._keys(""), given)
        return None if row is None else _info(*row)

    @override
    async def _expired(self, limit: int) -> list[str]:
        if self._settings.ttl is None:
            return []
        with translated():
            seconds, micros = await self._client.time()
            oldest = int(seconds) * 1_000_000 + int(micros) - int(self._settings.ttl * 1_000_000)
            found = await self._client.zrangebyscore(self._index, "-inf", f"({oldest}", start=0, num=limit)
            names = [name.decode() for name in cast("list[bytes]", found)]
            living = await self._exist(names)
        return [name for name, lives in zip(names, living, strict=True) if not lives]

    async def _exist(self, thread_ids: Sequence[str]) -> list[int]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for thread_id in thread_ids:
                pipeline.exists(self._key(thread_id))
            return cast("list[int]", await pipeline.execute())

    @override
    async def _describe(self, thread_id: str, changes: dict[str, Any]) -> bool:
        ((field, value),) = changes.items()
        text = value if isinstance(value, str) else "1" if value else ""
        with translated():
            spelling = await self._spelling(thread_id)
            return bool(await self._describe_script([self._key(spelling)], [field, text]))

    @override
    async def _delete(self, thread_id: str) -> bool:
        key = thread_key(thread_id)
        with translated():
            spellings = dict.fromkeys((thread_id, await self._spelling(thread_id)))
            deleted = [await self._delete_script(self._keys(each), [each, key]) for each in spellings]
        return any(deleted)

    @override
    async def _claim(self, thread_id: str, owner: str) -> bool:
        with translated():
            spelling = await self._spelling(thread_id, keep=True)
            arguments: list[str | int] = [spelling, owner, self._ttl(), thread_key(thread_id)]
            return bool(await self._claim_script(self._keys(spelling), arguments))

    @override
    async def _owner(self, thread_id: str) -> str | None:
        with translated():
            key = self._key(await self._spelling(thread_id))
            return _text(await cast("Awaitable[bytes | None]", self._client.hget(key, "owner")))

    async def _spelling(self, thread_id: str, *, keep: bool = False) -> str:
        """Return the spelling that the thread is kept under; ``keep`` makes ``thread_id`` it if there is none yet."""
        key = thread_key(thread_id)
        if keep:
            await self._client.hsetnx(self._spellings, key, thread_id)
        known = await cast("Awaitable[bytes | None]", self._client.hget(self._spellings, key))
        return known.decode() if known is not None else thread_id

    async def _set_spellings(self) -> None:
        """Lead keys to the threads that an earlier release kept; of several spellings of one, to the oldest."""
        names = [name.decode() for name in cast("list[bytes]", await self._client.zrange(self._index, 0, -1))]
        async with self._client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.hget(self._key(name), "created")
            created = await pipeline.execute()
            for _, name in sorted((int(when), name) for when, name in zip(created, names, strict=True) if when):
                pipeline.hsetnx(self._spellings, thread_key(name), name)
            await pipeline.execute()

    def _keys(self, thread_id: str) -> list[str]:
        return [self._key(thread_id), self._index, self._spellings]

    def _key(self, thread_id: str) -> str:
        return f"{self._settings.prefix}:thread:{thread_id}"

    def _ttl(self) -> int:
        return 0 if self._settings.ttl is None else _milliseconds(self._settings.ttl)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _record(payload: bytes, version: bytes, created: bytes, updated: bytes, owner: bytes | None) -> Record:
    return Record(payload, Stamp(int(version), _text(owner), int(created), int(updated)))


def _info(thread_id: bytes, head: list[bytes | None], fields: list[bytes], expired: int = 0) -> ThreadInfo:
    owner, created, updated, name, archived = head
    return ThreadInfo(
        thread_id=thread_id.decode(),
        owner=_text(owner),
        agents=sorted({field[2:].decode() for field in fields if field.startswith((b"v:", b"a:"))}),
        created_at=moment(int(created or 0)),
        updated_at=moment(int(updated or 0)),
        name=_text(name),
        archived=archived is not None,
        expired=bool(expired),
    )
