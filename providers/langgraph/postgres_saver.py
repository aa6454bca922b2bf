"""The framework's PostgreSQL saver, through an outage of the server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from ...runtime.stores.errors import StoreUnavailableError
from ...runtime.stores.postgres_database import connection_options, open_pool, translated
from ...runtime.stores.retry import retry_unavailable
from ...runtime.stores.settings import StoreSettings
from .checkpoint_history import ListedCheckpoint, expired, unused_blobs
from .serializer import CheckpointSerializer

T = TypeVar("T")

_Pool = AsyncConnectionPool[AsyncConnection[DictRow]]

_SETUP_LOCK = 0x636865636B70

_LIST = """
    SELECT checkpoint_ns AS namespace, checkpoint_id AS id, parent_checkpoint_id AS parent_id, metadata,
        COALESCE(checkpoint -> 'channel_versions', '{}') AS versions
    FROM checkpoints WHERE thread_id = %s
"""
_DELETE = (
    "DELETE FROM checkpoints WHERE thread_id = %s AND checkpoint_ns = %s AND checkpoint_id = %s",
    "DELETE FROM checkpoint_writes WHERE thread_id = %s AND checkpoint_ns = %s AND checkpoint_id = %s",
)
_DELETE_BLOB = (
    "DELETE FROM checkpoint_blobs WHERE thread_id = %s AND checkpoint_ns = %s AND channel = %s AND version = %s"
)


class RetryingPostgresSaver(AsyncPostgresSaver):
    """The framework's saver, for many runs at once and through an outage.

    The framework's saver does one thing at a time, so each operation gets one of its own, on the same pool. What
    did not get through is repeated, which is safe: the framework's statements write the same rows again.

    Args:
        pool: Connections that test themselves before use.
        seconds: How long to go on before giving up.
    """

    def __init__(self, pool: _Pool, seconds: float) -> None:
        super().__init__(pool, serde=CheckpointSerializer(strict=True))
        self._seconds = seconds
        self._connections = pool

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint that ``config`` names, or else the newest of its thread and namespace."""
        return await self._retry_unavailable(lambda saver: saver.aget_tuple(config))

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint."""
        return await self._retry_unavailable(lambda saver: saver.aput(config, checkpoint, metadata, new_versions))

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep a task's writes."""
        await self._retry_unavailable(lambda saver: saver.aput_writes(config, writes, task_id, task_path))

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread."""
        await self._retry_unavailable(lambda saver: saver.adelete_thread(thread_id))

    async def trim(self, thread_id: str, turns: int) -> None:
        """Delete the checkpoints that neither the newest one nor the last ``turns`` turns need."""

        async def attempt() -> None:
            async with translated(), self._connections.connection() as connection, connection.transaction():
                await _trim(connection, thread_id, turns)

        await retry_unavailable(attempt, self._seconds)

    async def _retry_unavailable(self, work: Callable[[AsyncPostgresSaver], Awaitable[T]]) -> T:
        async def attempt() -> T:
            async with translated():
                return await work(AsyncPostgresSaver(self.conn, serde=self.serde))

        return await retry_unavailable(attempt, self._seconds)


async def _trim(connection: AsyncConnection[DictRow], thread_id: str, turns: int) -> None:
    rows = await (await connection.execute(_LIST, (thread_id,))).fetchall()
    listed = [ListedCheckpoint(**row) for row in rows]
    gone = expired(listed, turns)
    if not gone:
        return
    names = [(thread_id, each.namespace, each.id) for each in gone]
    blobs = [
        (thread_id, namespace, channel, str(version)) for namespace, channel, version in unused_blobs(listed, gone)
    ]
    async with connection.cursor() as cursor:
        for statement in _DELETE:
            await cursor.executemany(statement, names)
        await cursor.executemany(_DELETE_BLOB, blobs)


@asynccontextmanager
async def open_postgres_saver(url: str, settings: StoreSettings) -> AsyncIterator[RetryingPostgresSaver]:
    """Open a saver on a pool of its own, with the framework's tables up to date.

    Args:
        url: ``postgresql://``, as libpq reads it.
        settings: The size of the pool and the time limits.
    """
    options = {**connection_options(url, settings), "row_factory": dict_row, "prepare_threshold": 0}
    pool = cast("_Pool", open_pool(options, settings))
    async with pool:
        saver = RetryingPostgresSaver(pool, settings.retry_for)
        await retry_unavailable(lambda: set_up_alone(saver, options), settings.retry_for)
        yield saver


class SetUp(Protocol):
    """What makes tables of its own."""

    async def setup(self) -> None:
        """Make them, or bring them up to date."""


async def set_up_alone(keeper: SetUp, options: dict[str, Any]) -> None:
    """Make the framework's tables, or raise ``StoreUnavailableError`` while another worker does.

    Waiting in the database for the lock would not do: the framework builds indexes CONCURRENTLY, which waits for
    every statement in progress, that of a worker waiting for the lock included.
    """
    async with translated(), await AsyncConnection.connect(**options) as connection:
        cursor = await connection.execute("SELECT pg_try_advisory_lock(%s) AS locked", (_SETUP_LOCK,))
        row = await cursor.fetchone()
        if not row or not row["locked"]:
            raise StoreUnavailableError("The checkpoint tables are being made by another process.")
        await keeper.setup()
