"""Runs that this process has handed over and no worker has begun: their deliveries may have been lost."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from ..stores.run_log import RunLogStore
from ..stores.run_records import RunKey
from ..sweeper import Sweeper
from .engine import QueueEngine
from .waiting_room import WaitingRoom

LOOK_SECONDS = 1.0
FIRST_SECONDS = 5.0
"""After how long a run is put into its queue again that nobody has begun; the next time after twice as long."""


class _Put(NamedTuple):
    queue: str
    due: float
    pause: float


class UnbegunRuns:
    """Puts runs again: a crash of the queue's server may forget that a run was put, and not the run.

    One that is in its queue already is not put twice; and one that is delivered twice is claimed once.

    Args:
        engine: Has the queues.
        room: Has the runs that have not been put yet.
        store: Has the runs.
    """

    def __init__(self, engine: QueueEngine, room: WaitingRoom, store: RunLogStore) -> None:
        self._engine = engine
        self._room = room
        self._store = store
        self._runs: dict[RunKey, _Put] = {}
        self._sweeper = Sweeper("unbegun-runs", self._look, lambda: LOOK_SECONDS, lambda: bool(self._runs))

    def add(self, queue: str, key: RunKey) -> None:
        """Watch a run that has been handed over."""
        self._runs[key] = _Put(queue, asyncio.get_running_loop().time() + FIRST_SECONDS, FIRST_SECONDS)
        self._sweeper.start()

    async def stop(self) -> None:
        """Watch no longer: the queues have what was put."""
        await self._sweeper.stop()
        self._runs.clear()

    async def _look(self) -> None:
        present = asyncio.get_running_loop().time()
        due = [key for key, put in self._runs.items() if put.due <= present]
        progress = await self._store.peek(due)
        for key in due:
            found = progress.get(key)
            if found is None or found.status != "running" or found.last:
                del self._runs[key]
            else:
                await self._put_again(key, present)

    async def _put_again(self, key: RunKey, present: float) -> None:
        queue, _, pause = self._runs[key]
        if not self._room.holds(queue, key):
            await self._engine.put(queue, key)
        self._runs[key] = _Put(queue, present + 2 * pause, 2 * pause)
