"""The store on a PostgreSQL server, 12 or newer.

Payloads are ``bytea``, not ``jsonb``: jsonb cannot hold NUL characters, and would be parsed and printed again
on each way. ``convert_from(payload, 'UTF8')`` shows them in psql.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

from psycopg import AsyncCursor, Rollback
from psycopg.errors import ReadOnlySqlTransaction
from typing_extensions import override

from .interface import ThreadInfo
from .postgres_database import Database, single_row
from .postgres_tickets import SWEEP_TICKETS, PostgresTickets
from .records import Place, Record, RecordStore, Stamp, micros, moment
from .settings import StoreSettings
from .thread_keys import thread_key

_Values = dict[str, Any]

_READ = """
    SELECT place, payload, version, owner, states.created_at, states.updated_at
    FROM unnest(%(threads)s::text[], %(agents)s::text[]) WITH ORDINALITY
        AS wanted (thread_id, agent_name, place)
    JOIN copilotkit_states AS states USING (thread_id, agent_name)
    JOIN copilotkit_threads AS threads USING (thread_id)
    WHERE %(ttl)s::interval IS NULL OR threads.updated_at >= clock_timestamp() - %(ttl)s::interval
"""
_FORGET = """
    DELETE FROM copilotkit_threads
    WHERE thread_id = %(thread_id)s AND updated_at < clock_timestamp() - %(ttl)s::interval
"""
# ON CONFLICT names one of the table's two unique indexes: of two who insert the same thread at once, the second one may
# meet the other index first, and fail.
_IN_TURN = "SELECT pg_advisory_xact_lock(hashtextextended(%(key)s::text, 1))"
_TOUCH = """
    INSERT INTO copilotkit_threads (thread_id, key) VALUES (
        %(thread_id)s, CASE WHEN NOT EXISTS (
            SELECT FROM copilotkit_threads WHERE key = %(key)s::uuid AND thread_id <> %(thread_id)s
        ) THEN %(key)s::uuid END
    )
    ON CONFLICT (thread_id) DO UPDATE SET updated_at = clock_timestamp()
    RETURNING owner, updated_at
"""
_RECORD = """
    thread_id, owner, created_at, updated_at, name, archived, ARRAY(
        SELECT agent_name FROM copilotkit_states AS states WHERE states.thread_id = threads.thread_id
        UNION SELECT unnest(threads.agents) COLLATE "C" ORDER BY 1
    )
"""
_THREAD: LiteralString = f"""
    SELECT {_RECORD}, coalesce(updated_at < clock_timestamp() - %(ttl)s::interval, false)
    FROM copilotkit_threads AS threads WHERE key = %(key)s::uuid
"""  # noqa: S608 - of constants
_ADOPT = """
    UPDATE copilotkit_threads SET key = %(key)s::uuid WHERE thread_id = %(thread_id)s AND key IS NULL
    AND NOT EXISTS (SELECT FROM copilotkit_threads WHERE key = %(key)s::uuid)
"""
_OPEN = """
    INSERT INTO copilotkit_threads AS kept (thread_id, key, owner, agents)
    VALUES (%(thread_id)s, %(key)s::uuid, %(owner)s::text, array_remove(ARRAY[%(agent_name)s::text], NULL))
    ON CONFLICT (key) DO UPDATE SET updated_at = clock_timestamp(),
        agents = CASE WHEN kept.agents @> excluded.agents THEN kept.agents ELSE kept.agents || excluded.agents END
        WHERE (excluded.owner IS NULL OR kept.owner = excluded.owner)
            AND (%(ttl)s::interval IS NULL OR kept.updated_at >= clock_timestamp() - %(ttl)s::interval)
"""
_EXPIRED = """
    SELECT thread_id FROM copilotkit_threads WHERE updated_at < statement_timestamp() - %(ttl)s::interval
    ORDER BY updated_at LIMIT %(limit)s
"""
_DESCRIBE = """
    UPDATE copilotkit_threads SET
        name = CASE WHEN %(renames)s THEN %(name)s::text ELSE name END,
        archived = coalesce(%(archived)s::boolean, archived)
    WHERE key = %(key)s::uuid
        AND (%(ttl)s::interval IS NULL OR updated_at >= clock_timestamp() - %(ttl)s::interval)
        AND (%(owner)s::text IS NULL OR owner = %(owner)s)
