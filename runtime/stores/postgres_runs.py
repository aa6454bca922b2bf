"""The runs on a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, LiteralString

import msgspec
from psycopg import AsyncCursor
from typing_extensions import override

from ..errors import StoreError
from . import postgres_run_statements as sql
from .group_reader import RunBatches, Wanted
from .group_writer import RunBatch
from .postgres_database import Database
from .postgres_news import NOTIFY, PostgresNews, PostgresStops, notes, run_name
from .run_log import GRACE_SECONDS, RUNS_IN_GRACE, TRIMMED_AT_ONCE, RunLogStore, batches_each
from .run_news import NewsLine
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

_encode = msgspec.json.Encoder().encode


_FIELDS = len(RunRecord.__struct_fields__)


class PostgresRuns(RunLogStore):
    """Keeps runs in the tables ``copilotkit_runs`` and ``copilotkit_run_events``.

    Args:
        database: The connections, opened by the state store.
        settings: The limits.
    """

    writes_ahead = True

    def __init__(self, database: Database, settings: StoreSettings | None = None) -> None:
        self._database = database
        super().__init__(settings or StoreSettings())

    @override
    async def start(self) -> None:
        async with self._database.transaction() as cursor:
            await _migrate(cursor)

    @override
    async def delete(self, thread_id: str) -> bool:
        async with self._database.transaction() as cursor:
            await cursor.execute(sql.DELETE, {"thread_id": thread_id})
            gone = [(RunKey(thread_id, number), 0) for (number,) in await cursor.fetchall()]
            await cursor.execute(NOTIFY, {"notes": notes(gone, over=True)})
        return bool(gone)

    @override
    async def discard(self, key: RunKey, owner: str) -> None:
        async with self._database.transaction() as cursor:
            await cursor.execute(sql.DISCARD, {**key._asdict(), "owner": owner})
            await cursor.execute(NOTIFY, {"notes": notes([(key, 0)] if cursor.rowcount else [], over=True)})

    @override
    async def trim(self, limit: int = TRIMMED_AT_ONCE) -> int:
        async with self._database.statement() as cursor:
            await cursor.execute(sql.TRIM, {"grace": timedelta(seconds=GRACE_SECONDS), "limit": limit})
            ((seen,),) = await cursor.fetchall()
        return int(seen)

    @override
    async def _open(self, run: NewRun, owner: str) -> tuple[int, datetime]:
        values = {**run._asdict(), "owner": owner, "lease": self._lease(run.lease), "ttl": self._ttl()}
        opened: tuple[Any, ...] | None = None
        async with self._database.statement() as cursor:
            if values["ttl"] is not None:
                await cursor.execute(sql.SWEEP, values)
            while opened is None:
                await cursor.execute(sql.OPEN if run.durable else sql.OPEN_AHEAD, values)
                opened = await cursor.fetchone()
        number, started, *_ = opened
        return number, started.astimezone(UTC)

    @override
    async def settle(self, record: RunRecord, owner: str | None = None) -> None:
        values = {**record.key._asdict(), "run_id": record.run_id, "owner": owner}
        async with self._database.statement() as cursor:
            await cursor.execute(sql.SETTLE, values)
            ((_, is_there),) = await cursor.fetchall()
        if not is_there:
            raise RunLostError

    @override
    async def _append_all(self, owner: str, batches: Sequence[RunBatch]) -> dict[RunKey, bool]:
        return await self._append_by(sql.APPEND, owner, batches)

    @override
    async def append_ahead(self, owner: str, batches: Sequence[RunBatch]) -> dict[RunKey, bool]:
        return await self._append_by(sql.APPEND_AHEAD, owner, batches)

    async def _append_by(self, query: LiteralString, owner: str, batches: Sequence[RunBatch]) -> dict[RunKey, bool]:
        # A few values for all of them: psycopg would look at each element of an array in Python.
        keys, given = [each.key for each in batches], [each.batch for each in batches]
        sizes = [len(batch.payload) for batch in given]
        values = {
            "threads": _encode([key.thread_id for key in keys]).decode(),
            "numbers": _integers([key.number for key in keys]),
            "firsts": _integers([batch.first for batch in given]),
            "lasts": _integers([batch.last for batch in given]),
            "starts": _integers(list(accumulate(sizes, initial=1))[:-1]),
            "sizes": _integers(sizes),
            "payloads": b"".join([batch.payload for batch in given]),
            "notes": notes([(key, batch.last) for key, batch in batches]),
            "owner": owner,
            "lease": self._lease(),
        }
        async with self._database.statement() as cursor:
            await cursor.execute(query, values)
            ((_, lost, stopping, *_),) = await cursor.fetchall()
        return stops_of(keys, lost or (), stopping or ())

    @override
    async def _compact(self, key: RunKey, owner: str, base: Base) -> None:
        values = {**key._asdict(), **base._asdict(), "owner": owner, "status": "running", "about": None}
        values |= {"unsaved": False, "lease": None, "amends": False}
        async with self._database.transaction() as cursor:
            await cursor.execute(sql.COMPACT, values)
            if cursor.rowcount == 0:
                raise RunLostError
            await cursor.execute(sql.DROP, values)
            await cursor.execute(NOTIFY, {"notes": notes([(key, base.last)])})

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
        values = {
            **key._asdict(),
            **base._asdict(),
            "owner": owner,
            "status": status,
            "about": about,
            "settled": key.number - RUNS_IN_GRACE,
            "grace": timedelta(seconds=GRACE_SECONDS),
            "max_runs": self.settings.max_runs,
            "max_bytes": self.settings.max_run_bytes,
            "first": rest and rest.first,
            "rest": rest and rest.payload,
            "notes": notes([(key, base.last)], over=True),
            "unsaved": unsaved,
            "amends": amends,
            "lease": self._lease(),
        }
        async with self._database.transaction() as cursor:
            await cursor.execute(sql.CLOSE, values)
            ((_, found),) = await cursor.fetchall()
            if not found:
                raise RunLostError
            if amends:
                await cursor.execute(sql.DROP, values)
            await cursor.execute(sql.DROP_ENDED, values)
            await cursor.execute(sql.PRUNE, values)

    @override
    async def _note_saved(self, key: RunKey) -> None:
        await self._change(sql.NOTE_SAVED, key._asdict())

    @override
    async def _renew(self, keys: Sequence[RunKey], owner: str) -> dict[RunKey, bool]:
        async with self._database.statement() as cursor:
            await cursor.execute(sql.RENEW, {**_arrays(keys), "owner": owner, "lease": self._lease()})
            return {RunKey(thread_id, number): stop for thread_id, number, stop in await cursor.fetchall()}

    @override
    async def _request_stop(self, key: RunKey) -> bool:
        return await self._change(sql.STOP, {**key._asdict(), "name": run_name(key)})

    @override
    async def _abandoned(self, limit: int) -> list[RunRecord]:
        return await self._records(sql.ABANDONED, {"limit": limit})

    @override
    async def _claim(self, key: RunKey, owner: str) -> bool:
        return await self._change(sql.CLAIM, {**key._asdict(), "owner": owner, "lease": self._lease()})

    @override
    async def _take(self, key: RunKey, owner: str, held_by: str) -> RunRecord | None:
        values = {**key._asdict(), "owner": owner, "lease": self._lease(), "held_by": held_by}
        async with self._database.statement() as cursor:
            await cursor.execute(sql.TAKE, values)
            taken = await cursor.fetchone()
        return _record(*taken[:_FIELDS]) if taken is not None else None

    @override
    async def _release(self, key: RunKey, owner: str) -> bool:
        return await self._change(sql.RELEASE, {**key._asdict(), "owner": owner})

    @override
    async def _runs(self, thread_id: str, limit: int) -> list[RunRecord]:
        return (await self._records(sql.RUNS, {"thread_id": thread_id, "limit": limit}))[::-1]

    @override
    async def _peek(self, keys: Sequence[RunKey]) -> dict[RunKey, Progress]:
        async with self._database.statement() as cursor:
            await cursor.execute(sql.PEEK, _arrays(keys))
            rows = await cursor.fetchall()
        return {RunKey(thread_id, number): Progress(*progress) for thread_id, number, *progress in rows}

    @override
    async def _read_group(self, wanted: Sequence[Wanted]) -> list[RunBatches | None]:
        values = {
            **_arrays([each.key for each in wanted]),
            "afters": [each.after for each in wanted],
            "limit": batches_each(wanted),
        }
        found: dict[int, RunBatches] = {}
        async with self._database.statement() as cursor:
            await cursor.execute(sql.BATCHES, values, binary=True)
            for place, last, status, started, *batch in await cursor.fetchall():
                _, batches = found.setdefault(place, (Progress(last, status, started), []))
                if batch[0] is not None:
                    batches.append(Batch(*batch))
        return [found.get(place) for place in range(1, len(wanted) + 1)]

    @override
    async def _base(self, key: RunKey) -> Base:
        async with self._database.statement() as cursor:
            await cursor.execute(sql.BASE, key._asdict(), binary=True)
            row = await cursor.fetchone()
        if row is None:
            raise RunLostError
        return Base(*row)

    @override
    def _line(self) -> NewsLine:
        return PostgresNews(self._database)

    @override
    def _stop_line(self) -> NewsLine:
        return PostgresStops(self._database)

    async def _records(self, query: LiteralString, values: dict[str, Any]) -> list[RunRecord]:
        async with self._database.statement() as cursor:
            await cursor.execute(query, values)
            return [_record(*row) for row in await cursor.fetchall()]

    async def _change(self, query: LiteralString, values: dict[str, Any]) -> bool:
        async with self._database.statement() as cursor:
            await cursor.execute(query, values)
            return cursor.rowcount > 0

    def _lease(self, seconds: float | None = None) -> timedelta:
        return timedelta(seconds=self.settings.lease if seconds is None else seconds)

    def _ttl(self) -> timedelta | None:
        age = self.settings.run_age
        return None if age is None else timedelta(seconds=age)


async def _migrate(cursor: AsyncCursor) -> None:
    await cursor.execute("SELECT pg_advisory_xact_lock(%s)", (sql.MIGRATION_LOCK,))
    await cursor.execute("CREATE TABLE IF NOT EXISTS copilotkit_run_schema (version integer NOT NULL)")
    await cursor.execute("SELECT max(version) FROM copilotkit_run_schema")
    row = await cursor.fetchone()
    version = (row and row[0]) or 0
    if version > len(sql.MIGRATIONS):
        raise StoreError("The tables of runs were made by a newer release.")
    for script in sql.MIGRATIONS[version:]:
        await cursor.execute(script)
    await cursor.execute("DELETE FROM copilotkit_run_schema")
    await cursor.execute("INSERT INTO copilotkit_run_schema (version) VALUES (%s)", (len(sql.MIGRATIONS),))


def _arrays(keys: Sequence[RunKey]) -> dict[str, Any]:
    return {"threads": [key.thread_id for key in keys], "numbers": [key.number for key in keys]}


def _integers(values: Sequence[int]) -> str:
    """Return the literal of an array of integers."""
    return f"{{{_encode(values)[1:-1].decode()}}}"


def _record(
    thread_id: str,
    number: int,
    run_id: str,
    agent_name: str,
    status: StoredStatus,
    last: int,
    about: bytes,
    started: datetime,
    updated: datetime,
    takeovers: int,
    unsaved: bool,
) -> RunRecord:
    return RunRecord(
        thread_id=thread_id,
        number=number,
        run_id=run_id,
        agent_name=agent_name,
        status=status,
        last=last,
        about=decode_about(about),
        started_at=started.astimezone(UTC),
        updated_at=updated.astimezone(UTC),
        takeovers=takeovers,
        unsaved=unsaved,
    )
