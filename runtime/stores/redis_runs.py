"""The runs on a Redis server.

A run is a hash, and a stream of batches whose entry ids are the numbers of their last events. A sorted set for each
thread has the numbers of its runs, and one for all has the leases of those that go on; in a cluster, one for each
shard (``redis_shards``). What is written and read of many runs is one script for each shard.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast
from urllib.parse import quote

import msgspec
from typing_extensions import override

from .group_reader import RunBatches, Wanted
from .group_writer import RunBatch
from .records import moment
from .redis_client import RedisClient, Word
from .redis_errors import translated
from .redis_news import RedisNews
from .redis_scripts import Call, RedisScript
from .redis_shards import Shards
from .run_log import GRACE_SECONDS, RUNS_IN_GRACE, RunLogStore, batches_each
from .run_news import OVER, NewsLine
from .run_records import (
    Base,
    Batch,
    NewRun,
    Progress,
    RunKey,
    RunLostError,
    RunOutcome,
    RunRecord,
    StoredStatus,
    decode_about,
    stops_of,
)
from .settings import StoreSettings

MAX_BATCHES = 4096
"""How many batches of a run that goes on are kept one by one."""

NAMED_RUNS = 4096
"""Of how many runs the names of their keys are remembered: making them costs more than the rest of a batch."""

_pack = msgspec.msgpack.Encoder().encode

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function text(number) return string.format('%.0f', number) end
local function expire(key, seconds)
    if tonumber(seconds) > 0 then redis.call('EXPIRE', key, seconds) end
end
"""
# KEYS: the thread's numbers, leases. ARGV: prefix of the thread's runs, owner, lease, ttl, thread, run id, agent, about
_OPEN = f"""{_NOW}
local prefix, owner, lease, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0)[1]
local number = text((newest or 0) + 1)
local run = prefix .. number
redis.call('ZADD', KEYS[1], number, number)
redis.call('HSET', run, 'thread', ARGV[5], 'number', number, 'run', ARGV[6], 'agent', ARGV[7], 'about', ARGV[8],
    'owner', owner, 'status', 'running', 'last', 0, 'started', text(now), 'updated', text(now))
redis.call('ZADD', KEYS[2], text(now + lease), run)
expire(KEYS[1], ttl)
expire(run, ttl)
return {{number, text(now)}}
"""
# KEYS: run, stream, leases, the thread's numbers. ARGV: owner, then each script's own
_OWNED = f"""{_NOW}
local kept = redis.call('HMGET', KEYS[1], 'owner', 'status', 'last', 'stop')
if kept[1] ~= ARGV[1] or kept[2] ~= 'running' then return false end
"""
# KEYS: leases. ARGV: in MessagePack, the owner, lease, ttl, the stream's bound, and of each run its key, that of the
# thread's numbers, first, last and payload. Returns the places of the runs that are to stop, counted from 1, and below
# zero those of the runs that are not the owner's.
_APPEND = f"""{_NOW}
local owner, lease, ttl, bound, batches = unpack(cmsgpack.unpack(ARGV[1]))
local expires, exceptions = text(now + lease), {{}}
for place, batch in ipairs(batches) do
    local run, numbers, first, last, payload = unpack(batch)
    local stream = run .. ':events'
    local kept = redis.call('HMGET', run, 'owner', 'status', 'last', 'stop')
    if kept[1] ~= owner or kept[2] ~= 'running' then
        exceptions[#exceptions + 1] = -place
    else
        if last > tonumber(kept[3]) then
            redis.call('XADD', stream, 'MAXLEN', '~', bound, text(last) .. '-0', 'f', text(first), 'd', payload)
            redis.call('HSET', run, 'last', text(last), 'updated', text(now))
            redis.call('PUBLISH', run, text(last))
        else
            redis.call('HSET', run, 'updated', text(now))
        end
        redis.call('ZADD', KEYS[1], expires, run)
        for _, key in ipairs({{run, stream, numbers}}) do expire(key, ttl) end
        if kept[4] == '1' then exceptions[#exceptions + 1] = place end
    end
end
return exceptions
"""
# KEYS and ARGV as above, but of each run its key and that of the thread's numbers alone.
_RENEW = f"""{_NOW}
local owner, lease, ttl, runs = unpack(cmsgpack.unpack(ARGV[1]))
local expires, exceptions = text(now + lease), {{}}
for place, names in ipairs(runs) do
    local run, numbers = unpack(names)
    local kept = redis.call('HMGET', run, 'owner', 'status', 'stop')
    if kept[1] ~= owner or kept[2] ~= 'running' then
        exceptions[#exceptions + 1] = -place
    else
        redis.call('ZADD', KEYS[1], expires, run)
        for _, key in ipairs({{run, run .. ':events', numbers}}) do expire(key, ttl) end
        if kept[3] == '1' then exceptions[#exceptions + 1] = place end
    end
end
return exceptions
"""
_COMPACT = f"""{_OWNED}
local last, payload = ARGV[2], ARGV[3]
redis.call('HSET', KEYS[1], 'base', payload, 'base_last', last, 'updated', text(now))
if tonumber(last) > tonumber(kept[3]) then redis.call('HSET', KEYS[1], 'last', last) end
redis.call('PUBLISH', KEYS[1], last)
redis.call('XTRIM', KEYS[2], 'MINID', text(last + 1) .. '-0')
return 1
"""
# ARGV: also the prefix of the thread's runs, and at the end, if there are any, the first of the last events and these
_CLOSE = f"""{_OWNED}
local last, payload, status, grace = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local max_runs, max_bytes, prefix, about = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], ARGV[9]
if about ~= '' then redis.call('HSET', KEYS[1], 'about', about) end
if ARGV[13] and tonumber(last) > tonumber(kept[3]) then
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[11], last .. '-0', 'f', ARGV[12], 'd', ARGV[13])
end
redis.call('HSET', KEYS[1], 'base', payload, 'base_last', last, 'last', last, 'status', status,
    'updated', text(now), 'size', #payload)
redis.call('ZREM', KEYS[3], KEYS[1])
redis.call('EXPIRE', KEYS[2], grace)
redis.call('PUBLISH', KEYS[1], last .. '!')
local size, place = 0, 0
for _, number in ipairs(redis.call('ZREVRANGE', KEYS[4], 0, -1)) do
    local run = prefix .. number
    local other = redis.call('HMGET', run, 'status', 'size')
    place = place + 1
    size = size + tonumber(other[2] or 0)
    if not other[1] then
        redis.call('ZREM', KEYS[4], number)
    elseif place > 1 and other[1] ~= 'running' and (place > max_runs or size > max_bytes) then
        redis.call('DEL', run, run .. ':events')
        redis.call('ZREM', KEYS[4], number)
    elseif place > tonumber(ARGV[10]) and other[1] ~= 'running' then
        redis.call('DEL', run .. ':events')
    end
end
return 1
"""
_STOP = """
if redis.call('HGET', KEYS[1], 'status') ~= 'running' then return 0 end
redis.call('HSET', KEYS[1], 'stop', '1')
return 1
"""
_ABANDONED = f"""{_NOW}
local found = {{}}
for _, run in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. text(now), 'LIMIT', 0, ARGV[1])) do
    if redis.call('HGET', run, 'status') == 'running' then
        found[#found + 1] = run
    else
        redis.call('ZREM', KEYS[1], run)
    end
end
return found
"""
_CLAIM = f"""{_NOW}
local expires = redis.call('ZSCORE', KEYS[2], KEYS[1])
if redis.call('HGET', KEYS[1], 'status') ~= 'running' or (expires and tonumber(expires) >= now) then return 0 end
redis.call('HSET', KEYS[1], 'owner', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'takeovers', 1)
redis.call('ZADD', KEYS[2], text(now + tonumber(ARGV[2])), KEYS[1])
return 1
"""
_TAKE = f"""{_NOW}
local kept = redis.call('HMGET', KEYS[1], 'status', 'owner')
if kept[1] ~= 'running' or kept[2] ~= ARGV[3] then return false end
redis.call('HSET', KEYS[1], 'owner', ARGV[1])
redis.call('ZADD', KEYS[2], text(now + tonumber(ARGV[2])), KEYS[1])
return redis.call('HMGET', KEYS[1], unpack(ARGV, 4))
"""
_RELEASE = f"""{_OWNED}
redis.call('HINCRBY', KEYS[1], 'takeovers', -1)
redis.call('ZADD', KEYS[3], 0, KEYS[1])
return 1
"""
# KEYS: of each run: run, stream. ARGV: how many batches of each, then of each run the first number that is wanted
_READ = """
local found = {}
for place = 1, #KEYS / 2 do
    local kept = redis.call('HMGET', KEYS[2 * place - 1], 'last', 'status')
    local entries = redis.call('XRANGE', KEYS[2 * place], ARGV[place + 1] .. '-0', '+', 'COUNT', ARGV[1])
    found[place] = {kept[1], kept[2], entries}
end
return found
"""

