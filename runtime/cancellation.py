"""Ending tasks. One cancellation may not be enough.

Before Python 3.12, ``asyncio.wait_for`` swallows a cancellation that meets the end of what it waits for, and the
clients of Redis and PostgreSQL use it. A task that was cancelled once may go on, and who waits for it waits for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Generic, TypeVar

import structlog

CANCEL_AGAIN_SECONDS = 1.0
END_SECONDS = 30.0

T = TypeVar("T")

log = structlog.get_logger(__name__)


async def end_tasks(*tasks: asyncio.Future[Any], again: float = CANCEL_AGAIN_SECONDS) -> None:
    """Cancel tasks until they have ended. Those that ignore it for ``END_SECONDS`` are reported to the log and left.

    Args:
        tasks: What is to end; what has ended already is left as it is.
        again: After how many seconds the next cancellation follows. It interrupts what a task does to end in order.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + END_SECONDS
    going_on = _cancelled(tasks)
    if going_on:
        # Most end within the loop's next two turns.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    while (going_on := [task for task in going_on if not task.done()]) and clock() < deadline:
        await asyncio.wait(going_on, timeout=again)
        going_on = _cancelled(going_on)
    if going_on:
        log.error("tasks_ignore_cancellation", tasks=[_name(task) for task in going_on])


def _cancelled(tasks: Iterable[asyncio.Future[Any]]) -> list[asyncio.Future[Any]]:
    # What a loop left that was closed cannot be cancelled, and does nothing any more.
    going_on = [task for task in tasks if not task.done() and not task.get_loop().is_closed()]
    for task in going_on:
        task.cancel()
    return going_on


def _name(task: asyncio.Future[Any]) -> str:
    return task.get_name() if isinstance(task, asyncio.Task) else type(task).__name__


class OwnedTasks(Generic[T]):
    """Tasks that go on beside what begins them, until their owner ends."""

    def __init__(self) -> None:
        self._going_on: set[asyncio.Task[T]] = set()

    def begin(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run ``work`` in a task of its own."""
        task = asyncio.create_task(work, name=name)
        self._going_on.add(task)
        task.add_done_callback(self._going_on.discard)
        return task

    async def end(self, seconds: float) -> None:
        """Wait for those that still go on, for a limited time, and then cancel them."""
        if self._going_on:
            _, late = await asyncio.wait(self._going_on, timeout=seconds)
            await end_tasks(*late)


class Interruption:
    """Cancels the task that made it, again and again, until the task reports that it has noticed."""

    __slots__ = ("_again", "_cancelled", "_task")

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._cancelled = 0
        self._again: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Cancel the task."""
        if self._task is not None:
            self._cancelled += 1
            self._task.cancel()
            self._again = asyncio.get_running_loop().call_later(CANCEL_AGAIN_SECONDS, self.begin)

    def end(self) -> bool:
        """Cancel no more; return whether the task was cancelled by this alone."""
        if self._task is None or not self._cancelled:
            return False
        if self._again is not None:
            self._again.cancel()
        left = 0
        for _ in range(self._cancelled):
            left = self._task.uncancel()
        self._cancelled = 0
        return left == 0
