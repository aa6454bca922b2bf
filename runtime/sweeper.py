"""Work that is done again and again beside everything else, until it is ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from .cancellation import end_tasks
from .errors import StoreError
from .repeated_failures import RepeatedFailures

log = structlog.get_logger(__name__)


class Sweeper:
    """Does a piece of work at equal distances in time. What fails is tried again, and the log has it once in a while.

    Args:
        name: What the log calls the work.
        sweep: The work.
        pause: Seconds before each time.
        goes_on: Whether there is more to do; it is started again once there is.
    """

    def __init__(
        self,
        name: str,
        sweep: Callable[[], Awaitable[object]],
        pause: Callable[[], float],
        goes_on: Callable[[], bool] = lambda: True,
    ) -> None:
        self._name = name
        self._sweep = sweep
        self._pause = pause
        self._goes_on = goes_on
        self._failures = RepeatedFailures()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin on the running loop, unless the work is under way there."""
        loop = asyncio.get_running_loop()
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._task = loop.create_task(self._keep_sweeping(), name=self._name)

    async def stop(self) -> None:
        """End what ``start`` began."""
        if self._task is not None:
            await end_tasks(self._task)
            self._task = None

    async def _keep_sweeping(self) -> None:
        while self._goes_on():
            await asyncio.sleep(self._pause())
            try:
                await self._sweep()
            except StoreError as error:
                if self._failures.is_news(self._name, error):
                    log.warning("sweep_failed", work=self._name, error=str(error))
            except Exception as error:  # what failed once must not keep the rest from being done
                if self._failures.is_news(self._name, error):
                    log.exception("sweep_failed", work=self._name)
            else:
                if self._failures.are_over(self._name):
                    log.info("sweep_succeeds_again", work=self._name)
