"""Limits of time that are the same for many, kept by one timer for all of them.

A process has a thousand runs and connections, of which hardly any is ever overdue. A timer for each would be set and
cancelled again, and is what an open stream would keep.
"""

from __future__ import annotations

import asyncio
from itertools import takewhile
from typing import Protocol


class Limited(Protocol):
    """What has a limited time."""

    def end_overdue(self) -> None:
        """End it: its time is over."""


class Deadlines:
    """Ends what takes longer than it may.

    Args:
        seconds: How long each may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: dict[Limited, float] = {}
        """When each is to end, the first one first."""
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, limited: Limited) -> None:
        """Limit something from now on."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._timer = loop, None
            self._due.clear()
        self._due.pop(limited, None)
        self._due[limited] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look)

    def remove(self, limited: Limited) -> None:
        """Note that it has come to its end in time."""
        self._due.pop(limited, None)

    def _look(self) -> None:
        loop, self._timer = asyncio.get_running_loop(), None
        present = loop.time()
        for limited in [each for each, _ in takewhile(lambda entry: entry[1] <= present, self._due.items())]:
            del self._due[limited]
            limited.end_overdue()
        if self._due:
            self._timer = loop.call_at(next(iter(self._due.values())), self._look)