_FIELDS = ("thread", "number", "run", "agent", "status", "last", "about", "started", "updated", "takeovers")


class RedisRuns(RunLogStore):
    """Keeps runs on a Redis server.

    Args:
        client: The connections, opened by the state store.
        settings: The limits, and the prefix of all keys.
    """

    def __init__(self, client: RedisClient, settings: StoreSettings | None = None) -> None:
        self._client = client
        super().__init__(settings or StoreSettings())
        self._shards = Shards(client, self.settings.prefix)
        self._names = lru_cache(maxsize=NAMED_RUNS)(self._name)
        self._open_script = RedisScript(client, _OPEN)
        self._append_script = RedisScript(client, _APPEND)
        self._compact_script = RedisScript(client, _COMPACT)
        self._close_script = RedisScript(client, _CLOSE)
        self._renew_script = RedisScript(client, _RENEW)
        self._stop_script = RedisScript(client, _STOP)
        self._abandoned_script = RedisScript(client, _ABANDONED)
        self._claim_script = RedisScript(client, _CLAIM)
        self._take_script = RedisScript(client, _TAKE)
        self._release_script = RedisScript(client, _RELEASE)
        self._read_script = RedisScript(client, _READ)

    @override
    async def delete(self, thread_id: str) -> bool:
        with translated():
            numbers = await self._client.execute_command("ZRANGE", self._numbers(thread_id), 0, -1)
            runs = [self._run(RunKey(thread_id, int(number))) for number in numbers]
            streams = [f"{run}:events" for run in runs]
            await self._client.execute_command("DEL", self._numbers(thread_id), *runs, *streams)
            if runs:
                await self._client.execute_command("ZREM", self._leases(thread_id), *runs)
                await self._announce_gone(runs)
        return bool(runs)

    @override
    async def _open(self, run: NewRun, owner: str) -> RunRecord:
        keys = [self._numbers(run.thread_id), self._leases(run.thread_id)]
        lease, ttl = self._lease(run.lease), self._ttl()
        given: list[Word] = [
            self._prefix(run.thread_id),
            owner,
            lease,
            ttl,
            run.thread_id,
            run.run_id,
            run.agent_name,
            run.about,
        ]
        with translated():
            number, started = await self._open_script(keys, given)
        fields = (run.thread_id.encode(), number, run.run_id.encode(), run.agent_name.encode(), b"running", 0)
        return _record(*fields, run.about, started, started, 0)

    @override
    async def _append_all(self, owner: str, batches: Sequence[RunBatch]) -> dict[RunKey, bool]:
        groups = self._shards.grouped(batches, lambda each: each.key.thread_id)
        calls = [self._append_call(owner, group) for group in groups]
        with translated():
            return _stops([[each.key for each in group] for group in groups], await self._append_script.all(calls))

    def _append_call(self, owner: str, batches: Sequence[RunBatch]) -> Call:
        # One argument for all of them: redis-py spends more time on each than a run's batch takes otherwise.
        entries = [(*self._names(key), first, last, payload.decode()) for key, (first, last, payload) in batches]
        packed = _pack((owner, self._lease(), self._ttl(), MAX_BATCHES, entries))
        return [self._leases(batches[0].key.thread_id)], [packed]

    @override
    async def _compact(self, key: RunKey, owner: str, base: Base) -> None:
        with translated():
            _owned(await self._compact_script(self._keys(key), [owner, base.last, base.payload]))

    @override
    async def _close(
        self, key: RunKey, owner: str, status: RunOutcome, base: Base, about: bytes | None, rest: Batch | None
    ) -> None:
        limits = [int(GRACE_SECONDS), self.settings.max_runs, self.settings.max_run_bytes]
        given: list[Word] = [owner, base.last, base.payload, status, *limits, self._prefix(key.thread_id), about or b""]
        given += [RUNS_IN_GRACE, MAX_BATCHES, *((rest.first, rest.payload) if rest is not None else ())]
        with translated():
            _owned(await self._close_script(self._keys(key), given))

    @override
    async def _renew(self, keys: Sequence[RunKey], owner: str) -> dict[RunKey, bool]:
        groups = self._shards.grouped(keys, lambda key: key.thread_id)
        calls = [self._renew_call(owner, group) for group in groups]
        with translated():
            return _stops(groups, await self._renew_script.all(calls))

    def _renew_call(self, owner: str, keys: Sequence[RunKey]) -> Call:
        packed = _pack((owner, self._lease(), self._ttl(), [self._names(key) for key in keys]))
        return [self._leases(keys[0].thread_id)], [packed]

    @override
    async def _request_stop(self, key: RunKey) -> bool:
        with translated():
            return bool(await self._stop_script([self._run(key)], []))

    @override
    async def _abandoned(self, limit: int) -> list[RunRecord]:
        with translated():
            found = await self._abandoned_script.all([([_leases(shard)], [limit]) for shard in self._shards.all])
            return await self._records([run for runs in found for run in runs][:limit])

    @override
    async def _claim(self, key: RunKey, owner: str) -> bool:
        with translated():
            return bool(await self._claim_script([self._run(key), self._leases(key.thread_id)], [owner, self._lease()]))

    @override
    async def _take(self, key: RunKey, owner: str, held_by: str) -> RunRecord | None:
        keys = [self._run(key), self._leases(key.thread_id)]
        with translated():
            taken = await self._take_script(keys, [owner, self._lease(), held_by, *_FIELDS])
        return _record(*taken) if taken is not None else None

    @override
    async def _release(self, key: RunKey, owner: str) -> bool:
        with translated():
            return bool(await self._release_script(self._keys(key), [owner]))

    @override
    async def _runs(self, thread_id: str, limit: int) -> list[RunRecord]:
        with translated():
            numbers = await self._client.execute_command("ZRANGE", self._numbers(thread_id), -limit, -1)
            return await self._records([self._run(RunKey(thread_id, int(number))) for number in numbers])

    @override
    async def _peek(self, keys: Sequence[RunKey]) -> dict[RunKey, Progress]:
        with translated():
            async with self._client.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.execute_command("HMGET", self._run(key), "last", "status")
                rows = await pipeline.execute()
        found = zip(keys, rows, strict=True)
        return {key: Progress(int(last), _status(status)) for key, (last, status) in found if status is not None}

    @override
    async def _read_group(self, wanted: Sequence[Wanted]) -> list[RunBatches | None]:
        groups = self._shards.grouped(list(enumerate(wanted)), lambda place: place[1].key.thread_id)
        calls = [self._read_call([each for _, each in group], batches_each(wanted)) for group in groups]
        found: list[RunBatches | None] = [None] * len(wanted)
        with translated():
            answers = await self._read_script.all(calls)
        for group, rows in zip(groups, answers, strict=True):
            for (place, _), row in zip(group, rows, strict=True):
                found[place] = _batches(*row)
        return found

    def _read_call(self, wanted: Sequence[Wanted], count: int) -> Call:
        keys = [name for key, _ in wanted for name in self._keys(key)[:2]]
        return keys, [count, *(after + 1 for _, after in wanted)]

    @override
    async def _base(self, key: RunKey) -> Base:
        with translated():
            row = await self._client.execute_command("HMGET", self._run(key), "status", "base_last", "base")
        if row[0] is None:
            raise RunLostError
        return Base(int(row[1] or 0), row[2] or b"[]")

    @override
    def _line(self) -> NewsLine:
        return RedisNews(self._client, f"{self.settings.prefix}:run-news", self._run)

    async def _announce_gone(self, runs: Sequence[str]) -> None:
        async with self._client.pipeline(transaction=False) as pipeline:
            for run in runs:
                pipeline.execute_command("PUBLISH", run, f"0{OVER}")
            await pipeline.execute()

    async def _records(self, runs: Sequence[str | bytes]) -> list[RunRecord]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for run in runs:
                pipeline.execute_command("HMGET", run, *_FIELDS)
            rows = await pipeline.execute()
        return [_record(*row) for row in rows if row[0] is not None]

    def _prefix(self, thread_id: str) -> str:
        return f"{self._shards.of(thread_id)}:run:{quote(thread_id, safe='')}:"

    def _run(self, key: RunKey) -> str:
        return f"{self._prefix(key.thread_id)}{key.number}"

    def _numbers(self, thread_id: str) -> str:
        return f"{self._shards.of(thread_id)}:runs:{quote(thread_id, safe='')}"

    def _leases(self, thread_id: str) -> str:
        return _leases(self._shards.of(thread_id))

    def _keys(self, key: RunKey) -> list[str]:
        run = self._run(key)
        return [run, f"{run}:events", self._leases(key.thread_id), self._numbers(key.thread_id)]

    def _name(self, key: RunKey) -> tuple[str, str]:
        return self._run(key), self._numbers(key.thread_id)

    def _lease(self, seconds: float | None = None) -> int:
        return int((self.settings.lease if seconds is None else seconds) * 1_000_000)

    def _ttl(self) -> int:
        age = self.settings.run_age
        return 0 if age is None else max(int(age), 1)


