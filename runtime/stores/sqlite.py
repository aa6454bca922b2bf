"""The embedded store: one SQLite file, shared by all processes of one machine.

The file is in WAL mode: readers do not wait for a writer, and what was committed survives the death of the
process (https://www.sqlite.org/wal.html). One thread owns the connection, so that nothing blocks the loop.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from typing_extensions import override

from ..errors import StoreError
from .errors import StoreUnavailableError
from .interface import ThreadInfo
from .locks import Standing, Ticket, TicketDesk
from .machine_clock import living, machine_seconds
from .records import Place, Record, RecordStore, Stamp, moment, now
from .settings import StoreSettings
from .thread_keys import thread_key

T = TypeVar("T")

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_BUSY_SNAPSHOT)

_MIGRATIONS = (
    """
    CREATE TABLE copilotkit_threads (
        thread_id TEXT PRIMARY KEY,
        owner TEXT,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL
    );
    CREATE INDEX copilotkit_threads_by_time ON copilotkit_threads (updated, thread_id);
    CREATE INDEX copilotkit_threads_by_owner ON copilotkit_threads (owner, updated, thread_id);
    CREATE TABLE copilotkit_states (
        thread_id TEXT NOT NULL REFERENCES copilotkit_threads ON DELETE CASCADE,
        agent_name TEXT NOT NULL,
        version INTEGER NOT NULL,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL,
        payload BLOB NOT NULL,
        PRIMARY KEY (thread_id, agent_name)
    );
    CREATE TABLE copilotkit_tickets (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        thread_id TEXT NOT NULL,
        agent_name TEXT NOT NULL,
        token TEXT NOT NULL UNIQUE,
        expires REAL NOT NULL,
        stop INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX copilotkit_tickets_by_lock ON copilotkit_tickets (thread_id, agent_name, seq);
    """,
    # Of several spellings of one thread, only the oldest has a key: the others are nobody's.
    """
    ALTER TABLE copilotkit_threads ADD COLUMN key TEXT;
    ALTER TABLE copilotkit_threads ADD COLUMN name TEXT;
    ALTER TABLE copilotkit_threads ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE copilotkit_threads ADD COLUMN agents TEXT NOT NULL DEFAULT '[]';
    UPDATE copilotkit_threads SET key = thread_key(thread_id);
    CREATE INDEX copilotkit_threads_spelled ON copilotkit_threads (key, created, thread_id);
    UPDATE copilotkit_threads SET key = NULL WHERE EXISTS (
        SELECT 1 FROM copilotkit_threads AS older WHERE older.key = copilotkit_threads.key
            AND (older.created, older.thread_id) < (copilotkit_threads.created, copilotkit_threads.thread_id)
    );
    DROP INDEX copilotkit_threads_spelled;
    CREATE UNIQUE INDEX copilotkit_threads_by_key ON copilotkit_threads (key);
    """,
)

_READ = """
    SELECT payload, version, owner, states.created, states.updated
    FROM copilotkit_states AS states JOIN copilotkit_threads AS threads USING (thread_id)
    WHERE thread_id = ? AND agent_name = ? AND threads.updated >= ?
"""
_FORGET = "DELETE FROM copilotkit_threads WHERE thread_id = ? AND updated < ?"
_TOUCH = """
    INSERT INTO copilotkit_threads (thread_id, key, created, updated)
    VALUES (:thread_id, (SELECT :key WHERE NOT EXISTS (SELECT 1 FROM copilotkit_threads WHERE key = :key)), :now, :now)
    ON CONFLICT (thread_id) DO UPDATE SET updated = :now
    RETURNING owner
"""
_THREAD = """
    SELECT thread_id, owner, created, updated, name, archived, agents FROM copilotkit_threads WHERE key = ?
"""
_SPELLING = "SELECT thread_id FROM copilotkit_threads WHERE key = ?"
_ADOPT = "UPDATE copilotkit_threads SET key = ? WHERE thread_id = ? AND key IS NULL"
_EXPIRED = "SELECT thread_id FROM copilotkit_threads WHERE updated < ? ORDER BY updated LIMIT ?"
_OPEN = """
    INSERT INTO copilotkit_threads (thread_id, key, owner, agents, created, updated)
    VALUES (:thread_id, :key, :owner, :agents, :now, :now)
    ON CONFLICT (key) DO UPDATE SET updated = :now, agents = :agents
    RETURNING thread_id, owner, created, updated, name, archived, agents
"""
_VERSION = "SELECT version FROM copilotkit_states WHERE thread_id = ? AND agent_name = ?"
_WRITE = """
    INSERT INTO copilotkit_states (thread_id, agent_name, version, created, updated, payload)
    VALUES (:thread_id, :agent_name, 1, :now, :now, :payload)
    ON CONFLICT (thread_id, agent_name)
    DO UPDATE SET version = version + 1, updated = :now, payload = :payload
    RETURNING version, created
"""
_LIST = """
    SELECT thread_id, owner, created, updated, name, archived, agents FROM copilotkit_threads
    WHERE updated >= :oldest AND (:owner IS NULL OR owner = :owner)
        AND (:updated IS NULL OR (updated, thread_id) < (:updated, :thread_id))
    ORDER BY updated DESC, thread_id DESC LIMIT :limit
"""
_AGENTS = "SELECT agent_name FROM copilotkit_states WHERE thread_id = ? ORDER BY agent_name"
_CLAIM = """
    INSERT INTO copilotkit_threads (thread_id, key, owner, created, updated)
    VALUES (:thread_id, :key, :owner, :now, :now)
    ON CONFLICT (thread_id) DO UPDATE SET owner = :owner, updated = :now
        WHERE copilotkit_threads.owner IS NULL OR copilotkit_threads.owner = :owner
    RETURNING thread_id
"""
_DROP_TICKETS = """
    DELETE FROM copilotkit_tickets WHERE thread_id = ? AND agent_name = ? AND expires NOT BETWEEN ? AND ?
"""
_SWEEP_TICKETS = "DELETE FROM copilotkit_tickets WHERE expires NOT BETWEEN ? AND ?"
_TAKE_TICKET = """
    INSERT INTO copilotkit_tickets (thread_id, agent_name, token, expires) VALUES (?, ?, ?, ?)
    ON CONFLICT (token) DO UPDATE SET expires = excluded.expires
"""
_VACUUM_SECONDS = 600.0
_QUEUE = "SELECT token, stop FROM copilotkit_tickets WHERE thread_id = ? AND agent_name = ? ORDER BY seq"
_RENEW = "UPDATE copilotkit_tickets SET expires = ? WHERE token = ? AND expires BETWEEN ? AND ? RETURNING token, stop"
_STOP = """
    UPDATE copilotkit_tickets SET stop = 1 WHERE thread_id = ? AND agent_name = ?
    AND seq < coalesce((SELECT seq FROM copilotkit_tickets WHERE token = ?), 9223372036854775807)
"""


@contextmanager
def translated() -> Iterator[None]:
    """Turn what sqlite3 raises into the errors of stores."""
    try:
        yield
    except TimeoutError as error:
        raise StoreUnavailableError from error
    except (sqlite3.Error, OSError) as error:
        if getattr(error, "sqlite_errorcode", None) in _BUSY:
            raise StoreUnavailableError from error
        raise StoreError("The state store's file cannot be used.") from error


def create_private(path: Path) -> None:
    """Create a file, and its folder, that its owner alone may read; SQLite gives the files beside it the same mode.

    A file that is there keeps its mode.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.touch(mode=0o600, exist_ok=False)


class Database:
    """A connection to the file and the thread that owns it.

    Args:
        path: The file; it and its folder are created if need be.
        timeout: How long a statement may wait for another process's write, in seconds.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._worker: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Start the thread, open the file and bring its tables up to date."""
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="sqlite-store")
        try:
            await self._work(self._connect)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the file and end the thread."""
        if self._worker is not None:
            await self._work(self._disconnect)
            self._worker.shutdown()
            self._worker = None

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do ``work`` on the connection's thread, on one snapshot of the file."""
        return await self._work(lambda: self._transact(work, "BEGIN"))

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do ``work`` on the connection's thread; all it writes is written at once, or nothing is."""
        return await self._work(lambda: self._transact(work, "BEGIN IMMEDIATE"))

    async def vacuum(self) -> None:
        """Write the file anew without the room of what was deleted. Other processes wait for it."""
        await self._work(self._vacuum, _VACUUM_SECONDS)

    def _vacuum(self) -> None:
        if self._connection is not None:
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _transact(self, work: Callable[[sqlite3.Connection], T], begin: str) -> T:
        if self._connection is None:
            raise StoreError("The state store was not started.")
        with _transaction(self._connection, begin):
            return work(self._connection)

    async def _work(self, work: Callable[[], T], seconds: float | None = None) -> T:
        if self._worker is None:
            raise StoreError("The state store was not started.")
        with translated():
            async with asyncio.timeout(2 * self._timeout if seconds is None else seconds):
                return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    def _connect(self) -> None:
        create_private(self._path)
        connection = sqlite3.connect(self._path, timeout=self._timeout, isolation_level=None)
        self._connection = connection
        connection.create_function("thread_key", 1, thread_key, deterministic=True)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        with _transaction(connection, "BEGIN IMMEDIATE"):
            _migrate(connection)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS copilotkit_schema (version INTEGER NOT NULL)")
    row = connection.execute("SELECT max(version) FROM copilotkit_schema").fetchone()
    version = row[0] or 0
    if version > len(_MIGRATIONS):
        raise StoreError("The state store's tables were created by a newer release.")
    for script in _MIGRATIONS[version:]:
        for statement in filter(str.strip, script.split(";")):
            connection.execute(statement)
    connection.execute("DELETE FROM copilotkit_schema")
    connection.execute("INSERT INTO copilotkit_schema (version) VALUES (?)", (len(_MIGRATIONS),))


