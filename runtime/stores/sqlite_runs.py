"""The runs in the SQLite file, which all processes of one machine share."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from typing_extensions import override

from ..errors import StoreError
from .group_reader import RunBatches, Wanted
from .group_writer import RunBatch
from .machine_clock import living, machine_seconds
from .records import moment, now
from .run_log import GRACE_SECONDS, RUNS_IN_GRACE, TRIMMED_AT_ONCE, RunLogStore, batches_each
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
)
from .settings import StoreSettings
from .sqlite_database import Database

_HAS_OWNER = "(status = 'running' OR unsaved)"
_MIGRATIONS = (
    (
        """
        CREATE TABLE copilotkit_runs (
            thread_id TEXT NOT NULL,
            number INTEGER NOT NULL,
            run_id TEXT NOT NULL,
            agent_name TEXT NOT NULL,
            owner TEXT NOT NULL,
            status TEXT NOT NULL DEFAULT 'running',
            stop INTEGER NOT NULL DEFAULT 0,
            expires REAL NOT NULL,
            started INTEGER NOT NULL,
            updated INTEGER NOT NULL,
            last INTEGER NOT NULL DEFAULT 0,
            about BLOB NOT NULL,
            base_last INTEGER NOT NULL DEFAULT 0,
            base BLOB NOT NULL DEFAULT '[]',
            PRIMARY KEY (thread_id, number)
        )
        """,
        "CREATE INDEX copilotkit_runs_by_lease ON copilotkit_runs (expires) WHERE status = 'running'",
        "CREATE INDEX copilotkit_runs_by_age ON copilotkit_runs (updated)",
        """
        CREATE TABLE copilotkit_run_events (
            thread_id TEXT NOT NULL,
            number INTEGER NOT NULL,
            last INTEGER NOT NULL,
            first INTEGER NOT NULL,
            payload BLOB NOT NULL,
            PRIMARY KEY (thread_id, number, last),
            FOREIGN KEY (thread_id, number) REFERENCES copilotkit_runs ON DELETE CASCADE
        )
        """,
    ),
    ("ALTER TABLE copilotkit_runs ADD COLUMN takeovers INTEGER NOT NULL DEFAULT 0",),
    (
        "CREATE TABLE copilotkit_run_trimming (until INTEGER NOT NULL)",
        "INSERT INTO copilotkit_run_trimming VALUES (0)",
    ),
    (
        "ALTER TABLE copilotkit_runs ADD COLUMN unsaved INTEGER NOT NULL DEFAULT 0",
        "DROP INDEX copilotkit_runs_by_lease",
        f"CREATE INDEX copilotkit_runs_by_lease ON copilotkit_runs (expires) WHERE {_HAS_OWNER}",
    ),
)

_TRIMMABLE = """
    SELECT thread_id, number, status, updated FROM copilotkit_runs
    WHERE updated >= (SELECT until FROM copilotkit_run_trimming) AND updated < :grace ORDER BY updated LIMIT :limit
"""
_TRIM = "DELETE FROM copilotkit_run_events WHERE thread_id = ? AND number = ?"
_TRIMMED = "UPDATE copilotkit_run_trimming SET until = ?"

_OPEN = """
    INSERT INTO copilotkit_runs (thread_id, number, run_id, agent_name, owner, expires, started, updated, about)
    SELECT :thread_id, coalesce(max(number), 0) + 1, :run_id, :agent_name, :owner, :expires, :now, :now, :about
    FROM copilotkit_runs WHERE thread_id = :thread_id
    RETURNING number
"""
_PROGRESS = """
    UPDATE copilotkit_runs SET last = max(last, :last), updated = :now, expires = :expires
    WHERE thread_id = :thread_id AND number = :number AND owner = :owner AND status = 'running'
    RETURNING stop
"""
_APPEND = """
    INSERT INTO copilotkit_run_events (thread_id, number, last, first, payload)
    VALUES (:thread_id, :number, :last, :first, :payload) ON CONFLICT DO NOTHING
