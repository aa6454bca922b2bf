"""Long-term memory (LangGraph's ``store``) where the states are: one setting makes everything durable."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
import structlog
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from ...runtime.errors import ConfigurationError
from ...runtime.optional import optional
from ...runtime.stores.retry import retry_unavailable
from ...runtime.stores.settings import StoreSettings
from ...runtime.stores.sqlite_database import translated
from ...runtime.stores.urls import POSTGRES_SCHEMES, REDIS_SCHEMES, scheme_of, sqlite_path
from .memory_options import MemoryOptions

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_memory(
    url: str, options: MemoryOptions, settings: StoreSettings | None = None
) -> AsyncIterator[BaseStore]:
    """Open the long-term memory at the URL of a store, until the context is left.

    Args:
        url: ``memory://``, ``sqlite:///path``, ``redis://``, ``rediss://`` or ``postgresql://``.
        options: The vector index, and how long memories last.
        settings: The limits.

    Raises:
        ConfigurationError: The URL names no store.
        MissingExtraError: What the memory needs is not installed.
    """
    settings, scheme = settings or StoreSettings(), scheme_of(url)
    if scheme == "memory":
        opened = _in_memory(options)
    elif scheme == "sqlite":
        opened = _open_sqlite(url, options, settings)
    elif scheme in REDIS_SCHEMES:
        opened = _open_redis(url, options, settings)
    elif scheme in POSTGRES_SCHEMES:
        opened = _open_postgres(url, options, settings)
    else:
        raise ConfigurationError("The store's URL names no store that can keep long-term memory.")
    async with opened as memory:
        yield memory


def memory_in_process(options: MemoryOptions) -> InMemoryStore:
    """Return a memory that ends with the process."""
    return InMemoryStore(index=options.index)


@asynccontextmanager
async def _in_memory(options: MemoryOptions) -> AsyncIterator[BaseStore]:
    if options.ttl:
        log.warning("langgraph_memory_option_ignored", option="ttl", place="memory")
    yield memory_in_process(options)


@asynccontextmanager
async def _open_sqlite(url: str, options: MemoryOptions, settings: StoreSettings) -> AsyncIterator[BaseStore]:
    with optional("LangGraph's long-term memory in SQLite", "sqlite"):
        import aiosqlite
        from langgraph.store.sqlite.aio import AsyncSqliteStore
    if options.index and not hasattr(sqlite3.Connection, "enable_load_extension"):
        log.warning("langgraph_memory_option_ignored", option="index", place="sqlite", reason="no extensions here")
        options = msgspec.structs.replace(options, index=None)
    path = sqlite_path(url)
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    async with (
        aiosqlite.connect(path, isolation_level=None, timeout=settings.command_timeout) as connection,
        AsyncSqliteStore(connection, index=cast("Any", options.index), ttl=options.ttl) as memory,
    ):

        async def set_up() -> None:
            with translated():
                await memory.setup()

        await retry_unavailable(set_up, settings.retry_for)
        async with _swept(memory, options):
            yield memory


@asynccontextmanager
async def _open_redis(url: str, options: MemoryOptions, settings: StoreSettings) -> AsyncIterator[BaseStore]:
    with optional("LangGraph's long-term memory in Redis", "redis"):
        from ...runtime.stores.redis_servers import connect
        from .redis_memory import RedisMemory
    for name in ("index", "ttl"):
        if getattr(options, name):
            log.warning("langgraph_memory_option_ignored", option=name, place="redis")
    async with connect(url, settings) as client:
        yield RedisMemory(client, settings)


@asynccontextmanager
async def _open_postgres(url: str, options: MemoryOptions, settings: StoreSettings) -> AsyncIterator[BaseStore]:
    with optional("LangGraph's long-term memory in PostgreSQL", "postgres"):
        from .postgres_memory import open_postgres_memory
    async with open_postgres_memory(url, options, settings) as memory, _swept(memory, options):
        yield memory


@asynccontextmanager
async def _swept(memory: Any, options: MemoryOptions) -> AsyncIterator[None]:
    """Remove what has expired as long as the context lasts, if anything expires."""
    if not options.ttl:
        yield
        return
    await memory.start_ttl_sweeper()
    try:
        yield
    finally:
        await memory.stop_ttl_sweeper()
