"""Write a run's log to the store, beside the run and without holding it up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import structlog

from .. import events
from ..cancellation import end_tasks
from ..errors import StoreError
from ..stores.errors import StoreUnavailableError
from ..stores.run_log import RunLogStore
from ..stores.run_records import RunKey, RunLostError, RunOutcome
from .compaction import Compactor, without_earlier_turns
from .continuation import Continuation
from .log import Lagged, RunLog

BATCH_SECONDS = 0.06
"""How long events are gathered before they are written: a reader elsewhere is at most 100 ms behind."""
BATCHES_PER_SECOND = 1000
"""How many batches a process writes at most: with many runs, each waits longer."""
LONGEST_BATCH_SECONDS = 1.0
BEAT_SECONDS = 0.5
"""How often a run that has nothing to write renews its lease and looks whether it is to stop."""
PATIENCE_SECONDS = 20.0
"""How long a run's end waits for a store that does not answer."""
PENDING_EVENTS = 8192
"""How many events may wait for the store; when there are more, they are written compacted."""
COMPACT_EVENTS = 8192
"""After how many events what is stored is compacted; the next time, after twice as many."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
_ENDS = (events.TextMessageEnd, events.ToolCallEnd, events.ToolCallResult)

log = structlog.get_logger(__name__)


class Recording:
    """One run's log on its way to the store.

    Where other processes can read the store, events are written in batches while the run goes on; else all is written
    at the end. Writing fails in silence, but for the log, until the run ends.

    Args:
        store: Where to write.
        run_log: The run's log.
        open_run: Makes the run's record in the store.
        owner: This process.
        on_stop: Awaited when somebody elsewhere has asked the run to stop.
        on_lost: Called when the run has gone to another process.
        pause: Returns how long to gather events before they are written.
        about: Returns what to keep with the run once it has ended; None for what was given when it began.
        taken_over: The run's place in the store and what another process wrote there, if one began it.
    """

    def __init__(
        self,
        store: RunLogStore,
        run_log: RunLog,
        open_run: Callable[[], Awaitable[RunKey]],
        owner: str,
        *,
        on_stop: Callable[[], None],
        on_lost: Callable[[], None],
        pause: Callable[[], float] = lambda: BATCH_SECONDS,
        about: Callable[[], dict[str, Any] | None] = lambda: None,
        taken_over: tuple[RunKey, Continuation] | None = None,
    ) -> None:
        self.key: RunKey | None = None
        self.lost = False
        self.opened = asyncio.Event()
        """Set once the run has its place in the store."""
        self._about = about
        self._pause = pause
        self._quiet = True  # whether nothing had come when it was last looked for
        self._store = store
        self._log = run_log
        self._open_run = open_run
        self._owner = owner
        self._on_stop = on_stop
        self._on_lost = on_lost
        self._compactor = Compactor()
        self._pending: list[events.Event] = []
        self._gathered = 0  # the number of the last event that was taken from the log
        if taken_over is not None:
            self._go_on(*taken_over)
        self._reader = run_log.subscribe(self._gathered, attached=False) if store.shared else None
        self._whole = False  # whether the next write is the compacted form of all
        self._compact_at = COMPACT_EVENTS
        self._writing = asyncio.Lock()
        self._task = asyncio.create_task(self._follow(), name="run-recording") if store.shared else None

    async def finish(self, status: RunOutcome, ending: events.Event) -> None:
        """Write what is left and the run's end, which its log does not have yet.

        Raises:
            StoreError: It could not be stored in time.
        """
        await self._end_task()
        if self.lost:
            return
        self._gather()
        self._add(ending, self._gathered + 1)
        deadline = monotonic() + PATIENCE_SECONDS
        if self._store.shared:
            await _persist(self._flush, deadline)
        await _persist(lambda: self._close(status), deadline)

    async def hand_over(self) -> None:
        """Write what is left, and give the run away as one that goes on.

        Raises:
            StoreError: It could not be stored in time.
        """
        await self._end_task()
        if self.lost:
            return
        self._gather()
        deadline = monotonic() + PATIENCE_SECONDS
        await _persist(self._flush, deadline)
        if self.key is not None:
            key = self.key
            await _persist(lambda: self._store.release(key, self._owner), deadline)

    def _go_on(self, key: RunKey, past: Continuation) -> None:
        self.key, self._gathered = key, past.last
        self.opened.set()
        self._compactor.add_all(past.history)

    async def _end_task(self) -> None:
        if self._task is not None:
            await end_tasks(self._task)

    async def _follow(self) -> None:
        try:
            while True:
                await self._next()
                await self._try_to_write()
        except RunLostError:
            self.lost = True
            log.warning("run_lost", key=self.key)
            self._on_lost()
        except StoreError:
            log.exception("run_not_recorded", key=self.key)

    async def _try_to_write(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                # A write is not cut off in the middle by the end of the run: its outcome must be known.
                await self._flush()
            except StoreUnavailableError as error:
                log.warning("run_not_written", key=self.key, error=str(error))
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            self._gather()

    async def _next(self) -> None:
        """Gather a batch, or nothing if there is none before it is time for a sign of life."""
        if self._reader is None:
            return
        pause = self._pause()
        if pause <= BATCH_SECONDS or self._quiet:
            await asyncio.wait([self._reader.arrival()], timeout=BEAT_SECONDS)
            self._gather()
        if pause > BATCH_SECONDS or (self._pending and not isinstance(self._pending[-1], _ENDS)):
            await asyncio.sleep(pause)
            self._gather()
        self._quiet = not self._pending

    def _gather(self) -> None:
        reader = self._reader = self._reader or self._log.subscribe(attached=False)
        try:
            taken = reader.take()
        except Lagged:
            self._take_all()
            return
        if self._gathered + len(taken) != reader.offset:
            self._whole = True  # the log was compacted before it was read
        self._compactor.add_all(taken)
        self._gathered = reader.offset
        if self._store.shared and not self._whole:
            self._pending += taken
        if len(self._pending) > PENDING_EVENTS:
            self._pending, self._whole = [], True

    def _take_all(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._compactor, self._pending, self._whole = Compactor(), [], True
        self._reader = reader = self._log.subscribe(attached=False)
        self._compactor.add_all(reader.take())
        self._gathered = reader.offset

    def _add(self, event: events.Event, number: int) -> None:
        self._compactor.add(event)
        self._gathered = number
        if self._store.shared and not self._whole:
            self._pending.append(event)

    async def _flush(self) -> None:
        async with self._writing:
            if self.key is None:
                self.key = await self._open_run()
                self.opened.set()
            if self._whole or self._gathered >= self._compact_at:
                await self._write_whole(self.key)
            batch, first = list(self._pending), self._gathered - len(self._pending) + 1
            if batch:
                stop: bool | None = await self._store.append(self.key, self._owner, first, batch)
                del self._pending[: len(batch)]
            else:
                stop = (await self._store.renew([self.key], self._owner)).get(self.key)
        if stop is None:
            raise RunLostError
        if stop:
            self._on_stop()

    async def _write_whole(self, key: RunKey) -> None:
        last, waiting = self._gathered, len(self._pending)
        await self._store.compact(key, self._owner, last, self._compactor.compacted())
        del self._pending[:waiting]
        self._whole, self._compact_at = False, 2 * max(last, COMPACT_EVENTS)

    async def _close(self, status: RunOutcome) -> None:
        if self.key is None:
            self.key = await self._open_run()
        kept = without_earlier_turns(self._compactor.compacted())
        await self._store.close(self.key, self._owner, status, self._gathered, kept, self._about())


async def _persist(write: Callable[[], Awaitable[Any]], deadline: float) -> None:
    pause = _FIRST_PAUSE
    while True:
        try:
            await write()
        except StoreUnavailableError:
            if monotonic() >= deadline:
                raise
        else:
            return
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
