"""Logs are written beside their runs: all of them in one operation, silent ones renewed in another, none per token."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from structlog.testing import capture_logs
from typing_extensions import override

from copilotkit_runtime import events
from copilotkit_runtime.runtime.errors import StoreError
from copilotkit_runtime.runtime.runs import backlog, late_ends
from copilotkit_runtime.runtime.runs import recorder as recorder_module
from copilotkit_runtime.runtime.runs import recording as recording_module
from copilotkit_runtime.runtime.runs.closing import close_record
from copilotkit_runtime.runtime.runs.compaction import compact
from copilotkit_runtime.runtime.runs.log import TAIL_EVENTS, RunLog
from copilotkit_runtime.runtime.runs.recorder import Recorder
from copilotkit_runtime.runtime.runs.recording import Recording
from copilotkit_runtime.runtime.runs.turn import Turn
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.group_writer import RunBatch
from copilotkit_runtime.runtime.stores.memory_runs import MemoryRuns
from copilotkit_runtime.runtime.stores.run_records import RunElsewhereError, RunKey, RunRecord
from tests.support.polling import until

OWNER = "process-1"
STARTED = events.RunStarted(thread_id="t", run_id="r")
FINISHED = events.RunFinished(thread_id="t", run_id="r")
START = events.TextMessageStart(message_id="m")
TOKEN = events.TextMessageContent(message_id="m", delta="word ")
END = events.TextMessageEnd(message_id="m")
BROKEN = events.RunError(message="broken off")


class Store(MemoryRuns):
    """Runs in memory that others could follow: counts operations, and may be away or refuse a run."""

    shared = True

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()
        self.away = False
        self.refused: RunKey | None = None
        self.compacts = asyncio.Event()
        self.compacts.set()
        self.compacting = self.most_compacting = 0
        self.renewed = 0
        """How many runs were renewed by the last operation."""
        self.odd: list[Exception] = []
        """What the next signs of life fail with."""

    @override
    async def _append_all(self, owner: str, batches: Sequence[RunBatch]) -> dict[RunKey, bool]:
        self.operations["append"] += 1
        if self.away:
            raise StoreUnavailableError
        if any(each.key == self.refused for each in batches):
            raise StoreError("refused")
        return await super()._append_all(owner, batches)

    @override
    async def _renew(self, keys: Sequence[RunKey], owner: str) -> dict[RunKey, bool]:
        self.operations["renew"] += 1
        if self.odd:
            raise self.odd.pop()
        self.renewed = len(keys)
        return await super()._renew(keys, owner)

    @override
    async def compact(self, key: RunKey, owner: str, last: int, compacted: Sequence[events.Event]) -> None:
        self.compacting += 1
        self.most_compacting = max(self.most_compacting, self.compacting)
        async with asyncio.timeout(60):
            await self.compacts.wait()
        self.compacting -= 1
        await super().compact(key, owner, last, compacted)

    @override
    async def _compact(self, key: RunKey, owner: str, base: object) -> None:
        self.operations["compact"] += 1
        await super()._compact(key, owner, base)  # type: ignore[arg-type]


class Recorded:
    """A run's log and its recording."""

    def __init__(self, store: Store, thread_id: str, taken_over: tuple[RunRecord, int] | None = None) -> None:
        self.log = RunLog(8192)
        self.stops = 0
        self.lost = False
        self._store = store
        self._thread_id = thread_id
        self.recording = Recording(store, self, OWNER, taken_over=taken_over)

    async def open(self) -> RunRecord:
        return await self._store.open(self._thread_id, run_id="r", agent_name="a", owner=OWNER)

    def stop(self) -> None:
        self.stops += 1

    def lose(self) -> None:
        self.lost = True

    def about_ended(self) -> dict[str, Any] | None:
        return None

    @property
    def key(self) -> RunKey:
        assert self.recording.key is not None
        return self.recording.key


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def recorder(store: Store) -> AsyncIterator[Recorder]:
    recorder = Recorder(store, OWNER)
    yield recorder
    await recorder.stop()
    await store.stop()


def recorded(store: Store, recorder: Recorder, number: int) -> list[Recorded]:
    runs = [Recorded(store, f"thread-{each}") for each in range(number)]
    for run in runs:
        recorder.add(run.recording)
    return runs


