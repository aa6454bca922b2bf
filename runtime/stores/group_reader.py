"""Read what many followers lack in one operation: while it is under way, what is asked for gathers for the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeAlias

from ..cancellation import end_tasks
from .errors import StoreUnavailableError
from .run_records import Batch, Progress, RunKey, RunLostError

GROUP_RUNS = 64
"""How many runs are read in one operation at most."""


class Wanted(NamedTuple):
    """The batches of a run that end behind the number ``after``."""

    key: RunKey
    after: int


RunBatches: TypeAlias = tuple[Progress, list[Batch]]
"""How a run stands, and batches of it, in order."""
ReadGroup: TypeAlias = Callable[[Sequence[Wanted]], Awaitable[Sequence[RunBatches | None]]]
"""Returns of each run what is wanted, or a first part of it; None for a run that is unknown."""


class GroupReader:
    """One operation at a time for all who follow runs; those who want the same share it.

    Args:
        read: Does one operation.
    """

    def __init__(self, read: ReadGroup) -> None:
        self._read = read
        self._waiting: dict[Wanted, list[asyncio.Future[RunBatches]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def read(self, key: RunKey, after: int) -> RunBatches:
        """Read with the next operation.

        Raises:
            RunLostError: The run is unknown.
            StoreError: The operation failed.
        """
        loop = asyncio.get_running_loop()
        found: asyncio.Future[RunBatches] = loop.create_future()
        self._waiting.setdefault(Wanted(key, after), []).append(found)
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._task = loop.create_task(self._read_all(), name="run-reader")
        return await found

    async def stop(self) -> None:
        """Stop reading. Nobody waits any longer."""
        if self._task is not None:
            await end_tasks(self._task)

    async def _read_all(self) -> None:
        while self._waiting:
            wanted = list(self._waiting)[:GROUP_RUNS]
            await self._read_group({each: self._waiting.pop(each) for each in wanted})

    async def _read_group(self, group: dict[Wanted, list[asyncio.Future[RunBatches]]]) -> None:
        try:
            found = await self._read(list(group))
        except Exception as error:  # noqa: BLE001 - those who wait get it, whatever it is
            if len(group) > 1 and not isinstance(error, StoreUnavailableError):
                # One of the runs cannot be read: the readers of the others are not to suffer from it.
                for wanted, waiters in group.items():
                    await self._read_group({wanted: waiters})
                return
            for waiters in group.values():
                _fail(waiters, error)
            return
        for waiters, batches in zip(group.values(), found, strict=True):
            if batches is None:
                _fail(waiters, RunLostError())
            else:
                _settle(waiters, batches)


def _settle(waiters: Sequence[asyncio.Future[RunBatches]], found: RunBatches) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(found)


def _fail(waiters: Sequence[asyncio.Future[RunBatches]], error: Exception) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_exception(error)