def _leases(shard: str) -> str:
    return f"{shard}:run-leases"


def _stops(groups: Sequence[Sequence[RunKey]], answers: Sequence[Sequence[int]]) -> dict[RunKey, bool]:
    """Read what scripts returned, each of one group of runs: the places of those that do not simply go on."""
    stops: dict[RunKey, bool] = {}
    for keys, exceptions in zip(groups, answers, strict=True):
        lost = [-place for place in exceptions if place < 0]
        stops |= stops_of(keys, lost, [place for place in exceptions if place > 0])
    return stops


def _owned(answer: Any) -> Any:
    if answer is None:
        raise RunLostError
    return answer


def _batches(
    last: bytes | None, status: bytes | None, entries: Sequence[tuple[bytes, list[bytes]]]
) -> RunBatches | None:
    """Read a row of the script: a batch is an entry with the fields ``f``, its first number, and ``d``."""
    if last is None or status is None:
        return None
    batches = [Batch(int(fields[1]), int(id_.split(b"-")[0]), fields[3]) for id_, fields in entries]
    return Progress(int(last), _status(status)), batches


def _status(value: bytes) -> StoredStatus:
    return cast("StoredStatus", value.decode())


def _record(
    thread_id: bytes,
    number: bytes,
    run_id: bytes,
    agent_name: bytes,
    status: bytes,
    last: bytes | int,
    about: bytes,
    started: bytes,
    updated: bytes,
    takeovers: bytes | int | None,
) -> RunRecord:
    return RunRecord(
        thread_id=thread_id.decode(),
        number=int(number),
        run_id=run_id.decode(),
        agent_name=agent_name.decode(),
        status=_status(status),
        last=int(last),
        about=decode_about(about),
        started_at=moment(int(started)),
        updated_at=moment(int(updated)),
        takeovers=int(takeovers or 0),
    )
