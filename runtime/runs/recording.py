"""One run's log on its way to the store, beside the run and without holding it up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, Protocol

from .. import events
from ..cancellation import end_tasks
from ..signals import Signal
from ..stores.errors import StoreUnavailableError
from ..stores.group_writer import RunBatch
from ..stores.run_log import RunLogStore
from ..stores.run_records import (
    Batch,
    RunElsewhereError,
    RunKey,
    RunLostError,
    RunOutcome,
    RunRecord,
    encode_json,
)
from .about import STORED
from .compaction import compact, without_earlier_turns
from .log import Lagged, RunLog

PATIENCE_SECONDS = 20.0
"""How long a run's end waits for a store that does not answer."""
AWAY_SECONDS = 1.0
"""The same, after its turn has waited for longer than it could."""
COMPACT_EVENTS = 8192
"""After how many events what is stored is compacted; the next time, after twice as many."""
COMPACT_BATCHES = 2048
"""After how many batches it is compacted all the same: a slow agent has a batch for each event, and stores keep a
limited number of batches."""
FIRST_EVENTS = 3
"""How many of a run's events are written at once for a client that waits elsewhere: its start, and a first text."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
"""How long to wait before an operation is tried again that a store did not answer."""
_ENDS = (events.TextMessageEnd, events.ToolCallEnd, events.ToolCallResult)


class Recorded(Protocol):
    """A run that is recorded."""

    log: RunLog

    async def open(self) -> RunRecord:
        """Make the run's record in the store."""

    def stop(self) -> None:
        """Stop the run, as somebody elsewhere has asked."""

    def lose(self) -> None:
        """Take note that the run has gone to another process."""

    def about_ended(self) -> dict[str, Any] | None:
        """Return what to keep with the run once it has ended; None for what was given when it began."""


