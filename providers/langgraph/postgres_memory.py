"""The framework's long-term memory in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from langgraph.store.postgres.aio import AsyncPostgresStore
from psycopg.rows import dict_row

from ...runtime.stores.postgres_database import connection_options, open_pool
from ...runtime.stores.retry import retry_unavailable
from ...runtime.stores.settings import StoreSettings
from .memory_options import MemoryOptions
from .postgres_saver import set_up_alone


@asynccontextmanager
async def open_postgres_memory(
    url: str, options: MemoryOptions, settings: StoreSettings
) -> AsyncIterator[AsyncPostgresStore]:
    """Open a memory on a pool of its own, with the framework's tables up to date.

    Args:
        url: ``postgresql://``, as libpq reads it.
        options: The vector index, which needs the server's extension ``vector``, and how long memories last.
        settings: The size of the pool and the time limits.
    """
    connection = {**connection_options(url, settings), "row_factory": dict_row, "prepare_threshold": 0}
    pool = cast("Any", open_pool(connection, settings))
    async with pool, AsyncPostgresStore(pool, index=cast("Any", options.index), ttl=options.ttl) as memory:
        await retry_unavailable(lambda: set_up_alone(memory, connection), settings.retry_for)
        yield memory
