"""Connections to a PostgreSQL server, and the tables of the store on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, LiteralString

from psycopg import AsyncConnection, AsyncCursor, Error, OperationalError
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import DiskFull, ReadOnlySqlTransaction
from psycopg_pool import PoolTimeout, TooManyRequests

from ..errors import ConfigurationError, StoreError
from .errors import StoreFullError, StoreNotOpenError, StoreUnavailableError
from .postgres_pool import ConnectionCheck, ConnectionPool
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

_KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}


class Database:
    """A bounded pool of connections, each tested before use and bounded in time.

    Event loops may use it one after another. A pool's connections and tasks belong to the loop that opened it: once
    that has ended, as with each ``asyncio.run``, they are left to the garbage collector, and the next has a new pool.

    Args:
        url: ``postgresql://``, as libpq reads it.
        settings: The size of the pool and the time limits.

    Raises:
        ConfigurationError: libpq cannot read the URL.
    """

    def __init__(self, url: str, settings: StoreSettings) -> None:
        self._settings = settings
        self._options = connection_options(url, settings)
        self._pool: ConnectionPool | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Connect, and bring the tables up to date."""
        self._pool, self._loop = open_pool(self._options, self._settings), asyncio.get_running_loop()
        try:
            await self._fill(self._pool)
            async with self.transaction() as cursor:
                await _migrate(cursor)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close all connections."""
        pool, self._pool = self._pool, None
        if pool is not None and self._loop is asyncio.get_running_loop():
            await pool.close(timeout=self._settings.command_timeout)

    async def _fill(self, pool: ConnectionPool) -> None:
        try:
            async with translated():
                await pool.open(wait=True, timeout=self._settings.connect_timeout)
        except StoreUnavailableError:
            async with translated():  # what the pool does not report is why
                await (await self.connect()).close()
            raise

    async def connect(self) -> AsyncConnection:
        """Return a connection beside those of the pool, which notices within half a minute that its peer has gone."""
        return await AsyncConnection.connect(**{**_KEEPALIVES, **self._options})

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[AsyncCursor]:
        """Lend a cursor for a single statement, which is a transaction by itself."""
        pool = await self._pool_here()
        async with (
            translated(),
            asyncio.timeout(self._settings.command_timeout),
            pool.connection() as connection,
            connection.cursor() as cursor,
        ):
            try:
                yield cursor
            except ReadOnlySqlTransaction:
                await connection.close()  # to a standby: the next one may be to the server
                raise

    async def _pool_here(self) -> ConnectionPool:
        if self._pool is None:
            raise StoreNotOpenError()
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._pool, self._loop = open_pool(self._options, self._settings), loop
            await self._pool.open()
        return self._pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncCursor]:
        """Lend a cursor in a transaction: committed on leaving, undone on an error or ``psycopg.Rollback``."""
        async with self.statement() as cursor, cursor.connection.transaction():
            yield cursor


def connection_options(url: str, settings: StoreSettings) -> dict[str, Any]:
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


def open_pool(options: dict[str, Any], settings: StoreSettings) -> ConnectionPool:
    """Return a pool, not open yet. It tests a connection before lending it: a restarted server cuts them all."""
    return ConnectionPool(
        kwargs=options,
        min_size=1,
        max_size=settings.pool_size,
        open=False,
        check=ConnectionCheck(settings.command_timeout),
        timeout=settings.command_timeout,
        reconnect_timeout=settings.connect_timeout,
    )


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Turn what psycopg raises into the errors of stores."""
    try:
        yield
    except DiskFull as error:
        raise StoreFullError from error
    except (OperationalError, ReadOnlySqlTransaction, PoolTimeout, TooManyRequests, TimeoutError, OSError) as error:
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


async def single_row(cursor: AsyncCursor) -> tuple[Any, ...]:
    """Return the row that a statement always returns.

    Raises:
        StoreError: It returned none.
    """
    row = await cursor.fetchone()
    if row is None:
        raise StoreError("The state store returned no result where one was expected.")
    return row