class Recording:
    """What is stored of a run, and what is not yet.

    Args:
        store: Where to write.
        recorded: The run.
        owner: This process.
        taken_over: The run's record in the store and the number of the last event there, if another process began it.
    """

    __slots__ = (
        "_batches",
        "_compact_at",
        "_gathered",
        "_log",
        "_owner",
        "_record",
        "_recorded",
        "_sent",
        "_signed",
        "_store",
        "_written",
        "began_elsewhere",
        "called",
        "hurried",
        "lost",
        "opened",
        "work",
    )

    def __init__(
        self,
        store: RunLogStore,
        recorded: Recorded,
        owner: str,
        *,
        taken_over: tuple[RunRecord, int] | None = None,
    ) -> None:
        self._record: RunRecord | None = None
        self.lost = False
        self.opened = Signal()
        """Set once the run has its place in the store."""
        self.work: asyncio.Future[None] | None = None
        """What is being done with the run at the store, while something is."""
        self.hurried = False
        """Whether its first events have come, for which a client waits elsewhere."""
        self.called = False
        """Whether it has been reported that somebody asks the run to stop; the next sign of life shows it."""
        self._written = 0  # the number of the last event that is stored
        self._sent = 0  # the number of the last event that may be stored
        self._signed = monotonic()  # when there was the last sign of life
        self._gathered = 0.0  # when the last batch was gathered
        self._compact_at = COMPACT_EVENTS
        self._batches = 0  # how many batches are stored one by one, at most
        self._store = store
        self._log = recorded.log
        self._recorded = recorded
        self._owner = owner
        self.began_elsewhere = taken_over is not None
        """Whether another process made the run's record."""
        if taken_over is not None:
            self._record, self._written = taken_over
            self._batches = self._sent = self._written
            self.opened.set()

    @property
    def key(self) -> RunKey | None:
        """The run's place in the store; None while it has none."""
        return None if self._record is None else self._record.key

    def on_first_events(self, hurry: Callable[[], None]) -> None:
        """Have ``hurry`` called when the first events of the run come: its start, and its first text or tool call."""
        reader, until = self._log.subscribe(self._log.last, attached=False), self._log.last + FIRST_EVENTS

        def arrived(_arrival: asyncio.Future[None]) -> None:
            came = self._log.last > reader.offset
            reader.offset = self._log.last
            if came:
                self.hurried = True
                hurry()
            if came and reader.offset < until:
                reader.arrival().add_done_callback(arrived)
            else:
                reader.close()

        reader.arrival().add_done_callback(arrived)

    def silent(self, now: float) -> float:
        """Return for how long the store has had no sign of life, in seconds."""
        return now - self._signed

    def next_batch(self, pause: float, now: float) -> RunBatch | None:
        """Return what the store lacks; None if it lacks nothing, or got a batch less than ``pause`` seconds ago.

        The end of a message does not wait.

        Raises:
            Lagged: What it lacks is no longer kept one by one, or is to be stored compacted by now.
            StateEncodingError: JSON cannot express it.
        """
        key, last = self.key, self._log.last
        if key is None or last == self._written:
            return None
        if last >= self._compact_at or self._batches >= COMPACT_BATCHES:
            raise Lagged
        if now - self._gathered < pause and not isinstance(self._log.since(last - 1)[0], _ENDS):
            return None
        lacking = self._log.since(self._written)
        self._gathered, self._sent = now, last
        return RunBatch(key, Batch(self._written + 1, last, encode_json(lacking)))

    def wrote(self, last: int | None, stop: bool | None) -> None:
        """Note what the store replied.

        Args:
            last: The number of the last event that is stored now; None if that has not changed.
            stop: Whether the run is to stop; None if it is not this process's any longer.
        """
        self._signed = monotonic()
        if stop is None:
            self.lose()
            return
        if last is not None:
            self._written = last
            self._batches += 1
        if stop:
            self._recorded.stop()

    def lose(self) -> None:
        """Stop writing: another process has the run."""
        self.lost = True
        self._recorded.lose()

    async def open(self) -> RunKey:
        """Give the run its place in the store, if it has none.

        Raises:
            StoreError: The store failed.
        """
        if self._record is None:
            self._record = await self._recorded.open()
            self._signed = monotonic()
            self.opened.set()
        return self._record.key

    async def write_whole(self) -> None:
        """Replace what is stored by the compacted form of all events.

        Raises:
            RunLostError: The run is not this process's.
            StoreError: The store failed.
        """
        key, last = await self.open(), self._log.last
        self._sent = last
        await self._store.compact(key, self._owner, last, compact(self._log.everything()))
        self._written, self._compact_at, self._batches = last, 2 * max(last, COMPACT_EVENTS), 0

    async def finish(
        self,
        status: RunOutcome,
        ending: events.Event,
        *,
        patience: float = PATIENCE_SECONDS,
        unsaved: bool = False,
        insists: bool = False,
    ) -> RunKey | None:
        """Write what is left and the run's end.

        One that another process has taken for dead, and closed, is closed anew if its whole turn is in its thread, as
        its agent keeps it, or is yet to be put there: what is read of the run is to be what is in the thread.

        Args:
            status: How the run ended.
            ending: Its terminal event.
            patience: For how many seconds a store that is away is waited for.
            unsaved: Whether its turn is yet to be put into its thread.
            insists: Whether it is closed anew if another process has closed it.

        Returns:
            The run's place; None if another process has the run.

        Raises:
            RunElsewhereError: It is to be closed anew, and the other process has not closed it yet.
            StoreError: It could not be stored in time.
        """
        deadline = monotonic() + patience
        await self._settle(patience)
        if not self.lost:
            try:
                await persist(lambda: self._close(status, ending, unsaved=unsaved), deadline)
            except RunLostError:
                if not insists:
                    raise
            else:
                return self.key
        return self.key if insists and await self._close_anew(status, ending, unsaved=unsaved) else None

    async def note_saved(self) -> None:
        """Note that the run's turn is in its thread, or given up.

        Raises:
            StoreUnavailableError: The store does not answer.
        """
        if self.key is not None:
            await self._store.note_saved(self.key)

    def size(self) -> int:
        """Return how many bytes the whole of the run takes, compacted."""
        return len(encode_json(compact(self._log.everything())))

    async def hand_over(self) -> None:
        """Write what is left, and give the run away as one that goes on.

        Raises:
            StoreError: It could not be stored in time.
        """
        deadline = monotonic() + PATIENCE_SECONDS
        await self._settle()
        if self.lost:
            return
        await persist(self._write_all, deadline)
        key = await self.open()
        await persist(lambda: self._store.release(key, self._owner), deadline)

    async def _settle(self, patience: float = PATIENCE_SECONDS) -> None:
        """Wait for what is being written: a run that is opened or written to twice must not be two."""
        work = self.work
        if work is None:
            return
        await asyncio.wait([work], timeout=patience)
        if isinstance(work, asyncio.Task):
            await end_tasks(work)

    async def _write_all(self) -> None:
        key = await self.open()
        try:
            rest = self._log.since(self._written)
        except Lagged:
            await self.write_whole()
        else:
            if rest:
                await self._store.append(key, self._owner, self._written + 1, rest)

    async def _close(
        self, status: RunOutcome, ending: events.Event, *, unsaved: bool, anew: RunRecord | None = None
    ) -> None:
        ends = [] if self._log.closed else [ending]  # a log that is stored late has it by now
        kept = without_earlier_turns(compact([*self._log.everything(), *ends]))
        last, rest, amends = self._log.last + len(ends), self._unwritten(ends), False
        if anew is not None:
            last, rest, amends = max(last, anew.last), (), anew.status == "broken"
        key, about = await self.open(), self._recorded.about_ended()
        await self._store.close(key, self._owner, status, last, kept, about, rest, unsaved=unsaved, amends=amends)

    async def _close_anew(self, status: RunOutcome, ending: events.Event, *, unsaved: bool) -> bool:
        """Close the run in place of a process that has closed it, or died of it meanwhile; return whether it may."""
        key = await self.open()
        record = next((each for each in await self._store.runs(key.thread_id) if each.key == key), None)
        if record is None or not self._has_all_of(record):
            return False
        if record.status == "running" and not await self._store.claim(key, self._owner):
            raise RunElsewhereError
        await self._close(status, ending, unsaved=unsaved, anew=record)
        return True

    def _has_all_of(self, record: RunRecord) -> bool:
        """Return whether it is this run, and nobody else has added anything to it, but for its end."""
        if self._record is None or record.started_at != self._record.started_at:
            return False  # the thread was deleted, and another run has its place
        if record.status == "running":
            return record.last <= self._sent
        return record.status == "broken" and record.about.get(STORED, record.last) <= self._sent

    def _unwritten(self, ends: Sequence[events.Event]) -> Sequence[events.Event]:
        """Return the last events for those who follow the run elsewhere; none if they are only kept compacted."""
        try:
            return [*self._log.since(self._written), *ends] if self._store.shared else ()
        except Lagged:
            return ()


async def persist(write: Callable[[], Awaitable[Any]], deadline: float) -> None:
    """Repeat a write until the store answers.

    Args:
        write: Something that does no harm when done twice.
        deadline: Until when, on the monotonic clock.

    Raises:
        StoreUnavailableError: The store did not answer in time.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            await write()
        except StoreUnavailableError:
            if monotonic() >= deadline:
                raise
        else:
            return
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
