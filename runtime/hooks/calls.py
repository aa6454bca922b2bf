"""Calls hooks: bounded, off the loop, and without letting them change anything."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import structlog

from ..cancellation import OwnedTasks
from ..patience import within
from ..thread_pool import Workers
from .interface import Hook

log = structlog.get_logger(__name__)

T = TypeVar("T")


class HookCalls:
    """Calls hooks, now or beside the request that they report on.

    Args:
        workers: The threads for sync hooks.
        timeout: Seconds that each call may take.
    """

    def __init__(self, workers: Workers, timeout: float) -> None:
        self._workers = workers
        self._timeout = timeout
        self._going_on = OwnedTasks[None]()

    async def call(self, hook: Hook[T], report: T) -> None:
        """Call a hook that may refuse.

        Raises:
            TimeoutError: It took too long.
            Exception: Whatever it raises.
        """
        await self._limited(hook)(report)

    async def notify(self, hook: Hook[T] | None, report: T) -> None:
        """Call a hook whose failure is logged and nothing else."""
        if hook is not None:
            await self.notify_all(hook, deque([report]))

    async def notify_all(self, hook: Hook[T], reports: deque[T]) -> None:
        """Do as ``notify`` with each report in turn, until none is left; more may come meanwhile."""
        call = self._limited(hook)
        while reports:
            try:
                await call(reports.popleft())
            except Exception:
                log.exception("hook_failed", hook=getattr(hook, "__name__", type(hook).__name__))

    def notify_later(self, hook: Hook[T] | None, report: T) -> None:
        """Do as ``notify``, in a task of its own."""
        if hook is not None:
            self.own(self.notify(hook, report))

    def own(self, call: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run ``call``, which must not raise, beside everything else."""
        return self._going_on.begin(call, "hook")

    def _limited(self, hook: Hook[T]) -> Callable[[T], Awaitable[None]]:
        if inspect.iscoroutinefunction(hook):
            return lambda report: within(self._timeout, hook(report))
        return partial(self._call_in_thread, hook)

    async def _call_in_thread(self, hook: Hook[T], report: T) -> None:
        async with asyncio.timeout(self._timeout):
            answer = await self._workers.run(partial(hook, report))
            if inspect.isawaitable(answer):
                await answer

    async def stop(self) -> None:
        """Wait for the hooks that still run, for as long as one may take, and then no longer."""
        await self._going_on.end(self._timeout)
