"""Something that happens once, which few wait for."""

from __future__ import annotations

import asyncio


class Signal:
    """An event that costs nothing until somebody waits for it: each run has several, which are rarely waited for."""

    __slots__ = ("_event", "_happened")

    def __init__(self) -> None:
        self._happened = False
        self._event: asyncio.Event | None = None

    def is_set(self) -> bool:
        """Return whether it has happened."""
        return self._happened

    def set(self) -> bool:
        """Note that it has happened; return whether it had not before."""
        if self._happened:
            return False
        self._happened = True
        if self._event is not None:
            self._event.set()
        return True

    async def wait(self) -> None:
        """Wait until it has happened."""
        if self._happened:
            return
        if self._event is None:
            self._event = asyncio.Event()
        await self._event.wait()
