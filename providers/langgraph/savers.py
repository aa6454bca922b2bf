"""Checkpoints where the states are: one setting makes everything durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from ...runtime.errors import ConfigurationError
from ...runtime.optional import optional
from ...runtime.stores.retry import retry_unavailable
from ...runtime.stores.settings import StoreSettings
from ...runtime.stores.sqlite_database import create_private, translated
from ...runtime.stores.urls import POSTGRES_SCHEMES, REDIS_SCHEMES, scheme_of, sqlite_path
from .recent_saver import RecentMemorySaver
from .serializer import CheckpointSerializer


@asynccontextmanager
async def open_saver(url: str, settings: StoreSettings | None = None) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """Open a saver for the URL of a store, until the context is left.

    Args:
        url: ``memory://``, ``sqlite:///path``, ``redis://``, ``rediss://`` or ``postgresql://``.
        settings: The limits.

    Raises:
        ConfigurationError: The URL names no store.
        MissingExtraError: What the saver needs is not installed.
    """
    settings = settings or StoreSettings()
    scheme = scheme_of(url)
    if scheme == "memory":
        yield RecentMemorySaver(threads=settings.max_threads, max_bytes=settings.max_total_bytes)
        return
    if scheme == "sqlite":
        opened = _open_sqlite(url, settings)
    elif scheme in REDIS_SCHEMES:
        opened = _open_redis(url, settings)
    elif scheme in POSTGRES_SCHEMES:
        opened = _open_postgres(url, settings)
    else:
        raise ConfigurationError("The store's URL names no store that can keep checkpoints.")
    async with opened as saver:
        yield saver


@asynccontextmanager
async def _open_sqlite(url: str, settings: StoreSettings) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    with optional("LangGraph's checkpoints in SQLite", "sqlite"):
        import aiosqlite

        from .sqlite_saver import TrimmedSqliteSaver
    path = sqlite_path(url)
    await asyncio.to_thread(create_private, path)
    async with aiosqlite.connect(path, timeout=settings.command_timeout) as connection:
        saver = TrimmedSqliteSaver(connection, serde=CheckpointSerializer(strict=True))

        async def set_up() -> None:
            with translated():
                await saver.setup()
                await connection.execute("PRAGMA synchronous = NORMAL")

        await retry_unavailable(set_up, settings.retry_for)
        yield saver


@asynccontextmanager
async def _open_redis(url: str, settings: StoreSettings) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    with optional("LangGraph's checkpoints in Redis", "redis"):
        from ...runtime.stores.redis_servers import connect
        from .redis_saver import RedisSaver
    async with connect(url, settings) as client:
        yield RedisSaver(client, settings)


@asynccontextmanager
async def _open_postgres(url: str, settings: StoreSettings) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    with optional("LangGraph's checkpoints in PostgreSQL", "postgres"):
        from .postgres_saver import open_postgres_saver
    async with open_postgres_saver(url, settings) as saver:
        yield saver
