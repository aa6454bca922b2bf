"""The store on a PostgreSQL server, 12 or newer.

Payloads are ``bytea``, not ``jsonb``: jsonb cannot hold NUL characters, and would be parsed and printed again
on each way. ``convert_from(payload, 'UTF8')`` shows them in psql.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, LiteralString
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection, AsyncCursor, Error, OperationalError, Rollback
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests
from typing_extensions import override

from ..errors import ConfigurationError, StoreError
from .errors import StoreUnavailableError
from .interface import ThreadInfo
from .locks import Standing, Ticket, TicketDesk
from .records import Place, Record, RecordStore, Stamp, micros, moment
from .settings import StoreSettings
from .thread_keys import thread_key

_MIGRATION_LOCK = 0x636F70696C6F74
_MIGRATIONS: tuple[LiteralString, ...] = (
    """
    CREATE TABLE copilotkit_threads (
        thread_id text COLLATE "C" PRIMARY KEY,
        owner text,
        created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    CREATE INDEX copilotkit_threads_by_time ON copilotkit_threads (updated_at, thread_id);
    CREATE INDEX copilotkit_threads_by_owner ON copilotkit_threads (owner, updated_at, thread_id);
    CREATE TABLE copilotkit_states (
        thread_id text COLLATE "C" NOT NULL REFERENCES copilotkit_threads ON DELETE CASCADE,
        agent_name text COLLATE "C" NOT NULL,
        version bigint NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        payload bytea NOT NULL,
        PRIMARY KEY (thread_id, agent_name)
    );
    CREATE TABLE copilotkit_tickets (
        seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        thread_id text COLLATE "C" NOT NULL,
        agent_name text COLLATE "C" NOT NULL,
        token text COLLATE "C" NOT NULL UNIQUE,
        expires_at timestamptz NOT NULL,
        stop boolean NOT NULL DEFAULT false
    );
    CREATE INDEX copilotkit_tickets_by_lock ON copilotkit_tickets (thread_id, agent_name, seq);
    """,
    """
    ALTER TABLE copilotkit_threads ADD COLUMN key uuid;
    ALTER TABLE copilotkit_threads ADD COLUMN name text;
    ALTER TABLE copilotkit_threads ADD COLUMN archived boolean NOT NULL DEFAULT false;
    ALTER TABLE copilotkit_threads ADD COLUMN agents text[] NOT NULL DEFAULT '{}';
    CREATE UNIQUE INDEX copilotkit_threads_by_key ON copilotkit_threads (key);
    """,
)
_MIGRATED_KEYS = 2
"""The version of the tables from which threads have keys, which SQL alone cannot compute."""
_KEYLESS = "SELECT thread_id FROM copilotkit_threads ORDER BY created_at, thread_id"
_SET_KEYS = """
    UPDATE copilotkit_threads AS kept SET key = given.key
    FROM unnest(%(threads)s::text[], %(keys)s::uuid[]) AS given (thread_id, key)
    WHERE kept.thread_id = given.thread_id
"""

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

_SERIALISE = "SELECT pg_advisory_xact_lock(hashtextextended(%(thread_id)s || chr(31) || %(agent_name)s, 0))"
_DROP_TICKETS = """
    DELETE FROM copilotkit_tickets
    WHERE thread_id = %(thread_id)s AND agent_name = %(agent_name)s AND expires_at < clock_timestamp()
"""
_SWEEP_TICKETS = "DELETE FROM copilotkit_tickets WHERE expires_at < clock_timestamp()"
_TAKE_TICKET = """
    INSERT INTO copilotkit_tickets (thread_id, agent_name, token, expires_at)
    VALUES (%(thread_id)s, %(agent_name)s, %(token)s, clock_timestamp() + %(lease)s)
    ON CONFLICT (token) DO UPDATE SET expires_at = excluded.expires_at
    RETURNING stop, NOT EXISTS (
        SELECT FROM copilotkit_tickets AS older
        WHERE older.thread_id = %(thread_id)s AND older.agent_name = %(agent_name)s
            AND older.seq < copilotkit_tickets.seq
    )
"""
_RENEW = """
    UPDATE copilotkit_tickets SET expires_at = clock_timestamp() + %(lease)s
    WHERE token = ANY(%(tokens)s) AND expires_at >= clock_timestamp()
    RETURNING token, stop
"""
_LEAVE = "DELETE FROM copilotkit_tickets WHERE token = %(token)s"
_STOP = """
    UPDATE copilotkit_tickets SET stop = true
    WHERE thread_id = %(thread_id)s AND agent_name = %(agent_name)s
        AND seq < coalesce((SELECT seq FROM copilotkit_tickets WHERE token = %(before)s), 9223372036854775807)
"""

TRUSTED_SECONDS = 1.0
"""For how long a connection that was lent is lent again without a test, unless its server has ended it."""
_KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}

_Values = dict[str, Any]


class Database:
    """A bounded pool of connections, each tested before use and bounded in time.

    Args:
        url: ``postgresql://``, as libpq reads it.
        settings: The size of the pool and the time limits.

    Raises:
        ConfigurationError: libpq cannot read the URL.
    """

    def __init__(self, url: str, settings: StoreSettings) -> None:
        self._settings = settings
        self._options = connection_options(url, settings)
        self._pool: AsyncConnectionPool | None = None

    async def open(self) -> None:
        """Connect, and bring the tables up to date."""
        self._pool = open_pool(self._options, self._settings)
        try:
            async with translated():
                await self._pool.open(wait=True, timeout=self._settings.connect_timeout)
            async with self.transaction() as cursor:
                await _migrate(cursor)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            await self._pool.close(timeout=self._settings.command_timeout)
            self._pool = None

    async def connect(self) -> AsyncConnection:
        """Return a connection beside those of the pool, which notices within half a minute that its peer has gone."""
        return await AsyncConnection.connect(**{**_KEEPALIVES, **self._options})

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[AsyncCursor]:
        """Lend a cursor for a single statement, which is a transaction by itself."""
        if self._pool is None:
            raise StoreError("The state store was not started.")
        async with (
            translated(),
            asyncio.timeout(self._settings.command_timeout),
            self._pool.connection() as connection,
            connection.cursor() as cursor,
        ):
            yield cursor

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncCursor]:
        """Lend a cursor in a transaction: committed on leaving, undone on an error or ``psycopg.Rollback``."""
        async with self.statement() as cursor, cursor.connection.transaction():
            yield cursor


def connection_options(url: str, settings: StoreSettings) -> _Values:
    """Return how to connect: by the URL, with time limits where it gives none.

    Raises:
        ConfigurationError: libpq cannot read the URL.
    """
    try:
        given = conninfo_to_dict(url)
    except Error as error:
        raise ConfigurationError(f"The store's URL is not a valid PostgreSQL URL: {error}") from error
    milliseconds = int(settings.command_timeout * 1000)
    limits = {
        "connect_timeout": max(int(settings.connect_timeout), 2),
        "tcp_user_timeout": milliseconds,
        "application_name": "copilotkit-runtime",
    }
    return {"autocommit": True, **limits, **given}


def open_pool(options: _Values, settings: StoreSettings) -> AsyncConnectionPool:
    """Return a pool, not open yet. It tests a connection before lending it: a restarted server cuts them all."""
    return AsyncConnectionPool(
        kwargs=options,
        min_size=1,
        max_size=settings.pool_size,
        open=False,
        check=ConnectionCheck(),
        timeout=settings.command_timeout,
        reconnect_timeout=settings.connect_timeout,
    )


class ConnectionCheck:
    """Tests connections of a pool before they are lent, without a round trip for those in use all the time.

    What has been lent lately is tested only if something has arrived on it unasked, as when its server has gone.
    """

    def __init__(self) -> None:
        self._lent: WeakKeyDictionary[AsyncConnection, float] = WeakKeyDictionary()

    async def __call__(self, connection: AsyncConnection) -> None:
        """Test a connection.

        Raises:
            OperationalError: It is of no use any longer.
        """
        now = monotonic()
        if now - self._lent.get(connection, 0.0) > TRUSTED_SECONDS or _is_readable(connection.fileno()):
            await AsyncConnectionPool.check_connection(connection)
        self._lent[connection] = now


def _is_readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Turn what psycopg raises into the errors of stores."""
    try:
        yield
    except (OperationalError, PoolTimeout, TooManyRequests, TimeoutError, OSError) as error:
        raise StoreUnavailableError from error
    except Error as error:
        raise StoreError("The state store rejected a command.") from error


async def _migrate(cursor: AsyncCursor) -> None:
    await cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
    await cursor.execute("CREATE TABLE IF NOT EXISTS copilotkit_schema (version integer NOT NULL)")
    await cursor.execute("SELECT max(version) FROM copilotkit_schema")
    row = await cursor.fetchone()
    version = (row and row[0]) or 0
    if version > len(_MIGRATIONS):
        raise StoreError("The state store's tables were created by a newer release.")
    for script in _MIGRATIONS[version:]:
        await cursor.execute(script)
    if version < _MIGRATED_KEYS:
        await _set_keys(cursor)
    await cursor.execute("DELETE FROM copilotkit_schema")
    await cursor.execute("INSERT INTO copilotkit_schema (version) VALUES (%s)", (len(_MIGRATIONS),))


async def _set_keys(cursor: AsyncCursor) -> None:
    """Give threads keys. Of several spellings of one thread, only the oldest gets it; the others are nobody's."""
    await cursor.execute(_KEYLESS)
    spellings: dict[str, str] = {}
    for (thread_id,) in await cursor.fetchall():
        spellings.setdefault(thread_key(thread_id), thread_id)
    await cursor.execute(_SET_KEYS, {"threads": list(spellings.values()), "keys": list(spellings)})


class PostgresTickets(TicketDesk):
    """Tickets in a table. An advisory lock makes the order of the numbers the order of the commits."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def enter(self, ticket: Ticket, lease: float) -> Standing:
        values = {**ticket._asdict(), "lease": timedelta(seconds=lease)}
        async with self._database.transaction() as cursor:
            for statement in (_SERIALISE, _DROP_TICKETS, _TAKE_TICKET):
                await cursor.execute(statement, values)
            stop, first = await _one(cursor)
        return Standing(first, stop)

    @override
    async def renew(self, tickets: Sequence[Ticket], lease: float) -> dict[str, bool]:
        values = {"tokens": [ticket.token for ticket in tickets], "lease": timedelta(seconds=lease)}
        async with self._database.statement() as cursor:
            await cursor.execute(_RENEW, values)
            return dict(await cursor.fetchall())

    @override
    async def leave(self, ticket: Ticket) -> None:
        async with self._database.statement() as cursor:
            await cursor.execute(_LEAVE, ticket._asdict())

    @override
    async def request_stop(self, thread_id: str, agent_name: str, before: str | None) -> None:
        values = {"thread_id": thread_id, "agent_name": agent_name, "before": before}
        async with self._database.statement() as cursor:
            await cursor.execute(_STOP, values)


async def _one(cursor: AsyncCursor) -> tuple[Any, ...]:
    row = await cursor.fetchone()
    if row is None:
        raise StoreError("The state store returned no result where one was expected.")
    return row


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
            await cursor.execute(_SWEEP_TICKETS)

    @override
    async def _close(self) -> None:
        await self._database.close()

    @override
    async def _ping(self) -> None:
        async with self._database.statement() as cursor:
            await cursor.execute("SELECT 1")

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
            owner, now = await _one(cursor)
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
            found = _info(*await _one(cursor))
        return found if opened or found.expired else None

    @override
    async def _expired(self, limit: int) -> list[str]:
        async with self._database.statement() as cursor:
            await cursor.execute(_EXPIRED, {"ttl": self._ttl(), "limit": limit})
            return [thread_id for (thread_id,) in await cursor.fetchall()]

    @override
    async def _describe(self, thread_id: str, changes: dict[str, Any]) -> bool:
        given = {"name": changes.get("name"), "archived": changes.get("archived"), "renames": "name" in changes}
        async with self._database.statement() as cursor:
            await cursor.execute(_DESCRIBE, {**given, **self._named(thread_id)})
            return cursor.rowcount > 0

    @override
    async def _delete(self, thread_id: str) -> bool:
        async with self._database.transaction() as cursor:
            await cursor.execute(_DELETE_TICKETS, self._named(thread_id))
            await cursor.execute(_DELETE, self._named(thread_id))
            return any(living for (living,) in await cursor.fetchall())

    @override
    async def _claim(self, thread_id: str, owner: str) -> bool:
        values: _Values = {**self._named(thread_id), "owner": owner}
        async with self._database.transaction() as cursor:
            await cursor.execute(_IN_TURN, values)
            await cursor.execute(_RESOLVE, values)
            (values["thread_id"],) = await _one(cursor)
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
