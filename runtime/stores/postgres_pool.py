"""A pool of connections to PostgreSQL."""

from __future__ import annotations

import asyncio
import select
from functools import partial
from typing import Any, cast
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from typing_extensions import override

from ..cancellation import OwnedTasks

TRUSTED_SECONDS = 1.0
"""For how long a connection that was lent is lent again without a test, unless its server has ended it."""
CLOSE_SECONDS = 5.0
"""How long a pool that is closed waits for connections that are being taken or returned."""


class ConnectionPool(AsyncConnectionPool[AsyncConnection]):
    """A pool that loses no connection when those who take and return them are cancelled meanwhile.

    psycopg's own does, where the cancellation comes while it has the connection in its hands: on a busy loop, on which
    limits run out late and many at once, one after the other until it has none to lend.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._handing = OwnedTasks[Any]()

    @override
    async def getconn(self, timeout: float | None = None) -> AsyncConnection:
        taking = self._handing.begin(super().getconn(timeout), "take-connection")
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(partial(self._return_unused, super().putconn))
            raise

    @override
    async def putconn(self, conn: AsyncConnection) -> None:
        await asyncio.shield(self._handing.begin(super().putconn(conn), "return-connection"))

    @override
    async def close(self, timeout: float = CLOSE_SECONDS) -> None:
        await super().close(timeout)
        await self._handing.end(timeout)

    @classmethod
    @override
    async def worker(cls, q: Any) -> None:
        await super().worker(cast("Any", _Work(q)))

    def _return_unused(self, put: Any, taking: asyncio.Task[AsyncConnection]) -> None:
        if not taking.cancelled() and taking.exception() is None:
            self._handing.begin(put(taking.result()), "return-connection")


class _Work:
    """What a pool's worker is to do, for as long as nobody has cancelled it.

    psycopg's takes a cancellation that comes while it works, such as that at the end of ``asyncio.run``, for a failure
    of the work, and waits for more for ever.

    Args:
        queue: The work.
    """

    def __init__(self, queue: asyncio.Queue[Any]) -> None:
        self._queue = queue

    async def get(self) -> Any:
        """Wait for the next task."""
        worker = asyncio.current_task()
        if worker is not None and worker.cancelling():
            raise asyncio.CancelledError
        return await self._queue.get()


class ConnectionCheck:
    """Tests connections of a pool before they are lent, without a round trip for those in use all the time.

    What has been lent lately is tested only if something has arrived on it unasked, as when its server has gone.

    Args:
        seconds: How long a test may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lent: WeakKeyDictionary[AsyncConnection, float] = WeakKeyDictionary()

    async def __call__(self, connection: AsyncConnection) -> None:
        """Test a connection.

        Raises:
            Exception: It is of no use any longer.
        """
        now = asyncio.get_running_loop().time()
        if now - self._lent.get(connection, 0.0) > TRUSTED_SECONDS or _is_readable(connection.fileno()):
            async with asyncio.timeout(self._seconds):
                await ConnectionPool.check_connection(connection)
        self._lent[connection] = now


def _is_readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