"""
_COMPACT = """
    UPDATE copilotkit_runs SET base = :payload, base_last = :last, last = max(last, :last), updated = :now,
        status = :status, about = coalesce(:about, about), unsaved = :unsaved, expires = coalesce(:expires, expires),
        owner = :owner
    WHERE thread_id = :thread_id AND number = :number
        AND CASE WHEN :amends THEN status = 'broken' ELSE owner = :owner AND status = 'running' END
    RETURNING number
"""
_DROP = "DELETE FROM copilotkit_run_events WHERE thread_id = :thread_id AND number = :number AND last <= :last"
_DROP_ENDED = """
    DELETE FROM copilotkit_run_events WHERE thread_id = :thread_id AND number IN (
        SELECT number FROM copilotkit_runs
        WHERE thread_id = :thread_id AND status <> 'running' AND (updated < :grace OR number <= :settled)
    )
"""
_PRUNE = f"""
    DELETE FROM copilotkit_runs WHERE thread_id = :thread_id AND NOT {_HAS_OWNER} AND number IN (
        SELECT number FROM (
            SELECT number, row_number() OVER newer AS place, sum(length(base) + length(about)) OVER newer AS size
            FROM copilotkit_runs WHERE thread_id = :thread_id WINDOW newer AS (ORDER BY number DESC)
        ) WHERE place > 1 AND (place > :max_runs OR size > :max_bytes)
    )
"""  # noqa: S608
_NOTE_SAVED = "UPDATE copilotkit_runs SET unsaved = 0 WHERE thread_id = ? AND number = ?"
_SWEEP = """
    DELETE FROM copilotkit_runs WHERE rowid IN (
        SELECT rowid FROM copilotkit_runs WHERE updated < :oldest AND status <> 'running' LIMIT 100
    )
"""
_RENEW = f"""
    UPDATE copilotkit_runs SET expires = ?
    WHERE thread_id = ? AND number = ? AND owner = ? AND {_HAS_OWNER} RETURNING stop
"""  # noqa: S608
_STOP = "UPDATE copilotkit_runs SET stop = 1 WHERE thread_id = ? AND number = ? AND status = 'running'"
_CLAIM = f"""
    UPDATE copilotkit_runs SET owner = ?, expires = ?, takeovers = takeovers + 1
    WHERE thread_id = ? AND number = ? AND {_HAS_OWNER} AND expires NOT BETWEEN ? AND ?
"""  # noqa: S608
_RELEASE = f"""
    UPDATE copilotkit_runs SET expires = 0, takeovers = takeovers - 1
    WHERE thread_id = ? AND number = ? AND owner = ? AND {_HAS_OWNER}
"""  # noqa: S608
_RECORD = "thread_id, number, run_id, agent_name, status, last, about, started, updated, takeovers, unsaved"
_TAKE = f"""
    UPDATE copilotkit_runs SET owner = ?, expires = ?
    WHERE thread_id = ? AND number = ? AND status = 'running' AND owner = ? RETURNING {_RECORD}
"""  # noqa: S608
_RUNS = f"SELECT {_RECORD} FROM copilotkit_runs WHERE thread_id = ? ORDER BY number DESC LIMIT ?"  # noqa: S608
_ABANDONED = f"""
    SELECT {_RECORD} FROM copilotkit_runs WHERE {_HAS_OWNER} AND expires NOT BETWEEN ? AND ? LIMIT ?
"""  # noqa: S608
_STATUS = "SELECT last, status, started FROM copilotkit_runs WHERE thread_id = ? AND number = ?"
_BATCHES = """
    SELECT first, last, payload FROM copilotkit_run_events WHERE thread_id = ? AND number = ? AND last > ?
    ORDER BY last LIMIT ?
