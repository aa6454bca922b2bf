"""One store of each kind for every test, on real servers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from copilotkit_runtime.runtime.stores.interface import StateStore
from copilotkit_runtime.runtime.stores.run_log import RunLogStore
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_run_log, open_store
from tests.integration.stores.clusters import Cluster, running_cluster
from tests.integration.stores.servers import PostgresServer, RedisServer, Server

SHARED = ("sqlite", "redis", "postgres")
KINDS = ("memory", *SHARED)
CLUSTER = "cluster"
"""A Redis Cluster of six servers, for what a store promises wherever it is."""


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder that the user ``nobody`` can enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="copilotkit-stores-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def redis_url(server_folder: Path) -> Iterator[str]:
    given = os.environ.get("COPILOTKIT_TEST_REDIS_URL")
    if given:
        yield given
        return
    with _running(_redis(server_folder)) as server:
        yield server.url


@pytest.fixture(scope="session")
def cluster(server_folder: Path) -> Iterator[Cluster]:
    with running_cluster(server_folder / uuid4().hex) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres_url(server_folder: Path) -> Iterator[str]:
    given = os.environ.get("COPILOTKIT_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    with _running(_postgres(server_folder)) as server:
        yield server.url


@pytest.fixture(scope="session")
def fragile_servers(server_folder: Path) -> Iterator[Callable[[str], Server]]:
    """One more server of each kind that is asked for, which tests may stop and kill."""
    with ExitStack() as stack:

        @cache
        def start(kind: str) -> Server:
            make = {"redis": _redis, "postgres": _postgres}[kind]
            return stack.enter_context(_running(make(server_folder)))

        yield start


@pytest.fixture
def server(request: pytest.FixtureRequest, fragile_servers: Callable[[str], Server]) -> Server:
    """An empty server that the test may stop and kill; its kind is the parameter."""
    server = fragile_servers(request.param)
    if server.is_up:
        server.thaw()
    else:
        server.start()
    server.clear()
    return server


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty store; its kind is the parameter."""
    if request.param == "memory":
        yield "memory://"
    elif request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'folder' / 'states.sqlite'}"
    elif request.param == "redis":
        yield request.getfixturevalue("redis_url")
    elif request.param == CLUSTER:
        yield request.getfixturevalue("cluster").url
    else:
        yield from _schema(request.getfixturevalue("postgres_url"))


@pytest.fixture
def settings() -> StoreSettings:
    return StoreSettings(prefix=f"test-{uuid4().hex}")


@pytest.fixture
async def store(url: str, settings: StoreSettings) -> AsyncIterator[StateStore]:
    async with opened_store(url, settings) as store:
        yield store


def _redis(folder: Path) -> Server:
    own = folder / uuid4().hex
    own.mkdir()
    return RedisServer(own)


def _postgres(folder: Path) -> Server:
    own = folder / uuid4().hex
    own.mkdir()
    server = PostgresServer(own, survives="server")
    server.create()
    return server


@contextmanager
def _running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _schema(url: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
    joint = "&" if "?" in url else "?"
    yield f"{url}{joint}options={quote(f'-csearch_path={name}')}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))


@asynccontextmanager
async def opened_store(url: str, settings: StoreSettings | None = None) -> AsyncIterator[StateStore]:
    """Open a store until the context is left."""
    store = open_store(url, settings)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


@asynccontextmanager
async def runs_beside(store: StateStore, settings: StoreSettings | None = None) -> AsyncIterator[RunLogStore]:
    """Open the run logs beside the states of an open store until the context is left."""
    runs = open_run_log(store, settings)
    await runs.start()
    try:
        yield runs
    finally:
        await runs.stop()


@asynccontextmanager
async def opened_runs(url: str, settings: StoreSettings | None = None) -> AsyncIterator[RunLogStore]:
    """Open a store and the run logs beside its states until the context is left."""
    async with opened_store(url, settings) as store, runs_beside(store, settings) as runs:
        yield runs
