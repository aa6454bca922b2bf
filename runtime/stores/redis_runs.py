"""The runs on a Redis server.

A run is a hash, and a stream of batches whose entry ids are the numbers of their last events. A sorted set for each
thread has the numbers of its runs, and one for all has the leases of those that go on; in a cluster, one for each
shard (``redis_shards``). What is written and read of many runs is one script for each shard.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, cast
from urllib.parse import quote

import msgspec
from typing_extensions import override

from . import redis_run_scripts as scripts
from .group_reader import RunBatches, Wanted
from .group_writer import RunBatch
from .records import moment
from .redis_client import RedisClient, Word
from .redis_errors import translated
from .redis_news import RedisNews, RedisStops
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

_GONE = f"0{OVER}"
"""What is published of a run that is forgotten."""

_FIELDS = ("thread", "number", "run", "agent", "status", "last", "about", "started", "updated", "takeovers", "unsaved")


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
        self._delete_script = RedisScript(client, scripts.DELETE)
        self._discard_script = RedisScript(client, scripts.DISCARD)
        self._open_script = RedisScript(client, scripts.OPEN)
        self._append_script = RedisScript(client, scripts.APPEND)
        self._compact_script = RedisScript(client, scripts.COMPACT)
        self._close_script = RedisScript(client, scripts.CLOSE)
        self._saved_script = RedisScript(client, scripts.SAVED)
        self._renew_script = RedisScript(client, scripts.RENEW)
        self._stop_script = RedisScript(client, scripts.STOP)
        self._abandoned_script = RedisScript(client, scripts.ABANDONED)
        self._claim_script = RedisScript(client, scripts.CLAIM)
        self._take_script = RedisScript(client, scripts.TAKE)
        self._release_script = RedisScript(client, scripts.RELEASE)
        self._read_script = RedisScript(client, scripts.READ)

    @override
    async def delete(self, thread_id: str) -> bool:
        keys = [self._numbers(thread_id), self._leases(thread_id)]
        with translated():
            return bool(await self._delete_script(keys, [self._prefix(thread_id), _GONE]))

    @override
    async def discard(self, key: RunKey, owner: str) -> None:
        with translated():
            await self._discard_script(self._keys(key), [owner, key.number, _GONE])

    @override
    async def _open(self, run: NewRun, owner: str) -> tuple[int, datetime]:
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
        return int(number), moment(int(started))

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
        self,
        key: RunKey,
        owner: str,
        status: RunOutcome,
        base: Base,
        about: bytes | None,
        rest: Batch | None,
        *,
        unsaved: bool,
        amends: bool,
    ) -> None:
        limits = [int(GRACE_SECONDS), self.settings.max_runs, self.settings.max_run_bytes]
        given: list[Word] = [owner, base.last, base.payload, status, *limits, self._prefix(key.thread_id), about or b""]
        given += [RUNS_IN_GRACE, MAX_BATCHES, self._lease() if unsaved else 0, int(amends)]
        given += (rest.first, rest.payload) if rest is not None else ()
        with translated():
            _owned(await self._close_script(self._keys(key), given))

    @override
    async def _note_saved(self, key: RunKey) -> None:
        with translated():
            await self._saved_script([self._run(key), self._leases(key.thread_id)], [])

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
            return bool(await self._stop_script([self._run(key)], [self._stop_channel]))

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
                    pipeline.execute_command("HMGET", self._run(key), "last", "status", "started")
                rows = await pipeline.execute()
        found = zip(keys, rows, strict=True)
        return {key: _progress(*row) for key, row in found if row[1] is not None}

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

    @override
    def _stop_line(self) -> NewsLine:
        return RedisStops(self._client, self._stop_channel, self._run)

    async def _records(self, runs: Sequence[str | bytes]) -> list[RunRecord]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for run in runs:
                pipeline.execute_command("HMGET", run, *_FIELDS)
            rows = await pipeline.execute()
        return [_record(*row) for row in rows if row[0] is not None]

    @property
    def _stop_channel(self) -> str:
        return f"{self.settings.prefix}:run-stops"

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
    last: bytes | None, status: bytes | None, started: bytes, entries: Sequence[tuple[bytes, list[bytes]]]
) -> RunBatches | None:
    """Read a row of the script: a batch is an entry with the fields ``f``, its first number, and ``d``."""
    if last is None or status is None:
        return None
    batches = [Batch(int(fields[1]), int(id_.split(b"-")[0]), fields[3]) for id_, fields in entries]
    return _progress(last, status, started), batches


def _progress(last: bytes, status: bytes, started: bytes) -> Progress:
    return Progress(int(last), _status(status), moment(int(started)))


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
    unsaved: bytes | None,
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
        unsaved=unsaved is not None,
    )
