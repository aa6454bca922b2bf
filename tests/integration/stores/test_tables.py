"""What the stores with tables promise about them."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

import psycopg
import pytest

from copilotkit_runtime.runtime.errors import StoreError
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.interface import AgentState
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.sqlite import SqliteStore
from copilotkit_runtime.runtime.stores.sqlite_database import Database
from copilotkit_runtime.runtime.stores.urls import open_store, sqlite_path
from tests.integration.stores.conftest import opened_store
from tests.support.polling import until

_NEWER = "UPDATE copilotkit_schema SET version = version + 1"


def _count(url: str, table: str) -> int:
    query = f"SELECT count(*) FROM {table}"
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(sqlite_path(url))) as file:
            return int(file.execute(query).fetchone()[0])
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
        return int(row[0]) if row else 0


def _execute(url: str, statement: str) -> None:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(sqlite_path(url), isolation_level=None)) as file:
            file.execute(statement)
    else:
        with psycopg.connect(url) as connection:
            connection.execute(statement.encode())


@pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)
async def test_tables_of_a_newer_release_are_left_alone(url: str) -> None:
    store = open_store(url)
    await store.start()
    saved = await store.save("thread", "agent", AgentState())
    await store.stop()
    _execute(url, _NEWER)

    with pytest.raises(StoreError, match="newer release"):
        await open_store(url).start()

    _execute(url, _NEWER.replace("+", "-"))
    await store.start()
    assert await store.load("thread", "agent") == saved
    await store.stop()


@pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)
async def test_a_store_that_was_not_started_reports_it(url: str) -> None:
    store = open_store(url)

    with pytest.raises(StoreError, match="not open"):
        await store.load("thread", "agent")
    with pytest.raises(StoreError, match="not open"):
        await store.save("thread", "agent", AgentState())


@pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)
async def test_an_entry_that_something_else_wrote_is_an_error(url: str) -> None:
    store = open_store(url)
    await store.start()
    await store.save("thread", "agent", AgentState())
    _execute(url, "UPDATE copilotkit_states SET payload = '[]'")

    with pytest.raises(StoreError, match="cannot be read"):
        await store.load("thread", "agent")
    await store.stop()


@pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)
async def test_tables_that_are_gone_are_an_error(url: str) -> None:
    store = open_store(url)
    await store.start()
    _execute(url, "DROP TABLE copilotkit_states")

    with pytest.raises(StoreError):
        await store.load("thread", "agent")
    await store.stop()


@pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)
async def test_tickets_that_dead_processes_left_are_cleared_away_at_start(url: str) -> None:
    store = open_store(url, StoreSettings(lease=0.1, heartbeat=10.0))
    await store.start()
    lock = store.lock("thread", "agent")
    await lock.__aenter__()
    another = open_store(url)

    async def cleared() -> bool:
        await another.start()
        await another.stop()
        return _count(url, "copilotkit_tickets") == 0

    await until(cleared)
    await store.stop()


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
async def test_times_are_in_utc_whatever_the_zone_of_the_server(url: str) -> None:
    store = open_store(f"{url}%20-cTimeZone%3DAsia%2FTokyo")
    await store.start()
    saved = await store.save("thread", "agent", AgentState())

    page = await store.threads()

    assert page.threads[0].updated_at == saved.updated_at
    assert page.threads[0].updated_at.tzinfo is UTC
    await store.stop()


async def test_a_file_that_is_not_a_database_is_an_error_at_start(tmp_path: Path) -> None:
    path = tmp_path / "states.sqlite"
    path.write_text("certainly not a database" * 100)

    with pytest.raises(StoreError, match="cannot be used"):
        await SqliteStore(path).start()


async def test_a_folder_that_cannot_be_made_is_an_error_at_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreError, match="cannot be used"):
        await SqliteStore(tmp_path / "file" / "states.sqlite").start()


@contextmanager
def no_file_grows(path: Path) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


async def test_a_file_that_cannot_grow_is_unhealthy_until_it_can(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "states.sqlite")
    await store.start()
    with no_file_grows(tmp_path / "states.sqlite-wal"), pytest.raises(StoreError):
        await store.health()
    await store.health()
    await store.stop()


async def test_a_file_that_another_process_writes_to_is_healthy(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "states.sqlite", StoreSettings(command_timeout=60.0))
    await store.start()
    with closing(sqlite3.connect(tmp_path / "states.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(30):
            await store.health()
        other.execute("ROLLBACK")
    await store.stop()


async def test_a_full_disk_is_an_outage_until_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[sqlite3.Connection] = []
    connect: Any = sqlite3.connect

    def connected(*args: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*args, check_same_thread=False, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", connected)
    store = SqliteStore(tmp_path / "states.sqlite")
    await store.start()
    saved = await store.save("thread", "agent", AgentState())
    opened[0].execute("PRAGMA max_page_count = 1")  # no more than it has
    large = AgentState(state={"text": "x" * 1_000_000})
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match="no room"):
            await store.save("thread", "agent", large)
    assert await store.load("thread", "agent") == saved
    opened[0].execute("PRAGMA max_page_count = 1000000")
    assert (await store.save("thread", "agent", large)).version == 2
    await store.stop()


async def test_a_file_that_another_program_keeps_locked_holds_nobody_up_for_longer_than_the_limits(
    tmp_path: Path,
) -> None:
    path = tmp_path / "states.sqlite"
    store = SqliteStore(path, StoreSettings(command_timeout=0.2, retry_for=0.5))
    await store.start()
    saved = await store.save("thread", "agent", AgentState())

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(20):
            with pytest.raises(StoreUnavailableError):
                await store.save("thread", "agent", AgentState())
        assert await store.load("thread", "agent") == saved
        other.execute("ROLLBACK")

    assert (await store.save("thread", "agent", AgentState())).version == 2
    await store.stop()


async def test_a_file_is_opened_again_that_another_process_makes_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite refuses the change to its log, without waiting, to those that come in the middle of another one's."""
    opens, refused = Database._open_file, 0

    def open_file(database: Database) -> None:
        nonlocal refused
        refused += 1
        if refused == 1:
            raise sqlite3.OperationalError("database is locked")
        opens(database)

    monkeypatch.setattr(Database, "_open_file", open_file)
    async with opened_store(f"sqlite:///{tmp_path}/file.sqlite", StoreSettings()) as store:
        await store.save("thread", "agent", AgentState(state={"n": 1}))
    assert refused == 2
