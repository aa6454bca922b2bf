"""What asyncio binds to an event loop, where a process uses one loop after another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerLoop(Generic[T]):
    """A lock or semaphore of the loop that runs.

    Each ``asyncio.run`` has a loop of its own. A lock that somebody had to wait for belongs to the loop that he waited
    on, and whoever meets it on another has an error.

    Args:
        make: Makes one.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: tuple[asyncio.AbstractEventLoop, T] | None = None

    @property
    def here(self) -> T:
        """The one of the running loop; that of the loop before is let go."""
        loop = asyncio.get_running_loop()
        if self._made is None or self._made[0] is not loop:
            self._made = loop, self._make()
        return self._made[1]
