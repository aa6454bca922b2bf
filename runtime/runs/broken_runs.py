"""Runs whose process has gone: another process goes on with them, or closes them, and stores their turns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import TypeAlias

import msgspec
import structlog

from .. import events
from ..errors import CopilotKitError, RunBrokenOffError, RunNotExecutedError, ShuttingDownError
from ..stores.run_log import RunLogStore
from ..stores.run_records import RunCompactedError, RunKey, RunRecord
from ..sweeper import Sweeper
from .about import ENVELOPE
from .closing import WAITING, close_record
from .run import Run

BROKEN_OFF = "RUN_BROKEN_OFF"
"""The code of the error that ends a run whose process has died."""
NOT_EXECUTED = "RUN_NOT_EXECUTED"
"""The code of the error that ends a run that no worker has taken in time."""
PATIENCE_SECONDS = 60.0
"""For how long a run whose process has gone is left to those that can go on with it."""
SWEEP_SECONDS = 1.0
"""How often runs are looked for whose process has gone."""
MAX_TAKEOVERS = 3
"""How many processes may die with a run before it is closed: it may be what they died of."""

Keep: TypeAlias = Callable[[RunRecord, Sequence[events.Event]], Awaitable[bool]]
"""Stores the turn of a run that is about to be closed, given its record and its events; returns whether it could."""
Adopt: TypeAlias = Callable[[RunRecord], Awaitable[None]]
"""Takes care of the turn of a run that has ended, which this process has claimed."""
Resume: TypeAlias = Callable[[RunRecord, Sequence[events.Event], int], Awaitable[Run | None]]
"""Goes on with a claimed run, given its record, its stored events and the last one's number, if that can be done.

Raises ``ShuttingDownError`` where another process is to do it."""

log = structlog.get_logger(__name__)


class BrokenRuns:
    """Finds runs whose lease has run out, and claims them for this process.

    Args:
        store: Where the events of runs are kept.
        owner: This process.
        has: Returns whether a run is in this process's hands: after an outage of the store its lease may have run out.
        resume: Goes on with a run; those that it returns None for are closed.
        keep: Stores the turn of a run that is about to be closed.
        adopt: Takes care of the turn of a run that was closed before its turn was stored.
    """

    def __init__(
        self, store: RunLogStore, owner: str, has: Callable[[RunKey], bool], resume: Resume, keep: Keep, adopt: Adopt
    ) -> None:
        self.is_ours: Callable[[RunRecord], bool] = lambda _: True
        """Whether this process is one of those that execute a run; the others wait, and close it if nobody does."""
        self.on_resumed: Callable[[Run], None] = lambda _: None
        """Called with each run that this process goes on with,"""
        self.on_closed: Callable[[RunRecord, CopilotKitError], Awaitable[None]] = _nobody_learns
        """and with each that it has closed, and why."""
        self._seen: dict[RunKey, float] = {}
        """Since when runs of others are seen here without a process."""
        self._store = store
        self._owner = owner
        self._has = has
        self._resume = resume
        self._keep = keep
        self._adopt = adopt
        self._sweeper = Sweeper("broken-runs", self.sweep, lambda: SWEEP_SECONDS)

    def start(self) -> None:
        """Begin to look, if other processes use the store."""
        if self._store.shared:
            self._sweeper.start()

    async def stop(self) -> None:
        """End what ``start`` began."""
        await self._sweeper.stop()

    async def sweep(self) -> None:
        """Take over the runs whose process has gone, each of them once over all processes."""
        found = [record for record in await self._store.abandoned() if not self._has(record.key)]
        self._seen = {record.key: self._seen.get(record.key, monotonic()) for record in found}
        for record in found:
            if await self._was_not_executed(record):
                await self._close_late(record)
            elif self._is_free(record) and await self._store.claim(record.key, self._owner):
                await self._take(record)

    async def _was_not_executed(self, record: RunRecord) -> bool:
        """Take a run whose time to wait for a worker is over, so that no worker can; return False if one has."""
        is_waiting = record.status == "running" and ENVELOPE in record.about
        return is_waiting and await self._store.take(record.key, self._owner, WAITING) is not None

    def _is_free(self, record: RunRecord) -> bool:
        return self.is_ours(record) or monotonic() - self._seen[record.key] >= PATIENCE_SECONDS

    async def _close_late(self, record: RunRecord) -> None:
        log.warning("run_not_executed", thread_id=record.thread_id, run_id=record.run_id)
        error = RunNotExecutedError()
        ending = events.RunError(message=error.message, code=NOT_EXECUTED)
        await close_record(self._store, self._owner, record, "failed", ending)
        await self.on_closed(record, error)

    async def _take(self, record: RunRecord) -> None:
        latest = (await self._store.peek([record.key])).get(record.key)
        if latest is not None and latest.status != "running":
            await self._adopt(msgspec.structs.replace(record, status=latest.status, last=latest.last))
            return
        last = latest.last if latest is not None else record.last
        try:
            stored = await self._store.history(record)
        except RunCompactedError:
            # Something is missing of it, so that nobody can go on with it; but the thread is not to wait for ever.
            log.exception("run_not_readable", thread_id=record.thread_id, run_id=record.run_id)
            await self._close(record, (), last)
            return
        if not await self._goes_on(record, stored, last):
            log.warning("run_broken_off", thread_id=record.thread_id, run_id=record.run_id)
            await self._close(record, stored, last)

    async def _goes_on(self, record: RunRecord, stored: Sequence[events.Event], last: int) -> bool:
        if record.takeovers >= MAX_TAKEOVERS:
            return False
        try:
            run = await self._resume(record, stored, last)
        except ShuttingDownError:
            await self._store.release(record.key, self._owner)
            return True  # elsewhere
        except Exception:  # whatever a provider raises: the run is closed
            log.exception("run_not_resumed", thread_id=record.thread_id, run_id=record.run_id)
            return False
        if run is None:
            return False
        self.on_resumed(run)
        return True

    async def _close(self, record: RunRecord, stored: Sequence[events.Event], last: int) -> None:
        error = RunBrokenOffError()
        ending = events.RunError(message=error.message, code=BROKEN_OFF)
        await close_record(self._store, self._owner, record, "broken", ending, stored, last, keep=self._keep)
        await self.on_closed(record, error)


async def _nobody_learns(record: RunRecord, error: CopilotKitError) -> None:
    """Do nothing."""
