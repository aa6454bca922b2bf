"""Something that happens once, which few wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Signal:
    """An event that costs nothing until somebody waits for it: each run has several, which are rarely waited for.

    Args:
        report: Called when it happens.
    """

    __slots__ = ("_event", "_happened", "_report")

    def __init__(self, report: Callable[[], None] | None = None) -> None:
        self._happened = False
        self._event: asyncio.Event | None = None
        self._report = report

    def is_set(self) -> bool:
        """Return whether it has happened."""
        return self._happened

    def set(self) -> None:
        """Note that it has happened, and report it the first time."""
        if self._happened:
            return
        self._happened = True
        if self._event is not None:
            self._event.set()
        if self._report is not None:
            self._report()

    async def wait(self) -> None:
        """Wait until it has happened."""
        if self._happened:
            return
        if self._event is None:
            self._event = asyncio.Event()
        await self._event.wait()