async def are(condition: Callable[[], bool]) -> None:
    async def holds() -> bool:
        return condition()

    await until(holds)


async def reach(store: Store, lasts: Mapping[str, int]) -> None:
    """Wait until the last event that is stored of each thread's run has the number that ``lasts`` has for it."""

    async def holds() -> bool:
        return all([(await record(store, thread)).last == last for thread, last in lasts.items()])

    await until(holds)


async def record(store: Store, thread_id: str) -> RunRecord:
    (found,) = await store.runs(thread_id)
    return found


async def history(store: Store, key: RunKey) -> list[events.Event]:
    """Return what is stored of the run that has that place."""
    return await store.history(await record(store, key.thread_id))


async def stored(store: Store, run: Recorded) -> list[events.Event]:
    return (await store.read(run.key)).events if run.recording.key else []


async def test_the_batches_of_all_runs_are_one_operation(store: Store, recorder: Recorder) -> None:
    runs = recorded(store, recorder, 100)
    await are(lambda: all(run.recording.key for run in runs))
    store.operations.clear()
    for _ in range(50):
        for run in runs:
            run.log.append_nowait(TOKEN)
    await reach(store, {"thread-99": 50})
    assert [len(await stored(store, run)) for run in runs] == [50] * 100
    assert store.operations["append"] <= 3, "5,000 tokens of 100 runs"


async def test_silent_runs_are_renewed_together(store: Store, recorder: Recorder) -> None:
    runs = recorded(store, recorder, 50)
    await are(lambda: all(run.recording.key for run in runs))
    store.operations.clear()
    await are(lambda: store.operations["renew"] >= 2)
    assert store.operations["renew"] <= 3
    assert store.operations["append"] == 0
    await store.request_stop(runs[7].key)
    await are(lambda: runs[7].stops > 0)
    assert [run.stops for run in runs if run is not runs[7]] == [0] * 49


async def test_what_came_while_the_store_was_away_is_written_when_it_is_back(store: Store, recorder: Recorder) -> None:
    run, other = recorded(store, recorder, 2)
    await are(lambda: run.recording.key is not None and other.recording.key is not None)
    store.away = True
    for each in (STARTED, START, TOKEN):
        run.log.append_nowait(each)
    await are(lambda: store.operations["append"] > 1)
    run.log.append_nowait(TOKEN)
    other.log.append_nowait(STARTED)
    store.away = False
    await reach(store, {"thread-0": 4, "thread-1": 1})
    assert await stored(store, run) == [STARTED, START, TOKEN, TOKEN]


async def test_what_waited_for_too_long_is_written_compacted(store: Store, recorder: Recorder) -> None:
    (run,) = recorded(store, recorder, 1)
    await are(lambda: run.recording.key is not None)
    whole: list[events.Event] = [STARTED, START, *([TOKEN] * 3 * TAIL_EVENTS), END]
    for each in whole:
        run.log.append_nowait(each)
    await reach(store, {"thread-0": len(whole)})
    assert store.operations["compact"] == 1
    assert compact(await stored(store, run)) == compact(whole)
    recorder.remove(run.recording)
    await run.recording.finish("finished", FINISHED)
    assert await history(store, run.key) == compact([*whole, FINISHED])


async def test_a_slow_run_is_compacted_before_it_has_more_batches_than_stores_keep(
    store: Store, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_module, "COMPACT_BATCHES", 5)
    (run,) = recorded(store, recorder, 1)
    await are(lambda: run.recording.key is not None)
    whole: list[events.Event] = [STARTED, START, *([TOKEN] * 10)]
    for number, each in enumerate(whole, 1):
        run.log.append_nowait(each)
        await reach(store, {"thread-0": number})
    assert store.operations["compact"] == 2
    assert compact(await stored(store, run)) == compact(whole)


