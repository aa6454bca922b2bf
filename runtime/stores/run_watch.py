"""Wait for the runs of other processes: one look at the store serves all who wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from ..cancellation import end_tasks
from ..errors import StoreError
from .run_records import Progress, RunKey, has_changed

POLL_SECONDS = 0.025
SLOWEST_POLL_SECONDS = 1.0

log = structlog.get_logger(__name__)


class RunWatch:
    """Looks at the runs that somebody waits for, in one operation for all of them.

    Args:
        peek: Returns how far runs are stored.
    """

    def __init__(self, peek: Callable[[Sequence[RunKey]], Awaitable[dict[RunKey, Progress]]]) -> None:
        self._peek = peek
        self._waiting: dict[asyncio.Future[None], tuple[RunKey, int]] = {}
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    async def changed(self, key: RunKey, after: int) -> None:
        """Wait until a run has events behind the number ``after``, has ended, or is gone."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiting[waiter] = (key, after)
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._hurry = asyncio.Event()
            self._task = loop.create_task(self._look(), name="run-watch")
        try:
            await waiter
        finally:
            self._waiting.pop(waiter, None)

    def hurry(self) -> None:
        """Look at once: something is known to have changed."""
        self._hurry.set()

    async def stop(self) -> None:
        """Stop looking. Nobody waits any longer."""
        if self._task is not None:
            await end_tasks(self._task)

    async def _look(self) -> None:
        pause = POLL_SECONDS
        while self._waiting:
            try:
                await self._wake()
                pause = POLL_SECONDS
            except StoreError as error:
                log.warning("run_watch_failed", error=str(error))
                pause = min(pause * 2, SLOWEST_POLL_SECONDS)
            await self._rest(pause)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            return
        self._hurry.clear()

    async def _wake(self) -> None:
        waiting = dict(self._waiting)
        found = await self._peek(list({key for key, _ in waiting.values()}))
        for waiter, (key, after) in waiting.items():
            if not waiter.done() and has_changed(found.get(key), after):
                waiter.set_result(None)
