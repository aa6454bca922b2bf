"""The pool keeps its connections, whenever those who take and return them are cancelled."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator

import pytest
from psycopg import AsyncConnection

from copilotkit_runtime.runtime.stores.postgres_pool import ConnectionPool

PATIENCE = 30.0


class Checks:
    """Tests connections: while it is closed, it takes its time."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, _connection: AsyncConnection) -> None:
        self.begun.set()
        await self.open.wait()


@pytest.fixture
def checks() -> Checks:
    return Checks()


@pytest.fixture
async def pool(postgres_url: str, checks: Checks) -> AsyncIterator[ConnectionPool]:
    """A pool of one connection."""
    async with ConnectionPool(postgres_url, min_size=1, max_size=1, check=checks, open=False) as pool:
        yield pool


async def cancel_twice(pool: ConnectionPool, task: asyncio.Task[object]) -> None:
    """Cancel a task again and again while the pool is busy with somebody else."""
    async with pool._lock:
        for _ in range(3):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([task], timeout=PATIENCE)


async def lends(pool: ConnectionPool) -> None:
    async with asyncio.timeout(PATIENCE), pool.connection() as connection:
        await connection.execute("SELECT 1")


async def test_a_connection_whose_return_is_cancelled_is_returned(pool: ConnectionPool) -> None:
    connection = await pool.getconn()
    await cancel_twice(pool, asyncio.create_task(pool.putconn(connection)))
    await lends(pool)


async def test_a_connection_whose_test_is_cancelled_is_returned(pool: ConnectionPool, checks: Checks) -> None:
    checks.open.clear()
    taking = asyncio.create_task(pool.getconn())
    await asyncio.wait_for(checks.begun.wait(), PATIENCE)
    await cancel_twice(pool, taking)
    checks.open.set()
    await lends(pool)


async def test_a_connection_that_comes_when_nobody_waits_any_longer_is_lent_to_the_next(pool: ConnectionPool) -> None:
    connection = await pool.getconn()
    waiting = asyncio.create_task(pool.getconn())
    while not pool.get_stats()["requests_waiting"]:  # noqa: ASYNC110  # a pool reports nothing
        await asyncio.sleep(0)
    await pool.putconn(connection)
    waiting.cancel()
    await asyncio.wait([waiting], timeout=PATIENCE)
    assert waiting.cancelled()
    await lends(pool)


def test_a_loop_ends_though_a_pool_of_it_still_connects() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)

        async def connect() -> None:
            pool = ConnectionPool(f"host=127.0.0.1 port={silent.getsockname()[1]} connect_timeout=60", open=False)
            await pool.open()
            connection, _ = await asyncio.get_running_loop().sock_accept(silent)
            accepted.append(connection)

        accepted: list[socket.socket] = []
        running = threading.Thread(target=asyncio.run, args=(connect(),), daemon=True)
        running.start()
        running.join(PATIENCE)
        assert not running.is_alive()
        for connection in accepted:
            connection.close()
