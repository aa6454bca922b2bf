"""Flow control of a connection, with nothing ready that few connections ever need.

uvicorn makes events and a queue for each connection: 0.7 KiB for each of them, which all open streams would keep, and
which those use whose client reads too slowly, or sends requests before the last one was answered.
"""

from __future__ import annotations

import asyncio
from typing import TypeVar

T = TypeVar("T")


class LazyEvent:
    """What ``asyncio.Event`` is, without its queue until somebody waits."""

    __slots__ = ("_event", "_is_set")

    def __init__(self, *, is_set: bool = False) -> None:
        self._is_set = is_set
        self._event: asyncio.Event | None = None

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Set it, and wake those who wait."""
        self._is_set = True
        if self._event is not None:
            self._event.set()
            self._event = None

    def clear(self) -> None:
        """Have whoever waits from now on wait."""
        self._is_set = False

    async def wait(self) -> None:
        """Wait until it is set."""
        if self._is_set:
            return
        if self._event is None:
            self._event = asyncio.Event()
        await self._event.wait()


class FlowControl:
    """Lets a connection rest, in both directions.

    Args:
        transport: The connection's transport.
    """

    __slots__ = ("_transport", "_writable", "read_paused", "write_paused")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._writable = LazyEvent(is_set=True)
        self.read_paused = False
        """Whether nothing is read for now."""
        self.write_paused = False
        """Whether the client has to read first."""

    async def drain(self) -> None:
        """Wait until the client has read enough."""
        await self._writable.wait()

    def pause_reading(self) -> None:
        """Read nothing for now."""
        if not self.read_paused:
            self.read_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self.read_paused:
            self.read_paused = False
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """Note that much waits for the client to read it."""
        self.write_paused = True
        self._writable.clear()

    def resume_writing(self) -> None:
        """Note that the client has read it."""
        self.write_paused = False
        self._writable.set()


class Pipeline(list[T]):
    """Requests that came before the last one was answered: most often none."""

    __slots__ = ()

    def appendleft(self, request: T) -> None:
        """Add one, which is taken behind those that are there."""
        self.insert(0, request)
