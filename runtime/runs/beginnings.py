"""Runs that are about to begin: a stop that comes before a run is there must not be lost."""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Self

from ..stores.thread_keys import thread_key


class Asked(NamedTuple):
    """A request for a run, or for its stop: the client's ids, and the caller.

    A stop without a run's id means all runs of the thread; one without a caller is the application's.
    """

    thread_id: str
    run_id: str | None
    identity: str | None

    def is_meant_by(self, stop: Asked) -> bool:
        """Return whether a stop means this run, and its caller may stop it."""
        return (
            thread_key(self.thread_id) == thread_key(stop.thread_id)
            and stop.run_id in (None, self.run_id)
            and stop.identity in (None, self.identity)
        )


class Beginning:
    """A run that has been asked for, in the block: hooks, checks and the store may take a while before it is there.

    Args:
        asked: What was asked for.
        all_: All runs that are about to begin.
    """

    __slots__ = ("_all", "asked", "stopped")

    def __init__(self, asked: Asked, all_: Beginnings) -> None:
        self.asked = asked
        self.stopped = False
        """Whether the run is to be stopped as soon as it is there."""
        self._all = all_

    def __enter__(self) -> Self:
        self._all.add(self)
        return self

    def __exit__(self, *_error: object) -> None:
        self._all.remove(self)


class Beginnings:
    """All runs of this process that are about to begin."""

    def __init__(self) -> None:
        self._beginnings: dict[Beginning, None] = {}
        self._stops: dict[asyncio.Future[None], Asked] = {}
        """The stops that wait for a run which is about to come."""

    def add(self, beginning: Beginning) -> None:
        """Note that a run is about to begin.

        It may be noted twice: as soon as its request is read, and when it starts.
        """
        asked = beginning.asked
        beginning.stopped = any(each.stopped and each.asked == asked for each in self._beginnings)
        for waiting, stop in self._stops.items():
            if asked.is_meant_by(stop) and not waiting.done():
                waiting.set_result(None)
                beginning.stopped = True
        self._beginnings[beginning] = None

    def remove(self, beginning: Beginning) -> None:
        """Note that the run is there, or refused."""
        del self._beginnings[beginning]

    def stop(self, stop: Asked) -> bool:
        """Have runs stopped as soon as they are there; return whether there are any."""
        meant = [each for each in self._beginnings if each.asked.is_meant_by(stop)]
        for each in meant:
            each.stopped = True
        return bool(meant)

    async def stop_next(self, stop: Asked, seconds: float) -> bool:
        """Have the run stopped that comes next, within some seconds; return whether one came."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stops[waiting] = stop
        try:
            async with asyncio.timeout(seconds):
                await waiting
        except TimeoutError:
            return False
        finally:
            del self._stops[waiting]
        return True
