"""Runs whose process has gone: another process goes on with them, or closes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import structlog

from .. import events
from ..stores.run_log import RunLogStore
from ..stores.run_records import RunRecord
from ..sweeper import Sweeper
from .archive import about_ended
from .compaction import compact, without_earlier_turns
from .verifier import EventVerifier

BROKEN_OFF = "RUN_BROKEN_OFF"
"""The code of the error that ends a run whose process has died."""
BROKEN_OFF_TEXT = "The server that executed this run has gone. What it had said until then is kept."
SWEEP_SECONDS = 1.0
"""How often runs are looked for whose process has gone."""
MAX_TAKEOVERS = 3
"""How many processes may die with a run before it is closed: it may be what they died of."""

Resume: TypeAlias = Callable[[RunRecord, Sequence[events.Event], int], Awaitable[bool]]
"""Goes on with a claimed run, given its record, its stored events and the last one's number, if that can be done."""

log = structlog.get_logger(__name__)


class BrokenRuns:
    """Finds runs whose lease has run out, and claims them for this process.

    Args:
        store: Where the events of runs are kept.
        owner: This process.
        resume: Goes on with a run; those that it returns False for are closed.
    """

    def __init__(self, store: RunLogStore, owner: str, resume: Resume) -> None:
        self._store = store
        self._owner = owner
        self._resume = resume
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
        for record in await self._store.abandoned():
            if await self._store.claim(record.key, self._owner):
                await self._take(record)

    async def _take(self, record: RunRecord) -> None:
        stored = await self._store.history(record.key)
        latest = (await self._store.peek([record.key])).get(record.key)
        last = latest.last if latest is not None else record.last
        if not await self._goes_on(record, stored, last):
            log.warning("run_broken_off", thread_id=record.thread_id, run_id=record.run_id)
            await self._close(record, stored, last)

    async def _goes_on(self, record: RunRecord, stored: Sequence[events.Event], last: int) -> bool:
        if record.takeovers >= MAX_TAKEOVERS:
            return False
        try:
            return await self._resume(record, stored, last)
        except Exception:  # whatever a provider raises: the run is closed
            log.exception("run_not_resumed", thread_id=record.thread_id, run_id=record.run_id)
            return False

    async def _close(self, record: RunRecord, stored: Sequence[events.Event], last: int) -> None:
        ending = ending_of(record, stored)
        await self._store.append(record.key, self._owner, last + 1, ending)
        whole = without_earlier_turns(compact([*stored, *ending]))
        about = about_ended(record.about)
        await self._store.close(record.key, self._owner, "broken", last + len(ending), whole, about)


def ending_of(record: RunRecord, stored: Sequence[events.Event]) -> list[events.Event]:
    """Return the events that end a run that broke off: closers of all that is open, and an error."""
    verifier = EventVerifier()
    for event in stored:
        verifier.check(event)
    started = [] if stored else [events.RunStarted(thread_id=record.thread_id, run_id=record.run_id)]
    return [*started, *verifier.closing(), events.RunError(message=BROKEN_OFF_TEXT, code=BROKEN_OFF)]
