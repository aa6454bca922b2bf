"""A bounded way for a run's events from the framework's threads to the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class RunCancelled(BaseException):
    """Raised in the framework's threads when their run is over: it stops their work at its next event.

    It is not an ``Exception``, so that no framework's ``except Exception`` swallows it.
    """


class RunOver(Exception):  # noqa: N818 - it is no error of the run's
    """Raised instead of ``RunCancelled`` in threads that the framework started by itself.

    There an exception that is no ``Exception`` is lost: whoever waits for such a thread would wait for ever, and the
    worker of a pool that many runs share would end.
    """


class ThreadQueue(Generic[T]):
    """Carries items from any thread to one event loop, in order.

    Args:
        loop: The loop that reads.
        size: How many items may wait; a thread that puts one more waits itself.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, size: int) -> None:
        self._loop = loop
        self._size = size
        self._items: deque[T] = deque()
        self._state = threading.Condition()
        self._arrived = asyncio.Event()
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether nobody reads any more."""
        return self._cancelled

    def put(self, item: T) -> None:
        """Hand an item over, waiting for room; called in a thread.

        Raises:
            RunCancelled: If nobody reads any more.
        """
        with self._state:
            self._state.wait_for(lambda: self._cancelled or len(self._items) < self._size)
            if self._cancelled:
                raise RunCancelled
            self._items.append(item)
            if len(self._items) == 1:
                self._wake_reader()

    async def get(self) -> T:
        """Return the next item; called on the loop."""
        while True:
            with self._state:
                if self._items:
                    item = self._items.popleft()
                    self._state.notify_all()
                    return item
                self._arrived.clear()
            await self._arrived.wait()

    def cancel(self) -> None:
        """Read no more items, and stop whoever puts one; called on the loop."""
        with self._state:
            self._cancelled = True
            self._items.clear()
            self._state.notify_all()

    def _wake_reader(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._arrived.set)
        except RuntimeError as error:
            raise RunCancelled from error