async def test_of_many_runs_that_are_to_be_compacted_a_few_are_at_once_and_the_others_keep_their_leases(
    store: Store, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "BEAT_SECONDS", 0.05)
    runs = recorded(store, recorder, 3 * recorder_module.REWRITES_AT_ONCE)
    await are(lambda: all(run.recording.key for run in runs))
    store.compacts.clear()
    whole = [STARTED, START, *([TOKEN] * 9000)]
    for run in runs:
        for event in whole:
            run.log.append_nowait(event)
    await are(lambda: store.compacting == recorder_module.REWRITES_AT_ONCE)
    store.operations.clear()
    await are(lambda: store.operations["renew"] >= 3)
    assert store.compacting == store.most_compacting == recorder_module.REWRITES_AT_ONCE
    assert store.renewed == len(runs) - recorder_module.REWRITES_AT_ONCE
    store.compacts.set()
    await reach(store, {f"thread-{number}": len(whole) for number in range(len(runs))})
    assert store.most_compacting == recorder_module.REWRITES_AT_ONCE


async def test_a_run_of_another_process_is_compacted_if_it_may_have_many_batches(
    store: Store, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_module, "COMPACT_BATCHES", 5)
    begun = Recorded(store, "thread-0")
    key = await begun.recording.open()
    whole: list[events.Event] = [STARTED, START, TOKEN, TOKEN, TOKEN]
    for number, each in enumerate(whole, 1):
        await store.append(key, OWNER, number, [each])
    run = Recorded(store, "thread-0", (await record(store, "thread-0"), len(whole)))
    run.log.restore(whole, len(whole))
    run.log.append_nowait(TOKEN)
    recorder.add(run.recording)
    await reach(store, {"thread-0": 6})
    assert store.operations["compact"] == 1


async def test_a_run_that_is_refused_does_not_keep_the_others_from_being_written(
    store: Store, recorder: Recorder
) -> None:
    runs = recorded(store, recorder, 5)
    await are(lambda: all(run.recording.key for run in runs))
    store.refused = runs[2].key
    for run in runs:
        run.log.append_nowait(STARTED)
    others = [run for run in runs if run is not runs[2]]
    await reach(store, {run.key.thread_id: 1 for run in others})
    assert await stored(store, runs[2]) == []


async def test_a_run_that_another_process_has_is_lost_and_left(store: Store, recorder: Recorder) -> None:
    run, other = recorded(store, recorder, 2)
    await are(lambda: run.recording.key is not None and other.recording.key is not None)
    assert await store.take(run.key, "process-2", held_by=OWNER)
    run.log.append_nowait(STARTED)
    await are(lambda: run.lost)
    assert not other.lost
    await run.recording.finish("failed", FINISHED)
    assert (await record(store, "thread-0")).status == "running"


async def test_a_run_that_ends_before_it_was_opened_is_stored_once(store: Store, recorder: Recorder) -> None:
    (run,) = recorded(store, recorder, 1)
    run.log.append_nowait(STARTED)
    recorder.remove(run.recording)
    await run.recording.finish("finished", FINISHED)
    (record,) = await store.runs("thread-0")
    assert (record.status, record.last) == ("finished", 2)
    assert await history(store, record.key) == [STARTED, FINISHED]


async def test_runs_that_end_while_they_are_written_lose_nothing(store: Store, recorder: Recorder) -> None:
    runs = recorded(store, recorder, 30)
    whole: list[events.Event] = [STARTED, START, *([TOKEN] * 40), END]

    async def live(run: Recorded, pause: float) -> None:
        for each in whole:
            run.log.append_nowait(each)
            await asyncio.sleep(pause)
        recorder.remove(run.recording)
        await run.recording.finish("finished", FINISHED)

    await asyncio.gather(*(live(run, number * 0.0002) for number, run in enumerate(runs)))
    for run in runs:
        assert (await store.read(run.key)).events == [*whole, FINISHED]
        assert await history(store, run.key) == compact([*whole, FINISHED])


async def _lost(store: Store, recorder: Recorder) -> Recorded:
    """A run that another process has, of which two events were stored; a third came later."""
    (run,) = recorded(store, recorder, 1)
    await are(lambda: run.recording.key is not None)
    run.log.append_nowait(STARTED)
    run.log.append_nowait(START)
    await reach(store, {"thread-0": 2})
    assert await store.take(run.key, "process-2", held_by=OWNER)
    recorder.remove(run.recording)
    run.log.append_nowait(TOKEN)
    return run


