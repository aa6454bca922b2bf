"""The runs of one process, gone when it ends."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
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

    @property
    def size(self) -> int:
        return len(self.given.about) + len(self.base.payload) + sum(len(batch.payload) for batch in self.batches)

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
        )


class MemoryRuns(RunLogStore):
    """Keeps runs in this process, and lets go of the threads written least recently when there are too many.

    Args:
        settings: ``max_runs`` and ``max_run_bytes`` bound a thread, ``max_threads`` and ``max_total_bytes`` all.
    """

    shared = False

    def __init__(self, settings: StoreSettings | None = None) -> None:
        super().__init__(settings or StoreSettings())
        self._threads: OrderedDict[str, dict[int, _Run]] = OrderedDict()
        self._bytes = 0

    @override
    async def delete(self, thread_id: str) -> bool:
        runs = self._threads.pop(thread_id, {})
        self._bytes -= sum(run.size for run in runs.values())
        return bool(runs)

    @override
    async def _open(self, run: NewRun, owner: str) -> RunRecord:
        self._forget_old()
        thread = self._threads.setdefault(run.thread_id, {})
        number = max(thread, default=0) + 1
        lease = self.settings.lease if run.lease is None else run.lease
        opened = _Run(run, number, owner, monotonic() + lease, now(), now())
        thread[number] = opened
        self._bytes += opened.size
        self._shrink(run.thread_id)
        return opened.record()

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
            self._bytes += len(batch.payload)
        run.updated, run.expires = now(), monotonic() + self.settings.lease
        self._shrink(key.thread_id)
        return run.stop

    @override
    async def _compact(self, key: RunKey, owner: str, base: Base) -> None:
        run = self._owned(key, owner)
        before = run.size
        run.base, run.last = base, max(run.last, base.last)
        run.batches = [batch for batch in run.batches if batch.last > base.last]
        self._bytes += run.size - before

    @override
    async def _close(self, key: RunKey, owner: str, status: RunOutcome, base: Base, about: bytes | None) -> None:
        run = self._owned(key, owner)
        before = run.size
        run.given = run.given if about is None else run.given._replace(about=about)
        run.base, run.last, run.status = base, base.last, status
        self._bytes += run.size - before
        run.updated, run.ended = now(), monotonic()
        self._prune(key.thread_id)
        self._shrink(key.thread_id)

    @override
    async def _renew(self, keys: Sequence[RunKey], owner: str) -> dict[RunKey, bool]:
        found = {key: self._find(key) for key in keys}
        held = {key: run for key, run in found.items() if run and run.owner == owner and run.status == "running"}
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
        runs = (run for thread in self._threads.values() for run in thread.values())
        left = [run.record() for run in runs if run.status == "running" and run.expires < monotonic()]
        return left[:limit]

    @override
    async def _claim(self, key: RunKey, owner: str) -> bool:
        run = self._find(key)
        if run is None or run.status != "running" or run.expires >= monotonic():
            return False
        run.owner, run.expires, run.takeovers = owner, monotonic() + self.settings.lease, run.takeovers + 1
        return True

    @override
    async def _take(self, key: RunKey, owner: str, held_by: str) -> bool:
        run = self._find(key)
        if run is None or run.status != "running" or run.owner != held_by:
            return False
        run.owner, run.expires = owner, monotonic() + self.settings.lease
        return True

    @override
    async def _release(self, key: RunKey, owner: str) -> bool:
        run = self._find(key)
        if run is None or run.owner != owner or run.status != "running":
            return False
        run.expires, run.takeovers = 0.0, run.takeovers - 1
        return True

    @override
    async def _runs(self, thread_id: str, limit: int) -> list[RunRecord]:
        return [run.record() for _, run in sorted(self._threads.get(thread_id, {}).items())][-limit:]

    @override
    async def _peek(self, keys: Sequence[RunKey]) -> dict[RunKey, Progress]:
        found = {key: self._find(key) for key in keys}
        return {key: Progress(run.last, run.status) for key, run in found.items() if run is not None}

    @override
    async def _read_group(self, wanted: Sequence[Wanted]) -> list[RunBatches | None]:
        return [self._batches(*each, batches_each(wanted)) for each in wanted]

    def _batches(self, key: RunKey, after: int, limit: int) -> RunBatches | None:
        run = self._find(key)
        if run is None:
            return None
        batches = [batch for batch in run.batches if batch.last > after]
        return Progress(run.last, run.status), batches[:limit]

    @override
    async def _base(self, key: RunKey) -> Base:
        return self._known(key).base

    def _find(self, key: RunKey) -> _Run | None:
        return self._threads.get(key.thread_id, {}).get(key.number)

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

    def _prune(self, thread_id: str) -> None:
        thread = self._threads[thread_id]
        settled = max(thread, default=0) - RUNS_IN_GRACE
        for number, run in thread.items():
            if run.ended and (run.ended < monotonic() - GRACE_SECONDS or number <= settled):
                self._bytes -= sum(len(batch.payload) for batch in run.batches)
                run.batches = []
        size = sum(run.size for run in thread.values())
        for number in sorted(thread)[:-1]:
            if len(thread) <= self.settings.max_runs and size <= self.settings.max_run_bytes:
                return
            if thread[number].status != "running":
                run = thread.pop(number)
                size -= run.size
                self._bytes -= run.size

    def _forget_old(self) -> None:
        """Let go of runs that were last written too long ago: those of the threads that were are the first."""
        age = self.settings.run_age
        oldest = 0 if age is None else now() - int(age * 1_000_000)
        while self._threads:
            thread_id, thread = next(iter(self._threads.items()))
            old = [number for number, run in thread.items() if run.ended and run.updated < oldest]
            self._bytes -= sum(thread.pop(number).size for number in old)
            if thread:
                return
            del self._threads[thread_id]

    def _shrink(self, written: str) -> None:
        self._threads.move_to_end(written)
        while len(self._threads) > 1 and (
            len(self._threads) > self.settings.max_threads or self._bytes > self.settings.max_total_bytes
        ):
            _, thread = self._threads.popitem(last=False)
            self._bytes -= sum(run.size for run in thread.values())