"""
_WRITE = """
    INSERT INTO copilotkit_states AS kept (thread_id, agent_name, version, created_at, updated_at, payload)
    SELECT %(thread_id)s, %(agent_name)s, 1, %(now)s, %(now)s, %(payload)s
    WHERE %(expected)s::bigint IS NULL OR %(expected)s = 0 OR EXISTS (
        SELECT FROM copilotkit_states WHERE thread_id = %(thread_id)s AND agent_name = %(agent_name)s
    )
    ON CONFLICT (thread_id, agent_name)
    DO UPDATE SET version = kept.version + 1, updated_at = excluded.updated_at, payload = excluded.payload
        WHERE %(expected)s::bigint IS NULL OR kept.version = %(expected)s
    RETURNING version, created_at
"""
_LIST: LiteralString = f"""
    SELECT {_RECORD}, false
    FROM copilotkit_threads AS threads
    WHERE (%(ttl)s::interval IS NULL OR updated_at >= statement_timestamp() - %(ttl)s::interval)
        AND (%(owner)s::text IS NULL OR owner = %(owner)s)
        AND (%(updated)s::timestamptz IS NULL OR (updated_at, thread_id) < (%(updated)s, %(thread_id)s))
    ORDER BY updated_at DESC, thread_id DESC LIMIT %(limit)s
"""  # noqa: S608 - of constants
_SPELLING = """
    coalesce((SELECT thread_id FROM copilotkit_threads WHERE key = %(key)s::uuid), %(thread_id)s)
"""
_DELETE_TICKETS: LiteralString = f"""
    DELETE FROM copilotkit_tickets WHERE thread_id IN (%(thread_id)s, {_SPELLING})
"""  # noqa: S608 - of constants
_DELETE: LiteralString = f"""
    DELETE FROM copilotkit_threads WHERE thread_id IN (%(thread_id)s, {_SPELLING})
    RETURNING %(ttl)s::interval IS NULL OR updated_at >= clock_timestamp() - %(ttl)s::interval
"""  # noqa: S608 - of constants
_RESOLVE: LiteralString = f"SELECT {_SPELLING}"
_CLAIM = """
    INSERT INTO copilotkit_threads AS kept (thread_id, key, owner) VALUES (%(thread_id)s, %(key)s::uuid, %(owner)s)
    ON CONFLICT (thread_id) DO UPDATE SET owner = excluded.owner, updated_at = clock_timestamp()
        WHERE kept.owner IS NULL OR kept.owner = excluded.owner
"""
_OWNER = """
    SELECT owner FROM copilotkit_threads WHERE key = %(key)s::uuid
    AND (%(ttl)s::interval IS NULL OR updated_at >= clock_timestamp() - %(ttl)s::interval)
