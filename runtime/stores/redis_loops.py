"""A client of one Redis server that several event loops use, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from typing_extensions import override


class LoopClient(Redis):
    """A client with a pool of its own for the loop that it is used on.

    A connection belongs to the loop that opened it: once that has ended, as with each ``asyncio.run``, it can neither
    be used nor closed, and it is left to the garbage collector.

    Args:
        make_pool: Makes the pool for a loop.
    """

    def __init__(self, make_pool: Callable[[], BlockingConnectionPool]) -> None:
        super().__init__(connection_pool=make_pool())
        self._make_pool = make_pool
        self._loop: asyncio.AbstractEventLoop | None = None

    @override
    async def execute_command(self, *command: Any, **options: Any) -> Any:
        """Send a command and return the answer."""
        self._settle()
        return await super().execute_command(*command, **options)  # type: ignore[no-untyped-call]

    @override
    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Any:
        """Return what collects commands."""
        self._settle()
        return super().pipeline(transaction, shard_hint)

    @override
    async def aclose(self, close_connection_pool: bool | None = True) -> None:
        """Close the connections of the running loop."""
        self._settle()
        await super().aclose(close_connection_pool)

    def _settle(self) -> None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._loop is not None:
                self.connection_pool = self._make_pool()
            self._loop = loop
