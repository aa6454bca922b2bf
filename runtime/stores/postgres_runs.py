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
from .group_reader import RunBatches, Wanted
from .group_writer import RunBatch
from .postgres_database import Database
from .postgres_news import NOTIFY, PostgresNews, notes
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

_MIGRATION_LOCK = 0x636F70696C6F74
_encode = msgspec.json.Encoder().encode
_MIGRATIONS: tuple[LiteralString, ...] = (
    """
    CREATE TABLE copilotkit_runs (
        thread_id text COLLATE "C" NOT NULL,
        number bigint NOT NULL,
        run_id text NOT NULL,
        agent_name text NOT NULL,
        owner text NOT NULL,
        status text NOT NULL DEFAULT 'running',
        stop boolean NOT NULL DEFAULT false,
        expires_at timestamptz NOT NULL,
        started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        last bigint NOT NULL DEFAULT 0,
        about bytea NOT NULL,
        base_last bigint NOT NULL DEFAULT 0,
        base bytea NOT NULL DEFAULT '[]',
        PRIMARY KEY (thread_id, number)
    );
    CREATE INDEX copilotkit_runs_by_lease ON copilotkit_runs (expires_at) WHERE status = 'running';
    CREATE INDEX copilotkit_runs_by_age ON copilotkit_runs (updated_at);
    CREATE TABLE copilotkit_run_events (
        thread_id text COLLATE "C" NOT NULL,
        number bigint NOT NULL,
        last bigint NOT NULL,
        first bigint NOT NULL,
        payload bytea NOT NULL,
        PRIMARY KEY (thread_id, number, last),
        FOREIGN KEY (thread_id, number) REFERENCES copilotkit_runs ON DELETE CASCADE
    );
    """,
    "ALTER TABLE copilotkit_runs ADD COLUMN takeovers integer NOT NULL DEFAULT 0",
    # Room in each page for the next version of its rows: batches change no index then.
    "ALTER TABLE copilotkit_runs SET (fillfactor = 50)",
    # Until when the runs that have ended have been trimmed: one row, which keeps processes from doing it twice.
    """
    CREATE TABLE copilotkit_run_trimming (until timestamptz NOT NULL);
    INSERT INTO copilotkit_run_trimming VALUES ('-infinity');
    """,
)
# A sign of life every tenth of a lease is enough; between them a batch changes nothing that is in an index.
_SIGN_OF_LIFE = """
    expires_at = CASE WHEN expires_at < clock_timestamp() + 0.9 * %(lease)s::interval
        THEN clock_timestamp() + %(lease)s ELSE expires_at END
"""

_RECORD: LiteralString = "thread_id, number, run_id, agent_name, status, last, about, started_at, updated_at, takeovers"
_AHEAD: LiteralString = "set_config('synchronous_commit', 'off', true)"
"""In what a statement returns: its commit does not wait for the server's disk."""
_SETTLE = "SELECT pg_logical_emit_message(true, 'copilotkit', '')"
"""Commits something that is written, so that all that was committed before it is on the disk, too."""

