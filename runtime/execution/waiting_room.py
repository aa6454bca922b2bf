"""Runs that wait until there is a place in their queue."""

from __future__ import annotations

import asyncio
from collections import deque

import structlog

from ..cancellation import end_tasks
from ..errors import QueueFullError, StoreError
from ..repeated_failures import RepeatedFailures
from ..stores.run_records import RunKey
from .engine import QueueEngine

LOOK_SECONDS = 0.25
"""How often it is looked whether a full queue has places."""

log = structlog.get_logger(__name__)


class WaitingRoom:
    """Puts runs into their queues, in their order, as soon as these have places.

    Args:
        engine: Has the queues.
        most: How many runs a queue takes, and how many of each wait here for it.
        waits: Whether a run waits here for a place; else it is refused while its queue is full.
    """

    def __init__(self, engine: QueueEngine, most: int, *, waits: bool) -> None:
        self._engine = engine
        self._most = most
        self._waits = waits
        self._rooms: dict[str, deque[RunKey]] = {}
        self._pumps: dict[str, asyncio.Task[None]] = {}
        self._failures = RepeatedFailures()

    async def ahead(self, queue: str) -> int:
        """Return how many runs are ahead of the next one.

        Raises:
            QueueFullError: The queue is full.
            StoreError: The engine's server does not answer.
        """
        waiting, here = await self._engine.waiting(queue), len(self._rooms.get(queue, ()))
        if waiting >= self._most and (not self._waits or here >= self._most):
            raise QueueFullError
        return waiting + here

    async def put(self, queue: str, key: RunKey, ahead: int) -> None:
        """Put a run behind those that are ahead of it.

        Raises:
            StoreError: The engine's server does not answer.
        """
        if ahead < self._most and not self._rooms.get(queue):
            await self._engine.put(queue, key)
            return
        self._rooms.setdefault(queue, deque()).append(key)
        if queue not in self._pumps or self._pumps[queue].done():
            self._pumps[queue] = asyncio.create_task(self._pump(queue), name=f"waiting-room-{queue}")

    def holds(self, queue: str, key: RunKey) -> bool:
        """Return whether a run waits here for a place."""
        return key in self._rooms.get(queue, ())

    async def close(self) -> None:
        """Put all that waits into the queues, full or not: nobody else would."""
        await end_tasks(*self._pumps.values())
        self._pumps.clear()
        for queue, room in self._rooms.items():
            try:
                while room:
                    await self._engine.put(queue, room[0])
                    room.popleft()
            except StoreError as error:
                log.warning("waiting_runs_not_queued", queue=queue, runs=len(room), reason=str(error))

    async def _pump(self, queue: str) -> None:
        room = self._rooms[queue]
        while room:
            try:
                await self._fill(queue, room)
            except StoreError as error:
                if self._failures.is_news(queue, error):
                    log.warning("queue_does_not_answer", queue=queue, reason=str(error))
            else:
                if self._failures.are_over(queue):
                    log.info("queue_answers_again", queue=queue)
            if room:
                await asyncio.sleep(LOOK_SECONDS)

    async def _fill(self, queue: str, room: deque[RunKey]) -> None:
        for _ in range(self._most - await self._engine.waiting(queue)):
            if not room:
                return
            await self._engine.put(queue, room[0])
            room.popleft()
