"""The runs of one process, gone when it ends."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from math import inf
from time import monotonic

import msgspec
from typing_extensions import override

from .group_reader import RunBatches, Wanted
from .group_writer import RunBatch
from .records import moment, now
from .run_log import GRACE_SECONDS, RUNS_IN_GRACE, RunLogStore, batches_each
from .run_records import (
    Base,
    Batch,
    NewRun,
    Progress,
    RunKey,
    RunLostError,
    RunOutcome,
    RunRecord,
    StoredStatus,
    decode_about,
)
from .settings import StoreSettings

NO_EVENTS = Base(0, b"[]")


class _Run(msgspec.Struct):
    given: NewRun
    number: int
    owner: str
    expires: float
    started: int
    updated: int
    status: StoredStatus = "running"
    stop: bool = False
    last: int = 0
    base: Base = NO_EVENTS
    batches: list[Batch] = []
    ended: float = 0.0
    takeovers: int = 0
    unsaved: bool = False

    @property
    def has_owner(self) -> bool:
        return self.status == "running" or self.unsaved

    @property
    def size(self) -> int:
        batches = sum(len(batch.payload) for batch in self.batches) if self.batches else 0
        return len(self.given.about) + len(self.base.payload) + batches

    @property
    def progress(self) -> Progress:
        return Progress(self.last, self.status, moment(self.started))

    def record(self) -> RunRecord:
        return RunRecord(
            thread_id=self.given.thread_id,
            number=self.number,
            run_id=self.given.run_id,
            agent_name=self.given.agent_name,
            status=self.status,
            last=self.last,
            about=decode_about(self.given.about),
            started_at=moment(self.started),
            updated_at=moment(self.updated),
            takeovers=self.takeovers,
            unsaved=self.unsaved,
        )


class _Thread(msgspec.Struct):
    """The runs of a thread by their numbers, which grow."""

    runs: dict[int, _Run] = {}
    size: int = 0
    in_grace: list[int] = []
    """Those that have ended and whose events are still kept one by one."""

    @property
    def last(self) -> int:
        return next(reversed(self.runs), 0)


class MemoryRuns(RunLogStore):
    """Keeps runs in this process, and lets go of the threads written least recently when there are too many.

    Args:
        settings: ``max_runs`` and ``max_run_bytes`` bound a thread, ``max_threads`` and ``max_total_bytes`` all.
    """

    shared = False

    def __init__(self, settings: StoreSettings | None = None) -> None:
        super().__init__(settings or StoreSettings())
        self._threads: OrderedDict[str, _Thread] = OrderedDict()
        self._bytes = 0

    @override
    async def delete(self, thread_id: str) -> bool:
        thread = self._threads.pop(thread_id, None)
        self._bytes -= 0 if thread is None else thread.size
        return thread is not None and bool(thread.runs)

    @override
    async def discard(self, key: RunKey, owner: str) -> None:
        run = self._find(key)
        if run is not None and run.owner == owner:
            thread = self._threads[key.thread_id]
            self._grow(thread, -thread.runs.pop(key.number).size)

    @override
    async def _open(self, run: NewRun, owner: str) -> tuple[int, datetime]:
        self._forget_old()
        thread = self._threads.setdefault(run.thread_id, _Thread())
        number = thread.last + 1
        lease = self.settings.lease if run.lease is None else run.lease
        opened = _Run(run, number, owner, monotonic() + lease, now(), now())
        thread.runs[number] = opened
        self._grow(thread, opened.size)
        self._shrink(run.thread_id)
        return number, moment(opened.started)

    @override
    async def _append_all(self, owner: str, batches: Sequence[RunBatch]) -> dict[RunKey, bool]:
        stops: dict[RunKey, bool] = {}
        for key, batch in batches:
            run = self._find(key)
            if run is not None and run.owner == owner and run.status == "running":
                stops[key] = self._append(key, run, batch)
        return stops

    def _append(self, key: RunKey, run: _Run, batch: Batch) -> bool:
        if batch.last > run.last:
            run.batches.append(batch)
            run.last = batch.last
            self._grow(self._threads[key.thread_id], len(batch.payload))
        run.updated, run.expires = now(), monotonic() + self.settings.lease
        self._shrink(key.thread_id)
        return run.stop

    @override
    async def _compact(self, key: RunKey, owner: str, base: Base) -> None:
        run = self._owned(key, owner)
        before = run.size
        run.base, run.last = base, max(run.last, base.last)
        run.batches = [batch for batch in run.batches if batch.last > base.last]
        self._grow(self._threads[key.thread_id], run.size - before)

    @override
    async def _close(
        self,
        key: RunKey,
        owner: str,
        status: RunOutcome,
        base: Base,
        about: bytes | None,
        rest: Batch | None,
        *,
        unsaved: bool,
        amends: bool,
    ) -> None:
        run = self._broken(key) if amends else self._owned(key, owner)
        before = run.size
        run.owner, run.batches = owner, [] if amends else run.batches
        if rest is not None and rest.last > run.last:
            run.batches.append(rest)
        run.given = run.given if about is None else run.given._replace(about=about)
        run.base, run.last, run.status = base, base.last, status
        thread = self._threads[key.thread_id]
        self._grow(thread, run.size - before)
        run.updated, run.ended = now(), monotonic()
        run.unsaved, run.expires = unsaved, monotonic() + self.settings.lease
        if run.batches:
            thread.in_grace.append(run.number)
        self._prune(thread)
        self._shrink(key.thread_id)

    @override
    async def _note_saved(self, key: RunKey) -> None:
        run = self._find(key)
        if run is not None:
            run.unsaved = False

    @override
    async def _renew(self, keys: Sequence[RunKey], owner: str) -> dict[RunKey, bool]:
        found = {key: self._find(key) for key in keys}
        held = {key: run for key, run in found.items() if run and run.owner == owner and run.has_owner}
        for run in held.values():
            run.expires = monotonic() + self.settings.lease
        return {key: run.stop for key, run in held.items()}

    @override
    async def _request_stop(self, key: RunKey) -> bool:
        run = self._find(key)
        if run is None or run.status != "running":
            return False
        run.stop = True
        return True

    @override
    async def _abandoned(self, limit: int) -> list[RunRecord]:
        runs = (run for thread in self._threads.values() for run in thread.runs.values())
        left = [run.record() for run in runs if run.has_owner and run.expires < monotonic()]
        return left[:limit]

    @override
    async def _claim(self, key: RunKey, owner: str) -> bool:
        run = self._find(key)
        if run is None or not run.has_owner or run.expires >= monotonic():
            return False
        run.owner, run.expires, run.takeovers = owner, monotonic() + self.settings.lease, run.takeovers + 1
        return True

    @override
    async def _take(self, key: RunKey, owner: str, held_by: str) -> RunRecord | None:
        run = self._find(key)
        if run is None or run.status != "running" or run.owner != held_by:
            return None
        run.owner, run.expires = owner, monotonic() + self.settings.lease
        return run.record()

    @override
    async def _release(self, key: RunKey, owner: str) -> bool:
        run = self._find(key)
        if run is None or run.owner != owner or not run.has_owner:
            return False
        run.expires, run.takeovers = 0.0, run.takeovers - 1
        return True

    @override
    async def _runs(self, thread_id: str, limit: int) -> list[RunRecord]:
        thread = self._threads.get(thread_id)
        return [] if thread is None else [run.record() for run in list(thread.runs.values())[-limit:]]

    @override
    async def _peek(self, keys: Sequence[RunKey]) -> dict[RunKey, Progress]:
        found = {key: self._find(key) for key in keys}
        return {key: run.progress for key, run in found.items() if run is not None}

    @override
    async def _read_group(self, wanted: Sequence[Wanted]) -> list[RunBatches | None]:
        return [self._batches(*each, batches_each(wanted)) for each in wanted]

    def _batches(self, key: RunKey, after: int, limit: int) -> RunBatches | None:
        run = self._find(key)
        if run is None:
            return None
        batches = [batch for batch in run.batches if batch.last > after]
        return run.progress, batches[:limit]

    @override
    async def _base(self, key: RunKey) -> Base:
        return self._known(key).base

    def _find(self, key: RunKey) -> _Run | None:
        thread = self._threads.get(key.thread_id)
        return None if thread is None else thread.runs.get(key.number)

    def _known(self, key: RunKey) -> _Run:
        run = self._find(key)
        if run is None:
            raise RunLostError
        return run

    def _owned(self, key: RunKey, owner: str) -> _Run:
        run = self._known(key)
        if run.owner != owner or run.status != "running":
            raise RunLostError
        return run

    def _broken(self, key: RunKey) -> _Run:
        run = self._known(key)
        if run.status != "broken":
            raise RunLostError
        return run

    def _grow(self, thread: _Thread, size: int) -> None:
        thread.size += size
        self._bytes += size

    def _prune(self, thread: _Thread) -> None:
        self._end_grace(thread)
        if not self._is_full(thread):
            return
        for number, run in list(thread.runs.items())[:-1]:
            if not run.has_owner:
                self._grow(thread, -thread.runs.pop(number).size)
                if not self._is_full(thread):
                    return

    def _end_grace(self, thread: _Thread) -> None:
        settled, oldest = thread.last - RUNS_IN_GRACE, monotonic() - GRACE_SECONDS
        for number in list(thread.in_grace):
            run = thread.runs.get(number)
            if run is None or run.ended < oldest or number <= settled:
                thread.in_grace.remove(number)
                if run is not None:
                    self._grow(thread, -sum(len(batch.payload) for batch in run.batches))
                    run.batches = []

    def _is_full(self, thread: _Thread) -> bool:
        return len(thread.runs) > self.settings.max_runs or thread.size > self.settings.max_run_bytes

    def _forget_old(self) -> None:
        """Let go of runs that were last written too long ago: those of the threads that were are the first."""
        age = self.settings.run_age
        oldest = -inf if age is None else monotonic() - age  # which no jump of the wall clock changes
        while self._threads:
            thread_id, thread = next(iter(self._threads.items()))
            for number in [number for number, run in thread.runs.items() if run.ended and run.ended < oldest]:
                self._grow(thread, -thread.runs.pop(number).size)
            if thread.runs:
                return
            del self._threads[thread_id]

    def _shrink(self, written: str) -> None:
        self._threads.move_to_end(written)
        while len(self._threads) > 1 and (
            len(self._threads) > self.settings.max_threads or self._bytes > self.settings.max_total_bytes
        ):
            _, thread = self._threads.popitem(last=False)
            self._bytes -= thread.size