# Of two who open a run of one thread at once, the second waits for the first, inserts nothing, and does it again.
_OPEN: LiteralString = f"""
    INSERT INTO copilotkit_runs (thread_id, number, run_id, agent_name, owner, expires_at, about)
    SELECT %(thread_id)s, coalesce(max(number), 0) + 1, %(run_id)s, %(agent_name)s, %(owner)s,
        clock_timestamp() + %(lease)s, %(about)s
    FROM copilotkit_runs WHERE thread_id = %(thread_id)s
    ON CONFLICT DO NOTHING RETURNING {_RECORD}
"""  # noqa: S608 - of constants
_OPEN_AHEAD: LiteralString = f"{_OPEN}, {_AHEAD}"
# One row comes back: notes are sent though there is nothing to report.
_STORE: LiteralString = f"""
    WITH given AS (
        SELECT thread_id, number, first, last, substring(%(payloads)b::bytea FROM start FOR size) AS payload, place
        FROM ROWS FROM (
            json_array_elements_text(%(threads)s::json), unnest(%(numbers)s::bigint[]), unnest(%(firsts)s::bigint[]),
            unnest(%(lasts)s::bigint[]), unnest(%(starts)s::integer[]), unnest(%(sizes)s::integer[])
        ) WITH ORDINALITY AS batches (thread_id, number, first, last, start, size, place)
    ), run AS (
        UPDATE copilotkit_runs AS runs SET last = greatest(runs.last, given.last), {_SIGN_OF_LIFE},
            updated_at = CASE WHEN expires_at < clock_timestamp() + 0.9 * %(lease)s::interval
                THEN clock_timestamp() ELSE updated_at END
        FROM given WHERE runs.thread_id = given.thread_id AND runs.number = given.number
            AND owner = %(owner)s AND status = 'running'
        RETURNING place, stop
    ), stored AS (
        INSERT INTO copilotkit_run_events (thread_id, number, last, first, payload)
        SELECT thread_id, number, last, first, payload FROM given JOIN run USING (place)
        ON CONFLICT DO NOTHING
    ), news AS MATERIALIZED ({NOTIFY})
"""  # noqa: S608 - of constants
_REPORT: LiteralString = """
    SELECT (SELECT * FROM news), array_agg(place) FILTER (WHERE stop IS NULL), array_agg(place) FILTER (WHERE stop)
"""
_APPEND: LiteralString = f"{_STORE} {_REPORT} FROM given LEFT JOIN run USING (place)"
_APPEND_AHEAD: LiteralString = f"{_STORE} {_REPORT}, {_AHEAD} FROM given LEFT JOIN run USING (place)"
_COMPACT: LiteralString = """
    UPDATE copilotkit_runs SET base = %(payload)s, base_last = %(last)s, last = greatest(last, %(last)s),
        updated_at = clock_timestamp(), status = %(status)s, about = coalesce(%(about)s, about)
    WHERE thread_id = %(thread_id)s AND number = %(number)s AND owner = %(owner)s AND status = 'running'
"""
_CLOSE: LiteralString = f"""
    WITH run AS ({_COMPACT} RETURNING number), stored AS (
        INSERT INTO copilotkit_run_events (thread_id, number, last, first, payload)
        SELECT %(thread_id)s, number, %(last)s, %(first)s::bigint, %(rest)s::bytea FROM run
        WHERE %(rest)s::bytea IS NOT NULL
        ON CONFLICT DO NOTHING
    ), news AS MATERIALIZED ({NOTIFY})
    SELECT (SELECT * FROM news), count(*) FROM run
"""  # noqa: S608 - of constants
_DROP = """
    DELETE FROM copilotkit_run_events
    WHERE thread_id = %(thread_id)s AND number = %(number)s AND last <= %(last)s
"""
_DROP_ENDED = """
    DELETE FROM copilotkit_run_events WHERE thread_id = %(thread_id)s AND number IN (
        SELECT number FROM copilotkit_runs
        WHERE thread_id = %(thread_id)s AND status <> 'running'
            AND (updated_at < clock_timestamp() - %(grace)s OR number <= %(settled)s)
    )
"""
_PRUNE = """
    DELETE FROM copilotkit_runs WHERE thread_id = %(thread_id)s AND status <> 'running' AND number IN (
        SELECT number FROM (
            SELECT number, row_number() OVER newer AS place, sum(length(base) + length(about)) OVER newer AS size
            FROM copilotkit_runs WHERE thread_id = %(thread_id)s WINDOW newer AS (ORDER BY number DESC)
        ) AS counted WHERE place > 1 AND (place > %(max_runs)s OR size > %(max_bytes)s)
    )
"""
_SWEEP = """
    DELETE FROM copilotkit_runs WHERE (thread_id, number) IN (
        SELECT thread_id, number FROM copilotkit_runs
        WHERE updated_at < statement_timestamp() - %(ttl)s::interval AND status <> 'running'
        LIMIT 100 FOR UPDATE SKIP LOCKED
    )
"""
# Whoever finds the mark locked does nothing. No index can be searched for what ``clock_timestamp`` returns.
_TRIM = """
    WITH mark AS (
        SELECT until FROM copilotkit_run_trimming FOR UPDATE SKIP LOCKED
    ), seen AS (
        SELECT thread_id, number, status, updated_at FROM copilotkit_runs
        WHERE updated_at >= (SELECT until FROM mark) AND updated_at < statement_timestamp() - %(grace)s::interval
        ORDER BY updated_at LIMIT %(limit)s
    ), gone AS (
        DELETE FROM copilotkit_run_events AS events USING seen
        WHERE events.thread_id = seen.thread_id AND events.number = seen.number AND seen.status <> 'running'
    ), moved AS (
        UPDATE copilotkit_run_trimming SET until = (SELECT max(updated_at) FROM seen) WHERE EXISTS (SELECT FROM seen)
    )
    SELECT count(*) FROM seen
"""
_KEYS = "SELECT * FROM unnest(%(threads)s::text[], %(numbers)s::bigint[]) AS wanted (thread_id, number)"
_RENEW: LiteralString = f"""
    UPDATE copilotkit_runs AS runs SET {_SIGN_OF_LIFE} FROM ({_KEYS}) AS wanted
    WHERE runs.thread_id = wanted.thread_id AND runs.number = wanted.number
        AND owner = %(owner)s AND status = 'running'
    RETURNING runs.thread_id, runs.number, stop
"""  # noqa: S608 - of constants
_PEEK: LiteralString = f"""
    SELECT thread_id, number, last, status FROM ({_KEYS}) AS wanted JOIN copilotkit_runs USING (thread_id, number)
"""  # noqa: S608 - of constants
_STOP = """
    UPDATE copilotkit_runs SET stop = true
    WHERE thread_id = %(thread_id)s AND number = %(number)s AND status = 'running'
"""
_CLAIM = """
    UPDATE copilotkit_runs SET owner = %(owner)s, expires_at = clock_timestamp() + %(lease)s,
        takeovers = takeovers + 1
    WHERE thread_id = %(thread_id)s AND number = %(number)s AND status = 'running'
        AND expires_at < clock_timestamp()
"""
_TAKE: LiteralString = f"""
    UPDATE copilotkit_runs SET owner = %(owner)s, expires_at = clock_timestamp() + %(lease)s
    WHERE thread_id = %(thread_id)s AND number = %(number)s AND status = 'running' AND owner = %(held_by)s
    RETURNING {_RECORD}, {_AHEAD}
"""  # noqa: S608 - of constants
_RELEASE = """
    UPDATE copilotkit_runs SET expires_at = to_timestamp(0), takeovers = takeovers - 1
    WHERE thread_id = %(thread_id)s AND number = %(number)s AND owner = %(owner)s AND status = 'running'
"""
_RUNS: LiteralString = f"""
    SELECT {_RECORD} FROM copilotkit_runs WHERE thread_id = %(thread_id)s ORDER BY number DESC LIMIT %(limit)s
"""  # noqa: S608 - of constants
_ABANDONED: LiteralString = f"""
    SELECT {_RECORD} FROM copilotkit_runs WHERE status = 'running' AND expires_at < statement_timestamp()
    LIMIT %(limit)s
"""  # noqa: S608 - of constants
_BATCHES = """
    SELECT place, runs.last, status, events.first, events.last, payload
    FROM unnest(%(threads)s::text[], %(numbers)s::bigint[], %(afters)s::bigint[]) WITH ORDINALITY
            AS wanted (thread_id, number, after, place)
        JOIN copilotkit_runs AS runs USING (thread_id, number)
        LEFT JOIN LATERAL (
            SELECT first, last, payload FROM copilotkit_run_events AS events
            WHERE events.thread_id = wanted.thread_id AND events.number = wanted.number AND events.last > wanted.after
            ORDER BY events.last LIMIT %(limit)s
        ) AS events ON true
    ORDER BY place, events.last
"""
_BASE = "SELECT base_last, base FROM copilotkit_runs WHERE thread_id = %(thread_id)s AND number = %(number)s"
_DELETE = "DELETE FROM copilotkit_runs WHERE thread_id = %(thread_id)s RETURNING number"


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
            await cursor.execute(_DELETE, {"thread_id": thread_id})
            gone = [(RunKey(thread_id, number), 0) for (number,) in await cursor.fetchall()]
            await cursor.execute(NOTIFY, {"notes": notes(gone, over=True)})
        return bool(gone)

    @override
    async def trim(self, limit: int = TRIMMED_AT_ONCE) -> int:
        async with self._database.statement() as cursor:
            await cursor.execute(_TRIM, {"grace": timedelta(seconds=GRACE_SECONDS), "limit": limit})
            ((seen,),) = await cursor.fetchall()
        return int(seen)

    @override
    async def _open(self, run: NewRun, owner: str) -> RunRecord:
        values = {**run._asdict(), "owner": owner, "lease": self._lease(run.lease), "ttl": self._ttl()}
        opened: tuple[Any, ...] | None = None
        async with self._database.statement() as cursor:
            if values["ttl"] is not None:
                await cursor.execute(_SWEEP, values)
            while opened is None:
                await cursor.execute(_OPEN if run.durable else _OPEN_AHEAD, values)
                opened = await cursor.fetchone()
        return _record(*opened[:_FIELDS])

    @override
    async def settle(self) -> None:
        async with self._database.statement() as cursor:
            await cursor.execute(_SETTLE)

    @override
    async def _append_all(self, owner: str, batches: Sequence[RunBatch]) -> dict[RunKey, bool]:
        return await self._append_by(_APPEND, owner, batches)

    @override
    async def append_ahead(self, owner: str, batches: Sequence[RunBatch]) -> dict[RunKey, bool]:
        return await self._append_by(_APPEND_AHEAD, owner, batches)

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
        async with self._database.transaction() as cursor:
            await cursor.execute(_COMPACT, values)
            if cursor.rowcount == 0:
                raise RunLostError
            await cursor.execute(_DROP, values)
            await cursor.execute(NOTIFY, {"notes": notes([(key, base.last)])})

    @override
    async def _close(
        self, key: RunKey, owner: str, status: RunOutcome, base: Base, about: bytes | None, rest: Batch | None
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
        }
        async with self._database.transaction() as cursor:
            await cursor.execute(_CLOSE, values)
            ((_, found),) = await cursor.fetchall()
            if not found:
                raise RunLostError
            await cursor.execute(_DROP_ENDED, values)
            await cursor.execute(_PRUNE, values)

    @override
    async def _renew(self, keys: Sequence[RunKey], owner: str) -> dict[RunKey, bool]:
        async with self._database.statement() as cursor:
            await cursor.execute(_RENEW, {**_arrays(keys), "owner": owner, "lease": self._lease()})
            return {RunKey(thread_id, number): stop for thread_id, number, stop in await cursor.fetchall()}

    @override
    async def _request_stop(self, key: RunKey) -> bool:
        return await self._change(_STOP, key._asdict())

    @override
    async def _abandoned(self, limit: int) -> list[RunRecord]:
        return await self._records(_ABANDONED, {"limit": limit})

    @override
    async def _claim(self, key: RunKey, owner: str) -> bool:
        return await self._change(_CLAIM, {**key._asdict(), "owner": owner, "lease": self._lease()})

    @override
    async def _take(self, key: RunKey, owner: str, held_by: str) -> RunRecord | None:
        values = {**key._asdict(), "owner": owner, "lease": self._lease(), "held_by": held_by}
        async with self._database.statement() as cursor:
            await cursor.execute(_TAKE, values)
            taken = await cursor.fetchone()
        return _record(*taken[:_FIELDS]) if taken is not None else None

    @override
    async def _release(self, key: RunKey, owner: str) -> bool:
        return await self._change(_RELEASE, {**key._asdict(), "owner": owner})

    @override
    async def _runs(self, thread_id: str, limit: int) -> list[RunRecord]:
        return (await self._records(_RUNS, {"thread_id": thread_id, "limit": limit}))[::-1]

    @override
    async def _peek(self, keys: Sequence[RunKey]) -> dict[RunKey, Progress]:
        async with self._database.statement() as cursor:
            await cursor.execute(_PEEK, _arrays(keys))
            rows = await cursor.fetchall()
        return {RunKey(thread_id, number): Progress(last, status) for thread_id, number, last, status in rows}

    @override
    async def _read_group(self, wanted: Sequence[Wanted]) -> list[RunBatches | None]:
        values = {
            **_arrays([each.key for each in wanted]),
            "afters": [each.after for each in wanted],
            "limit": batches_each(wanted),
        }
        found: dict[int, RunBatches] = {}
        async with self._database.statement() as cursor:
            await cursor.execute(_BATCHES, values, binary=True)
            for place, last, status, *batch in await cursor.fetchall():
                _, batches = found.setdefault(place, (Progress(last, status), []))
                if batch[0] is not None:
                    batches.append(Batch(*batch))
        return [found.get(place) for place in range(1, len(wanted) + 1)]

    @override
    async def _base(self, key: RunKey) -> Base:
        async with self._database.statement() as cursor:
            await cursor.execute(_BASE, key._asdict(), binary=True)
            row = await cursor.fetchone()
        if row is None:
            raise RunLostError
        return Base(*row)

    @override
    def _line(self) -> NewsLine:
        return PostgresNews(self._database)

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
    await cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
    await cursor.execute("CREATE TABLE IF NOT EXISTS copilotkit_run_schema (version integer NOT NULL)")
    await cursor.execute("SELECT max(version) FROM copilotkit_run_schema")
    row = await cursor.fetchone()
    version = (row and row[0]) or 0
    if version > len(_MIGRATIONS):
        raise StoreError("The tables of runs were made by a newer release.")
    for script in _MIGRATIONS[version:]:
        await cursor.execute(script)
    await cursor.execute("DELETE FROM copilotkit_run_schema")
    await cursor.execute("INSERT INTO copilotkit_run_schema (version) VALUES (%s)", (len(_MIGRATIONS),))


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
    )