"""
_BASE = "SELECT base_last, base FROM copilotkit_runs WHERE thread_id = ? AND number = ?"


class SqliteRuns(RunLogStore):
    """Keeps runs in the tables ``copilotkit_runs`` and ``copilotkit_run_events``.

    Args:
        database: The file, opened by the state store.
        settings: The limits.
    """

    def __init__(self, database: Database, settings: StoreSettings | None = None) -> None:
        super().__init__(settings or StoreSettings())
        self._database = database

    @override
    async def start(self) -> None:
        await self._database.write(_migrate)

    @override
    async def delete(self, thread_id: str) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            return connection.execute("DELETE FROM copilotkit_runs WHERE thread_id = ?", (thread_id,)).rowcount > 0

        return await self._database.write(work)

    @override
    async def discard(self, key: RunKey, owner: str) -> None:
        statement = "DELETE FROM copilotkit_runs WHERE thread_id = ? AND number = ? AND owner = ?"
        await self._database.write(lambda connection: connection.execute(statement, (*key, owner)))

    @override
    async def trim(self, limit: int = TRIMMED_AT_ONCE) -> int:
        values = {"grace": now() - int(GRACE_SECONDS * 1_000_000), "limit": limit}

        def work(connection: sqlite3.Connection) -> int:
            seen = connection.execute(_TRIMMABLE, values).fetchall()
            connection.executemany(_TRIM, [row[:2] for row in seen if row[2] != "running"])
            if seen:
                connection.execute(_TRIMMED, (seen[-1][3],))
            return len(seen)

        return await self._database.write(work)

    @override
    async def _open(self, run: NewRun, owner: str) -> tuple[int, datetime]:
        present = now()
        values = {**run._asdict(), "owner": owner, "expires": self._expires(run.lease), "now": present}

        def work(connection: sqlite3.Connection) -> int:
            connection.execute(_SWEEP, {"oldest": self._oldest()})
            (number,) = connection.execute(_OPEN, values).fetchone()
            return int(number)

        return await self._database.write(work), moment(present)

    @override
    async def _append_all(self, owner: str, batches: Sequence[RunBatch]) -> dict[RunKey, bool]:
        def work(connection: sqlite3.Connection) -> dict[RunKey, bool]:
            shared = {"owner": owner, "now": now(), "expires": self._expires()}
            stops: dict[RunKey, bool] = {}
            for key, batch in batches:
                values = {**key._asdict(), **batch._asdict(), **shared}
                row = connection.execute(_PROGRESS, values).fetchone()
                if row is not None:
                    connection.execute(_APPEND, values)
                    stops[key] = bool(row[0])
            return stops

        return await self._database.write(work)

    @override
    async def _compact(self, key: RunKey, owner: str, base: Base) -> None:
        values = {**key._asdict(), **base._asdict(), "owner": owner, "now": now(), "status": "running", "about": None}
        values |= {"unsaved": False, "expires": None, "amends": False}

        def work(connection: sqlite3.Connection) -> None:
            if connection.execute(_COMPACT, values).fetchone() is None:
                raise RunLostError
            connection.execute(_DROP, values)

        await self._database.write(work)

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
        values = {**key._asdict(), **base._asdict(), "owner": owner, "now": now(), "status": status, "about": about}
        values |= {"unsaved": unsaved, "expires": self._expires(), "amends": amends}
        limits = {
            "thread_id": key.thread_id,
            "settled": key.number - RUNS_IN_GRACE,
            "grace": now() - int(GRACE_SECONDS * 1_000_000),
            "max_runs": self.settings.max_runs,
            "max_bytes": self.settings.max_run_bytes,
        }

        def work(connection: sqlite3.Connection) -> None:
            if connection.execute(_COMPACT, values).fetchone() is None:
                raise RunLostError
            if amends:
                connection.execute(_DROP, values)
            if rest is not None:
                connection.execute(_APPEND, {**key._asdict(), **rest._asdict()})
            connection.execute(_DROP_ENDED, limits)
            connection.execute(_PRUNE, limits)

        await self._database.write(work)

    @override
    async def _note_saved(self, key: RunKey) -> None:
        await self._database.write(lambda connection: connection.execute(_NOTE_SAVED, key))

    @override
    async def _renew(self, keys: Sequence[RunKey], owner: str) -> dict[RunKey, bool]:
        def work(connection: sqlite3.Connection) -> dict[RunKey, bool]:
            rows = ((key, connection.execute(_RENEW, (self._expires(), *key, owner)).fetchone()) for key in keys)
            return {key: bool(row[0]) for key, row in rows if row is not None}

        return await self._database.write(work)

    @override
    async def _request_stop(self, key: RunKey) -> bool:
        return await self._database.write(lambda connection: connection.execute(_STOP, key).rowcount > 0)

    @override
    async def _abandoned(self, limit: int) -> list[RunRecord]:
        def work(connection: sqlite3.Connection) -> list[RunRecord]:
            return [_record(row) for row in connection.execute(_ABANDONED, (*living(self.settings.lease), limit))]

        return await self._database.read(work)

    @override
    async def _claim(self, key: RunKey, owner: str) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            return connection.execute(_CLAIM, (owner, self._expires(), *key, *living(self.settings.lease))).rowcount > 0

        return await self._database.write(work)

    @override
    async def _take(self, key: RunKey, owner: str, held_by: str) -> RunRecord | None:
        def work(connection: sqlite3.Connection) -> RunRecord | None:
            taken = connection.execute(_TAKE, (owner, self._expires(), *key, held_by)).fetchone()
            return _record(taken) if taken is not None else None

        return await self._database.write(work)

    @override
    async def _release(self, key: RunKey, owner: str) -> bool:
        return await self._database.write(lambda connection: connection.execute(_RELEASE, (*key, owner)).rowcount > 0)

    @override
    async def _runs(self, thread_id: str, limit: int) -> list[RunRecord]:
        def work(connection: sqlite3.Connection) -> list[RunRecord]:
            return [_record(row) for row in connection.execute(_RUNS, (thread_id, limit))][::-1]

        return await self._database.read(work)

    @override
    async def _peek(self, keys: Sequence[RunKey]) -> dict[RunKey, Progress]:
        def work(connection: sqlite3.Connection) -> dict[RunKey, Progress]:
            rows = ((key, connection.execute(_STATUS, key).fetchone()) for key in keys)
            return {key: _progress(*row) for key, row in rows if row is not None}

        return await self._database.read(work)

    @override
    async def _read_group(self, wanted: Sequence[Wanted]) -> list[RunBatches | None]:
        def batches(connection: sqlite3.Connection, key: RunKey, after: int) -> RunBatches | None:
            row = connection.execute(_STATUS, key).fetchone()
            if row is None:
                return None
            found = connection.execute(_BATCHES, (*key, after, batches_each(wanted)))
            return _progress(*row), [Batch(*batch) for batch in found]

        def work(connection: sqlite3.Connection) -> list[RunBatches | None]:
            return [batches(connection, *each) for each in wanted]

        return await self._database.read(work)

    @override
    async def _base(self, key: RunKey) -> Base:
        row = await self._database.read(lambda connection: connection.execute(_BASE, key).fetchone())
        if row is None:
            raise RunLostError
        last, payload = row
        return Base(last, payload.encode() if isinstance(payload, str) else payload)

    def _expires(self, lease: float | None = None) -> float:
        return machine_seconds() + (self.settings.lease if lease is None else lease)

    def _oldest(self) -> int:
        age = self.settings.run_age
        return 0 if age is None else now() - int(age * 1_000_000)


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS copilotkit_run_schema (version INTEGER NOT NULL)")
    version = connection.execute("SELECT max(version) FROM copilotkit_run_schema").fetchone()[0] or 0
    if version > len(_MIGRATIONS):
        raise StoreError("The tables of runs were made by a newer release.")
    for statements in _MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute("DELETE FROM copilotkit_run_schema")
    connection.execute("INSERT INTO copilotkit_run_schema (version) VALUES (?)", (len(_MIGRATIONS),))


def _progress(last: int, status: StoredStatus, started: int) -> Progress:
    return Progress(last, status, moment(started))


def _record(row: tuple[str, int, str, str, StoredStatus, int, bytes, int, int, int, int]) -> RunRecord:
    thread_id, number, run_id, agent_name, status, last, about, started, updated, takeovers, unsaved = row
    return RunRecord(
        thread_id=thread_id,
        number=number,
        run_id=run_id,
        agent_name=agent_name,
        status=status,
        last=last,
        about=decode_about(about),
        started_at=moment(started),
        updated_at=moment(updated),
        takeovers=takeovers,
        unsaved=bool(unsaved),
    )
