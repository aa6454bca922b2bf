"""The bounded way of a run's events to their reader."""

from __future__ import annotations

import asyncio

from ..events import Event


class EventPipe:
    """Hands a run's events to its one reader, who takes all that has come at once.

    A full pipe makes those who write wait, so that a slow reader slows the provider. A pipe whose reader has left
    takes no more events and makes nobody wait.

    Args:
        bound: How many events may wait.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._waiting: list[Event] = []
        self._loop = asyncio.get_running_loop()  # asked once: each time costs a system call
        self._reader: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._closed = False
        self._abandoned = False

    def offer(self, event: Event) -> bool:
        """Adds an event if there is room for it; false if there is none."""
        if self._abandoned:
            return True
        if len(self._waiting) >= self._bound:
            return False
        self._waiting.append(event)
        if self._reader is not None:
            self._tell_reader()
        return True

    async def put(self, event: Event) -> None:
        """Adds an event when there is room for it."""
        while not self.offer(event):
            self._writable.clear()
            await self._writable.wait()

    def force(self, event: Event) -> None:
        """Adds an event at once, room or not: for the few that end a run."""
        if not self._abandoned:
            self._waiting.append(event)
            self._tell_reader()

    def close(self) -> None:
        """Says that no event will follow."""
        self._closed = True
        self._tell_reader()

    def abandon(self) -> None:
        """Says that nobody reads any longer."""
        self._abandoned = True
        self._waiting.clear()
        self._writable.set()

    def arrival(self) -> asyncio.Future[None]:
        """Done once there is something to take, or nothing will ever come.

        For the one reader, who asks again after each ``take``.
        """
        reader = self._loop.create_future()
        if self._waiting or self._closed:
            reader.set_result(None)
        else:
            self._reader = reader
        return reader

    def take(self) -> list[Event]:
        """All events that wait; none once the pipe is closed and read."""
        events, self._waiting = self._waiting, []
        self._writable.set()
        return events

    def _tell_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(None)
