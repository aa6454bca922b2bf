"""Signs of life on streams that have nothing to write, by one clock for all of them.

A stream has neither a task nor a timer of its own for this, as most of a thousand open streams do nothing. The clock
wakes those that have been silent for long enough, and each of them writes for itself, between two of its parts.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

TICKS = 4
"""How often the clock ticks in the time after which a silent stream is woken."""


class Ticking(Protocol):
    """What the clock drives."""

    def tick(self) -> None:
        """Take note that a part of the time has passed."""


class KeepAliveClock:
    """Ticks for as long as there are streams.

    Args:
        seconds: How long a stream may be silent; 0 for ever.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._streams: set[Ticking] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, stream: Ticking) -> None:
        """Drive a stream."""
        if self._seconds:
            self._streams.add(stream)
            if self._timer is None:
                self._wind()

    def remove(self, stream: Ticking) -> None:
        """Let a stream be."""
        self._streams.discard(stream)
        if self._timer is not None and not self._streams:
            self._timer.cancel()
            self._timer = None

    def _wind(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds / TICKS, self._tick)

    def _tick(self) -> None:
        self._wind()
        for stream in list(self._streams):
            stream.tick()


class Written(Protocol):
    """What is written to."""

    wrote: bool
    """Whether something has been written since somebody last looked, and set it to False."""


class SilentStream:
    """A stream that notices its silence: ``waiting`` for something to write, it is woken when a ping is due."""

    __slots__ = ("direct", "ping_due", "silent_ticks", "waiting")

    def __init__(self) -> None:
        self.direct: Written | None = None
        """Where others write for the stream, while it waits."""
        self.ping_due = False
        """Whether it was woken to write a ping, and not by what it waits for."""
        self.silent_ticks = 0
        """For how many ticks nothing has been written."""
        self.waiting: asyncio.Future[None] | None = None
        """What it waits for."""

    def written(self) -> None:
        """Note that something has been written."""
        self.silent_ticks = 0
        self.ping_due = False

    def tick(self) -> None:
        """Wake the stream if it has been silent for long enough."""
        self.silent_ticks += 1
        if self.direct is not None and self.direct.wrote:
            self.direct.wrote, self.silent_ticks = False, 0
        if self.silent_ticks >= TICKS and self.waiting is not None and not self.waiting.done():
            self.ping_due = True
            self.waiting.set_result(None)