class SqliteTickets(TicketDesk):
    """Tickets in a table. All processes are on one machine, so that its clock serves them all (``machine_clock``)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def enter(self, ticket: Ticket, lease: float) -> Standing:
        def work(connection: sqlite3.Connection) -> Standing:
            connection.execute(_DROP_TICKETS, (*ticket[:2], *living(lease)))
            connection.execute(_TAKE_TICKET, (*ticket, machine_seconds() + lease))
            queue = connection.execute(_QUEUE, ticket[:2]).fetchall()
            return Standing(queue[0][0] == ticket.token, bool(dict(queue)[ticket.token]))

        return await self._database.write(work)

    @override
    async def renew(self, tickets: Sequence[Ticket], lease: float) -> dict[str, bool]:
        def work(connection: sqlite3.Connection) -> dict[str, bool]:
            stops: dict[str, bool] = {}
            for ticket in tickets:
                rows = connection.execute(_RENEW, (machine_seconds() + lease, ticket.token, *living(lease)))
                stops.update({token: bool(stop) for token, stop in rows})
            return stops

        return await self._database.write(work)

    @override
    async def leave(self, ticket: Ticket) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM copilotkit_tickets WHERE token = ?", (ticket.token,))

        await self._database.write(work)

    @override
    async def request_stop(self, thread_id: str, agent_name: str, before: str | None) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute(_STOP, (thread_id, agent_name, before))

        await self._database.write(work)


class SqliteStore(RecordStore):
    """Keeps states in a SQLite file.

    Args:
        path: The file; it and its folder are created if need be.
        settings: The limits.
    """

    def __init__(self, path: Path, settings: StoreSettings | None = None) -> None:
        settings = settings or StoreSettings()
        self._database = Database(path, settings.command_timeout)
        super().__init__(SqliteTickets(self._database), settings)

    @property
    def database(self) -> Database:
        """What is connected to, for the runs that are kept beside the states."""
        return self._database

    @override
    async def compact(self) -> None:
        await self._database.vacuum()

    @override
    async def _open(self) -> None:
        await self._database.open()
        await self._database.write(lambda connection: connection.execute(_SWEEP_TICKETS, living(self._settings.lease)))

    @override
    async def _close(self) -> None:
        await self._database.close()

    @override
    async def _ping(self) -> None:
        await self._database.read(lambda connection: connection.execute("SELECT 1").fetchone())

    @override
    async def _read(self, keys: Sequence[tuple[str, str]]) -> list[Record | None]:
        oldest = self._oldest()

        def work(connection: sqlite3.Connection) -> list[Record | None]:
            rows = (connection.execute(_READ, (*key, oldest)).fetchone() for key in keys)
            return [row and Record(row[0], Stamp(*row[1:])) for row in rows]

        return await self._database.read(work)

    @override
    async def _write(self, thread_id: str, agent_name: str, payload: bytes, expected: int | None) -> Stamp | None:
        oldest = self._oldest()

        def work(connection: sqlite3.Connection) -> Stamp | None:
            connection.execute(_FORGET, (thread_id, oldest))
            kept = connection.execute(_VERSION, (thread_id, agent_name)).fetchone()
            if expected is not None and expected != (kept[0] if kept else 0):
                return None
            present = now()
            values = {"thread_id": thread_id, "agent_name": agent_name, "payload": payload, "now": present}
            (owner,) = connection.execute(_TOUCH, {**values, "key": thread_key(thread_id)}).fetchone()
            version, created = connection.execute(_WRITE, values).fetchone()
            return Stamp(version, owner, created, present)

        return await self._database.write(work)

    @override
    async def _list(self, owner: str | None, limit: int, after: Place | None) -> list[ThreadInfo]:
        updated, thread_id = after or (None, None)
        values = {
            "oldest": self._oldest(),
            "owner": owner,
            "updated": updated,
            "thread_id": thread_id,
            "limit": limit,
        }

        def work(connection: sqlite3.Connection) -> list[ThreadInfo]:
            rows = connection.execute(_LIST, values).fetchall()
            return [_info(row, connection.execute(_AGENTS, row[:1]).fetchall(), 0) for row in rows]

        return await self._database.read(work)

    @override
    async def _thread(self, thread_id: str) -> ThreadInfo | None:
        oldest = self._oldest()

        def work(connection: sqlite3.Connection) -> ThreadInfo | None:
            row = connection.execute(_THREAD, (thread_key(thread_id),)).fetchone()
            return row and _info(row, connection.execute(_AGENTS, row[:1]).fetchall(), oldest)

        return await self._database.read(work)

    @override
    async def _open_thread(self, thread_id: str, owner: str | None, agent_name: str | None) -> ThreadInfo | None:
        oldest, key = self._oldest(), thread_key(thread_id)

        def work(connection: sqlite3.Connection) -> ThreadInfo | None:
            row = connection.execute(_THREAD, (key,)).fetchone()
            if row is None and connection.execute(_ADOPT, (key, thread_id)).rowcount:
                row = connection.execute(_THREAD, (key,)).fetchone()
            known = row and _info(row, (), oldest)
            if known is not None and (known.expired or owner not in (None, known.owner)):
                return known if known.expired else None
            agents = {*(known.agents if known else ()), *([] if agent_name is None else [agent_name])}
            values = {"thread_id": thread_id, "key": key, "owner": owner, "now": now()}
            opened = connection.execute(_OPEN, {**values, "agents": json.dumps(sorted(agents))}).fetchone()
            return _info(opened, connection.execute(_AGENTS, opened[:1]).fetchall(), oldest)

        return await self._database.write(work)

    @override
    async def _expired(self, limit: int) -> list[str]:
        oldest = self._oldest()

        def work(connection: sqlite3.Connection) -> list[str]:
            return [thread_id for (thread_id,) in connection.execute(_EXPIRED, (oldest, limit))]

        return await self._database.read(work)

    @override
    async def _describe(self, thread_id: str, changes: dict[str, Any]) -> bool:
        assignments = ", ".join(f"{name} = :{name}" for name in changes)
        statement = f"UPDATE copilotkit_threads SET {assignments} WHERE key = :key AND updated >= :oldest"  # noqa: S608
        values = {**changes, "key": thread_key(thread_id), "oldest": self._oldest()}
        return await self._database.write(lambda connection: connection.execute(statement, values).rowcount > 0)

    @override
    async def _delete(self, thread_id: str) -> bool:
        oldest = self._oldest()

        def work(connection: sqlite3.Connection) -> bool:
            living = 0
            for spelling in {thread_id, _spelling(connection, thread_id)}:
                connection.execute("DELETE FROM copilotkit_tickets WHERE thread_id = ?", (spelling,))
                statement = "DELETE FROM copilotkit_threads WHERE thread_id = ? RETURNING updated >= ?"
                living += sum(alive for (alive,) in connection.execute(statement, (spelling, oldest)).fetchall())
            return living > 0

        return await self._database.write(work)

    @override
    async def _claim(self, thread_id: str, owner: str) -> bool:
        oldest = self._oldest()

        def work(connection: sqlite3.Connection) -> bool:
            spelling = _spelling(connection, thread_id)
            connection.execute(_FORGET, (spelling, oldest))
            values = {"thread_id": spelling, "key": thread_key(thread_id), "owner": owner, "now": now()}
            return connection.execute(_CLAIM, values).fetchone() is not None

        return await self._database.write(work)

    @override
    async def _owner(self, thread_id: str) -> str | None:
        oldest = self._oldest()

        def work(connection: sqlite3.Connection) -> str | None:
            statement = "SELECT owner FROM copilotkit_threads WHERE key = ? AND updated >= ?"
            row = connection.execute(statement, (thread_key(thread_id), oldest)).fetchone()
            return row[0] if row else None

        return await self._database.read(work)

    def _oldest(self) -> int:
        ttl = self._settings.ttl
        return 0 if ttl is None else now() - int(ttl * 1_000_000)


def _spelling(connection: sqlite3.Connection, thread_id: str) -> str:
    row = connection.execute(_SPELLING, (thread_key(thread_id),)).fetchone()
    return row[0] if row else thread_id


_Row = tuple[str, str | None, int, int, str | None, int, str]


def _info(row: _Row, agents: Iterable[tuple[str]], oldest: int) -> ThreadInfo:
    thread_id, owner, created, updated, name, archived, opened_by = row
    return ThreadInfo(
        thread_id=thread_id,
        owner=owner,
        agents=sorted({*json.loads(opened_by), *(agent for (agent,) in agents)}),
        created_at=moment(created),
        updated_at=moment(updated),
        name=name,
        archived=bool(archived),
        expired=updated < oldest,
    )
