"""Write the logs of a process's runs to the store while they go on: those of all runs in one operation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from time import monotonic
from typing import NamedTuple

import structlog

from ..cancellation import end_tasks
from ..errors import StoreError
from ..stores.errors import StoreUnavailableError
from ..stores.group_writer import GROUP_BATCHES, GROUP_BYTES, RunBatch
from ..stores.run_log import RunLogStore
from ..stores.run_records import RunKey, RunLostError
from .log import Lagged
from .recording import FIRST_PAUSE, LONGEST_PAUSE, Recording

SWEEP_SECONDS = 0.05
"""How often it is looked what runs have to write: a reader elsewhere is at most 100 ms behind."""
BATCHES_PER_SECOND = 5000
"""How many batches a process writes at most: with more runs, each waits longer, but for the ends of its messages."""
LONGEST_BATCH_SECONDS = 1.0
REWRITES_AT_ONCE = 8
"""How many runs are stored anew at once: those that began together have as many events at the same time, and each has
all of them in memory once more."""
BEAT_SECONDS = 0.5
"""How often a run that has nothing to write renews its lease and looks whether it is to stop."""

log = structlog.get_logger(__name__)


class _Part(NamedTuple):
    recording: Recording
    batch: RunBatch
    ahead: bool
    """Whether it is shown before it is safe, and written again with the next batch."""


class Recorder:
    """Looks at all runs in turn, many times a second, so that a token costs nothing here, nor a run a task of its own.

    Writing fails in silence, but for the log, until a run ends: what is lacking is written with the next batch.

    Args:
        store: Where to write.
        owner: This process.
    """

    def __init__(self, store: RunLogStore, owner: str) -> None:
        self._store = store
        self._owner = owner
        self._recordings: dict[Recording, None] = {}
        self._rewritten: list[Recording] = []
        self._task: asyncio.Task[None] | None = None
        self._pause_after_failure = 0.0
        self._hurry = asyncio.Event()

    def add(self, recording: Recording) -> None:
        """Write a run's log from now on; the first events of a run that somebody elsewhere waits for, at once."""
        self._recordings[recording] = None
        loop = asyncio.get_running_loop()
        if recording.began_elsewhere:
            recording.on_first_events(self._write_soon)
        if recording.key is None:
            self._begin_work(recording)
        elif recording.began_elsewhere:
            self._store.stops.expect(recording.key, partial(self._look_soon, recording))
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._hurry = asyncio.Event()
            self._task = loop.create_task(self._sweep_all(), name="run-recorder")

    def remove(self, recording: Recording) -> None:
        """Leave a run's log to whoever ends it."""
        self._recordings.pop(recording, None)
        if recording.began_elsewhere and recording.key is not None:
            self._store.stops.forget(recording.key)

    async def stop(self) -> None:
        """Stop writing."""
        works = [each.work for each in self._recordings if each.work is not None]
        self._recordings.clear()
        await end_tasks(*([self._task] if self._task is not None else []), *works)

    async def _sweep_all(self) -> None:
        took = 0.0
        while self._recordings:
            # A store that is slow is left alone for as long as it took, so that others get their turn.
            rest = max(SWEEP_SECONDS - took, min(took, LONGEST_BATCH_SECONDS))
            await self._pause(self._pause_after_failure or rest)
            began = monotonic()
            try:
                await self._sweep()
                took, self._pause_after_failure = monotonic() - began, 0.0
            except Exception as error:  # whatever it is, the runs are looked at again
                is_away = isinstance(error, StoreUnavailableError)
                log.warning("runs_not_written", error=str(error), exc_info=not is_away)
                self._pause_after_failure = min(max(2 * self._pause_after_failure, FIRST_PAUSE), LONGEST_PAUSE)

    def _write_soon(self) -> None:
        self._hurry.set()

    def _look_soon(self, recording: Recording) -> None:
        recording.called = True
        self._hurry.set()

    async def _pause(self, seconds: float) -> None:
        if self._pause_after_failure:
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        self._hurry.clear()

    async def _sweep(self) -> None:
        parts = list(self._parts())
        for ahead in (True, False):
            for group in _groups([part for part in parts if part.ahead is ahead]):
                await self._write(group)
        now = monotonic()
        silent = [each for each in self._ready() if each.called or each.silent(now) >= BEAT_SECONDS]
        if silent:
            await self._renew(silent)

    def _ready(self) -> Iterator[Recording]:
        return (each for each in list(self._recordings) if each.key is not None and each.work is None)

    def _parts(self) -> Iterator[_Part]:
        pause = min(len(self._recordings) / BATCHES_PER_SECOND, LONGEST_BATCH_SECONDS)
        now = monotonic()
        for recording in self._ready():
            try:
                batch = recording.next_batch(pause, now)
            except Lagged:
                self._rewrite(recording)
            except StoreError:
                self._give_up(recording)
            else:
                if batch is not None:
                    yield _Part(recording, batch, recording.hurried and self._store.writes_ahead)
                recording.hurried = False

    async def _write(self, group: Sequence[_Part]) -> None:
        try:
            await self._append(group)
        except StoreUnavailableError:
            raise
        except StoreError:
            if len(group) == 1:
                self._give_up(group[0].recording)
                return
            # One of them is refused: the others are not to suffer from it.
            for part in group:
                await self._write([part])

    async def _append(self, group: Sequence[_Part]) -> None:
        ahead = group[0].ahead
        append = self._store.append_ahead if ahead else self._store.append_group
        with _worked_at([part.recording for part in group]):
            stops = await append(self._owner, [part.batch for part in group])
        for recording, (key, batch), _ in group:
            self._note(recording, None if ahead else batch.last, stops.get(key))

    async def _renew(self, silent: Sequence[Recording]) -> None:
        keys = {each.key: each for each in silent if each.key is not None}
        for each in silent:
            each.called = False
        with _worked_at(silent):
            stops = await self._store.renew(list(keys), self._owner)
        for key, recording in keys.items():
            self._note(recording, None, stops.get(key))

    def _note(self, recording: Recording, last: int | None, stop: bool | None) -> None:
        recording.wrote(last, stop)
        if recording.lost and recording in self._recordings:
            self._lost(recording.key)
            self.remove(recording)

    def _rewrite(self, recording: Recording) -> None:
        """Store all of a run anew, unless as many are being stored as may be: the next look finds it again."""
        self._rewritten = [each for each in self._rewritten if each.work is not None and not each.work.done()]
        if len(self._rewritten) < REWRITES_AT_ONCE:
            self._rewritten.append(recording)
            self._begin_work(recording)

    def _begin_work(self, recording: Recording) -> None:
        """Open a run, or store all of it anew, beside what the others do."""
        work = asyncio.create_task(self._work(recording), name="run-recording")
        recording.work = work
        work.add_done_callback(lambda _: _let_go(recording, work))

    async def _work(self, recording: Recording) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                await (recording.open() if recording.key is None else recording.write_whole())
            except StoreUnavailableError as error:
                log.warning("run_not_written", key=recording.key, error=str(error))
            except RunLostError:
                self.remove(recording)
                self._lost(recording.key)
                recording.lose()
                return
            except Exception:  # noqa: BLE001 - it is reported, and the others are not to suffer from it
                self._give_up(recording)
                return
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _give_up(self, recording: Recording) -> None:
        log.exception("run_not_recorded", key=recording.key)
        self.remove(recording)

    def _lost(self, key: RunKey | None) -> None:
        log.warning("run_lost", key=key)


def _let_go(recording: Recording, work: asyncio.Future[None]) -> None:
    if recording.work is work:
        recording.work = None


@contextmanager
def _worked_at(recordings: Sequence[Recording]) -> Iterator[None]:
    """Mark recordings as worked at: whoever ends one waits until this is over."""
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    for each in recordings:
        each.work = over
    try:
        yield
    finally:
        for each in recordings:
            _let_go(each, over)
        over.set_result(None)


def _groups(parts: Sequence[_Part]) -> Iterator[list[_Part]]:
    """Split what is to be written into operations of a bounded size."""
    group: list[_Part] = []
    size = 0
    for part in parts:
        if group and (size >= GROUP_BYTES or len(group) >= GROUP_BATCHES):
            yield group
            group, size = [], 0
        group.append(part)
        size += len(part.batch.batch.payload)
    if group:
        yield group