async def _finish(run: Recorded) -> RunKey | None:
    return await run.recording.finish("failed", FINISHED, unsaved=True, insists=True)


async def test_a_run_that_another_process_closed_is_closed_anew_behind_it(store: Store, recorder: Recorder) -> None:
    run = await _lost(store, recorder)
    with pytest.raises(RunElsewhereError):
        await _finish(run)
    await close_record(store, "process-2", await record(store, "thread-0"), "broken", BROKEN, [STARTED, START], 2)
    assert await _finish(run) == run.key
    assert await history(store, run.key) == compact([STARTED, START, TOKEN, FINISHED])


async def test_a_run_whose_new_process_died_too_is_closed_by_its_old_one(store: Store, recorder: Recorder) -> None:
    run = await _lost(store, recorder)
    await store.release(run.key, "process-2")
    assert await _finish(run) == run.key
    assert await history(store, run.key) == compact([STARTED, START, TOKEN, FINISHED])


async def test_what_another_process_added_to_a_run_is_not_taken_back(store: Store, recorder: Recorder) -> None:
    run = await _lost(store, recorder)
    await store.append(run.key, "process-2", 3, [TOKEN, TOKEN])
    assert await _finish(run) is None
    went_on = [STARTED, START, TOKEN, TOKEN]
    await close_record(store, "process-2", await record(store, "thread-0"), "broken", BROKEN, went_on, 4)
    assert await _finish(run) is None
    assert BROKEN in await history(store, run.key)


async def test_a_run_in_a_thread_that_was_made_again_is_not_closed_by_a_deleted_one(
    store: Store, recorder: Recorder
) -> None:
    run = await _lost(store, recorder)
    await store.delete("thread-0")
    others = await store.open("thread-0", run_id="r", agent_name="a", owner="process-2")
    assert others.key == run.key
    await close_record(store, "process-2", others, "broken", BROKEN, [STARTED], 1)
    assert await _finish(run) is None
    assert await history(store, others.key) == compact([STARTED, BROKEN])


class _Unsaved:
    """No turn waits."""

    def waits(self, run: Turn) -> bool:
        return False

    def share(self, run: Turn, key: RunKey) -> bool:
        return False


async def test_ends_that_the_store_cannot_take_are_bounded_by_their_size(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MOST_BYTES", 3_000)
    waiting = late_ends.LateEnds()
    runs = [Recorded(store, f"thread-{number}") for number in range(4)]
    with capture_logs() as logs:
        for run in runs:
            await run.recording.open()
            run.log.append_nowait(events.TextMessageContent(message_id="m", delta="x" * 1_000))
            waiting.put_off(late_ends.RunEnd(run.recording, Mock(), "finished", FINISHED, _Unsaved()))
        assert [waiting.has(run.key) for run in runs] == [False, False, True, True]
    assert [line["event"] for line in logs] == ["run_not_stored", "run_not_stored"]
    await waiting.stop()
    assert [(await record(store, run.key.thread_id)).status for run in runs] == [*["running"] * 2, *["finished"] * 2]


async def test_no_error_of_the_store_ends_the_one_task_that_writes_for_all_runs(
    store: Store, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "BEAT_SECONDS", 0.05)
    runs = recorded(store, recorder, 2)
    store.odd = [StoreError("refused"), KeyError("a field that something else wrote")]
    await are(lambda: not store.odd)
    for run in runs:
        run.log.append_nowait(STARTED)
    await reach(store, {"thread-0": 1, "thread-1": 1})


async def test_a_run_that_cannot_be_opened_for_an_odd_reason_is_reported(store: Store, recorder: Recorder) -> None:
    odd = Recorded(store, "odd")
    odd.open = AsyncMock(side_effect=KeyError("a field"))  # type: ignore[method-assign]
    with capture_logs() as logs:
        recorder.add(odd.recording)
        await are(lambda: any(line["event"] == "run_not_recorded" for line in logs))
    (run,) = recorded(store, recorder, 1)
    await are(lambda: run.recording.key is not None)
    run.log.append_nowait(STARTED)
    await reach(store, {"thread-0": 1})