"""


class PostgresStore(RecordStore):
    """Keeps states on a PostgreSQL server, in tables whose names begin with ``copilotkit_``.

    Args:
        url: ``postgresql://``, as libpq reads it.
        settings: The limits.
    """

    def __init__(self, url: str, settings: StoreSettings | None = None) -> None:
        settings = settings or StoreSettings()
        self._database = Database(url, settings)
        super().__init__(PostgresTickets(self._database), settings)

    @property
    def database(self) -> Database:
        """What is connected to, for the runs that are kept beside the states."""
        return self._database

    @override
    async def _open(self) -> None:
        await self._database.open()
        async with self._database.statement() as cursor:
            await cursor.execute(SWEEP_TICKETS)

    @override
    async def _close(self) -> None:
        await self._database.close()

    @override
    async def _ping(self) -> None:
        async with self._database.statement() as cursor:
            await cursor.execute("SELECT current_setting('transaction_read_only')::bool")
            (takes_no_writes,) = await single_row(cursor)
            if takes_no_writes:
                raise ReadOnlySqlTransaction("The server takes no writes.")

    @override
    async def _read(self, keys: Sequence[tuple[str, str]]) -> list[Record | None]:
        threads, agents = ([*names] for names in zip(*keys, strict=True))
        records: list[Record | None] = [None] * len(keys)
        async with self._database.statement() as cursor:
            await cursor.execute(_READ, {"threads": threads, "agents": agents, "ttl": self._ttl()}, binary=True)
            for place, payload, version, owner, created, updated in await cursor.fetchall():
                records[place - 1] = Record(payload, Stamp(version, owner, micros(created), micros(updated)))
        return records

    @override
    async def _write(self, thread_id: str, agent_name: str, payload: bytes, expected: int | None) -> Stamp | None:
        values: _Values = {**self._named(thread_id), "agent_name": agent_name}
        async with self._database.transaction() as cursor:
            await cursor.execute(_IN_TURN, values)
            await self._forget(cursor, values)
            await cursor.execute(_TOUCH, values)
            owner, now = await single_row(cursor)
            await cursor.execute(_WRITE, {**values, "payload": payload, "expected": expected, "now": now})
            row = await cursor.fetchone()
            if row is None:
                raise Rollback
        return Stamp(row[0], owner, micros(row[1]), micros(now)) if row else None

    @override
    async def _list(self, owner: str | None, limit: int, after: Place | None) -> list[ThreadInfo]:
        values = {
            "owner": owner,
            "updated": moment(after.updated) if after else None,
            "thread_id": after.thread_id if after else None,
            "limit": limit,
            "ttl": self._ttl(),
        }
        async with self._database.statement() as cursor:
            await cursor.execute(_LIST, values)
            return [_info(*row) for row in await cursor.fetchall()]

    @override
    async def _thread(self, thread_id: str) -> ThreadInfo | None:
        async with self._database.statement() as cursor:
            await cursor.execute(_THREAD, {"key": thread_key(thread_id), "ttl": self._ttl()})
            row = await cursor.fetchone()
        return _info(*row) if row else None

    @override
    async def _open_thread(self, thread_id: str, owner: str | None, agent_name: str | None) -> ThreadInfo | None:
        values: _Values = {**self._named(thread_id), "owner": owner, "agent_name": agent_name}
        async with self._database.transaction() as cursor:
            await cursor.execute(_IN_TURN, values)
            await cursor.execute(_ADOPT, values)
            await cursor.execute(_OPEN, values)
            opened = cursor.rowcount > 0
            await cursor.execute(_THREAD, values)
            found = _info(*await single_row(cursor))
        return found if opened or found.expired else None

    @override
    async def _expired(self, limit: int) -> list[str]:
        async with self._database.statement() as cursor:
            await cursor.execute(_EXPIRED, {"ttl": self._ttl(), "limit": limit})
            return [thread_id for (thread_id,) in await cursor.fetchall()]

    @override
    async def _describe(self, thread_id: str, changes: dict[str, Any], owner: str | None) -> bool:
        given = {"name": changes.get("name"), "archived": changes.get("archived"), "renames": "name" in changes}
        async with self._database.statement() as cursor:
            await cursor.execute(_DESCRIBE, {**given, **self._named(thread_id), "owner": owner})
            return cursor.rowcount > 0

    @override
    async def _delete(self, thread_id: str, *, disown: bool = False) -> bool:
        values: _Values = {**self._named(thread_id), "owner": None, "agent_name": None}
        async with self._database.transaction() as cursor:
            await cursor.execute(_IN_TURN, values)
            await cursor.execute(_RESOLVE, values)
            (kept_under,) = await single_row(cursor)
            await cursor.execute(_DELETE_TICKETS, values)
            await cursor.execute(_DELETE, values)
            living = any(living for (living,) in await cursor.fetchall())
            if disown:
                await cursor.execute(_OPEN, {**values, "thread_id": kept_under})
        return living

    @override
    async def _claim(self, thread_id: str, owner: str) -> bool:
        values: _Values = {**self._named(thread_id), "owner": owner}
        async with self._database.transaction() as cursor:
            await cursor.execute(_IN_TURN, values)
            await cursor.execute(_RESOLVE, values)
            (values["thread_id"],) = await single_row(cursor)
            await self._forget(cursor, values)
            await cursor.execute(_CLAIM, values)
            return cursor.rowcount > 0

    @override
    async def _owner(self, thread_id: str) -> str | None:
        async with self._database.statement() as cursor:
            await cursor.execute(_OWNER, self._named(thread_id))
            row = await cursor.fetchone()
        return row[0] if row else None

    async def _forget(self, cursor: AsyncCursor, values: _Values) -> None:
        if values["ttl"] is not None:
            await cursor.execute(_FORGET, values)

    def _named(self, thread_id: str) -> _Values:
        return {"thread_id": thread_id, "key": thread_key(thread_id), "ttl": self._ttl()}

    def _ttl(self) -> timedelta | None:
        return None if self._settings.ttl is None else timedelta(seconds=self._settings.ttl)


def _info(
    thread_id: str,
    owner: str | None,
    created: datetime,
    updated: datetime,
    name: str | None,
    archived: bool,
    agents: list[str],
    expired: bool,
) -> ThreadInfo:
    return ThreadInfo(
        thread_id=thread_id,
        owner=owner,
        agents=agents,
        created_at=created.astimezone(UTC),
        updated_at=updated.astimezone(UTC),
        name=name,
        archived=archived,
        expired=expired,
    )
