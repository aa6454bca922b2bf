"""Write what many runs have to write in one operation: while it is under way, what comes gathers for the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeAlias

from ..cancellation import end_tasks
from .run_records import Batch, RunKey, RunLostError

GROUP_BYTES = 1024 * 1024
GROUP_BATCHES = 512
"""How much is written in one operation at most."""


class RunBatch(NamedTuple):
    """A batch of one run."""

    key: RunKey
    batch: Batch


WriteGroup: TypeAlias = Callable[[str, Sequence[RunBatch]], Awaitable[dict[RunKey, bool]]]
"""Stores batches of different runs of one owner; returns those runs that are the owner's, and whether to stop."""


class _Waiting(NamedTuple):
    owner: str
    batch: RunBatch
    written: asyncio.Future[bool]


class GroupWriter:
    """One operation at a time for all the runs of a process, so that many runs do not mean many operations.

    Args:
        write: Does one operation.
    """

    def __init__(self, write: WriteGroup) -> None:
        self._write = write
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def append(self, owner: str, key: RunKey, batch: Batch) -> bool:
        """Write a batch with the next operation; return whether the run is to stop.

        Raises:
            RunLostError: The run is not ``owner``'s.
            StoreError: The operation failed.
        """
        loop = asyncio.get_running_loop()
        written: asyncio.Future[bool] = loop.create_future()
        self._waiting.append(_Waiting(owner, RunBatch(key, batch), written))
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._task = loop.create_task(self._write_all(), name="run-writer")
        return await written

    async def stop(self) -> None:
        """Stop writing. Nobody waits any longer."""
        if self._task is not None:
            await end_tasks(self._task)

    async def _write_all(self) -> None:
        while self._waiting:
            await self._write_group(self._next_group())

    def _next_group(self) -> list[_Waiting]:
        """Take what one operation may hold: of one owner, and of each run one batch."""
        owner, size = self._waiting[0].owner, 0
        taken: dict[RunKey, _Waiting] = {}
        left: list[_Waiting] = []
        for each in self._waiting:
            fits = size < GROUP_BYTES and len(taken) < GROUP_BATCHES and each.batch.key not in taken
            if each.written.done():
                continue
            if each.owner == owner and fits:
                taken[each.batch.key] = each
                size += len(each.batch.batch.payload)
            else:
                left.append(each)
        self._waiting = left
        return list(taken.values())

    async def _write_group(self, group: Sequence[_Waiting]) -> None:
        if not group:
            return
        try:
            stops = await self._write(group[0].owner, [each.batch for each in group])
        except Exception as error:  # noqa: BLE001 - those who wait get it, whatever it is
            for each in group:
                if not each.written.done():
                    each.written.set_exception(error)
        else:
            for each in group:
                _settle(each.written, stops.get(each.batch.key))


def _settle(written: asyncio.Future[bool], stop: bool | None) -> None:
    if written.done():
        return
    if stop is None:
        written.set_exception(RunLostError())
    else:
        written.set_result(stop)
