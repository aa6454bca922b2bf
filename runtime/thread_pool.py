"""Threads for what users wrote without ``async``, so that it never blocks the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

from .cancellation import end_tasks

T = TypeVar("T")


class Workers:
    """Runs functions in a bounded number of threads.

    A thread cannot be stopped: a call that its caller gave up goes on there, and counts until it ends.

    Args:
        bound: How many calls may run at once; more wait.
    """

    def __init__(self, bound: int = 40) -> None:
        self._limiter = CapacityLimiter(bound)
        self._calls: set[asyncio.Task[Any]] = set()

    async def run(self, call: Callable[[], T]) -> T:
        """Call ``call`` in a thread, and raise what it raises."""
        begun = False

        def in_thread() -> T:
            nonlocal begun
            begun = True
            return call()

        task = asyncio.create_task(to_thread.run_sync(in_thread, abandon_on_cancel=True, limiter=self._limiter))
        self._calls.add(task)
        task.add_done_callback(self._forget)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not begun:
                task.cancel()
            raise

    async def stop(self) -> None:
        """Wait no longer for the calls that still run."""
        await end_tasks(*self._calls)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._calls.discard(task)
        # Nobody else may be left to look at the outcome.
        if not task.cancelled():
            task.exception()
