"""The embedded store: one SQLite file, shared by all processes of one machine."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override

from .interface import ThreadInfo
from .machine_clock import living
from .records import Place, Record, RecordStore, Stamp, moment, now
from .settings import StoreSettings
from .sqlite_database import Database
from .sqlite_tickets import SWEEP_TICKETS, SqliteTickets
from .thread_keys import thread_key

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
        await self._database.write(lambda connection: connection.execute(SWEEP_TICKETS, living(self._settings.lease)))

    @override
    async def _close(self) -> None:
        await self._database.close()

    @override
    async def _ping(self) -> None:
        await self._database.check()

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
            existing = row and _info(row, (), oldest)
            if existing is not None and (existing.expired or owner not in (None, existing.owner)):
                return existing if existing.expired else None
            agents = {*(json.loads(row[-1]) if row else ()), *([] if agent_name is None else [agent_name])}
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
    async def _describe(self, thread_id: str, changes: dict[str, Any], owner: str | None) -> bool:
        assignments = ", ".join(f"{name} = :{name}" for name in changes)
        which = "key = :key AND updated >= :oldest AND (:owner IS NULL OR owner = :owner)"
        statement = f"UPDATE copilotkit_threads SET {assignments} WHERE {which}"  # noqa: S608
        values = {**changes, "key": thread_key(thread_id), "oldest": self._oldest(), "owner": owner}
        return await self._database.write(lambda connection: connection.execute(statement, values).rowcount > 0)

    @override
    async def _delete(self, thread_id: str, *, disown: bool = False) -> bool:
        oldest = self._oldest()

        def work(connection: sqlite3.Connection) -> bool:
            living, kept_under = 0, _spelling(connection, thread_id)
            for spelling in {thread_id, kept_under}:
                connection.execute("DELETE FROM copilotkit_tickets WHERE thread_id = ?", (spelling,))
                statement = "DELETE FROM copilotkit_threads WHERE thread_id = ? RETURNING updated >= ?"
                living += sum(alive for (alive,) in connection.execute(statement, (spelling, oldest)).fetchall())
            if disown:
                values = {"thread_id": kept_under, "key": thread_key(thread_id), "owner": None, "now": now()}
                connection.execute(_OPEN, {**values, "agents": "[]"})
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
