"""What every store promises about the events of runs, whatever it keeps them in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import msgspec
import pytest

from copilotkit_runtime import events
from copilotkit_runtime.runtime.runs.compaction import compact
from copilotkit_runtime.runtime.runs.log import Lagged
from copilotkit_runtime.runtime.runs.remote import RemoteRun, RemoteSubscription
from copilotkit_runtime.runtime.runs.run import RunStatus
from copilotkit_runtime.runtime.stores.errors import StoreKeyError
from copilotkit_runtime.runtime.stores.group_writer import RunBatch
from copilotkit_runtime.runtime.stores.interface import StateStore
from copilotkit_runtime.runtime.stores.run_log import READ_BATCHES, RunLogStore
from copilotkit_runtime.runtime.stores.run_records import Batch, RunCompactedError, RunKey, RunLostError, encode_json
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_run_log, open_store
from tests.integration.stores.conftest import CLUSTER, KINDS, SHARED, opened_runs, runs_beside
from tests.support.polling import until

pytestmark = pytest.mark.parametrize("url", [*KINDS, CLUSTER], indirect=True)

OWNER = "process-1"
PATIENCE = 60.0
STARTED = events.RunStarted(thread_id="t", run_id="r")
FINISHED = events.RunFinished(thread_id="t", run_id="r")
TOKENS: list[events.Event] = [events.TextMessageContent(message_id="m", delta=f"{number} ") for number in range(200)]
RUN: list[events.Event] = [
    STARTED,
    events.TextMessageStart(message_id="m"),
    *TOKENS,
    events.TextMessageEnd(message_id="m"),
    events.Custom(name="on_interrupt", value={"question": "\u00e9\0?"}),
    FINISHED,
]


@pytest.fixture
async def runs(store: StateStore, settings: StoreSettings) -> AsyncIterator[RunLogStore]:
    async with runs_beside(store, settings) as runs:
        yield runs


async def begun(runs: RunLogStore, thread_id: str = "thread", **about: Any) -> RunKey:
    record = await runs.open(thread_id, run_id="r", agent_name="agent", owner=OWNER, about=about)
    return record.key


async def recorded(runs: RunLogStore, thread_id: str = "thread", size: int = 7) -> RunKey:
    key = await begun(runs, thread_id)
    for first in range(1, len(RUN) + 1, size):
        await runs.append(key, OWNER, first, RUN[first - 1 : first - 1 + size])
    return key


async def ended(runs: RunLogStore, thread_id: str = "thread", padding: str = "") -> RunKey:
    key = await begun(runs, thread_id)
    run = [STARTED, events.Custom(name="padding", value=padding), FINISHED]
    await runs.close(key, OWNER, "finished", 3, run)
    return key


async def everything(runs: RunLogStore, key: RunKey, after: int = 0) -> list[events.Event]:
    found: list[events.Event] = []
    while True:
        part = await runs.read(key, after)
        found += part.events
        if part.ended or part.last == after:
            return found
        after = part.last


async def history(runs: RunLogStore, key: RunKey) -> list[events.Event]:
    return await runs.history(next(record for record in await runs.runs(key.thread_id) if record.key == key))


async def test_runs_of_one_client_id_are_distinguished_by_their_number(runs: RunLogStore) -> None:
    assert await runs.latest("thread") is None
    first = await runs.open("thread", run_id="same", agent_name="agent", owner=OWNER, about={"messages": [1]})
    second = await runs.open("thread", run_id="same", agent_name="", owner=OWNER)

    listed = await runs.runs("thread")
    assert [(run.number, run.run_id, run.agent_name, run.about) for run in listed] == [
        (1, "same", "agent", {"messages": [1]}),
        (2, "same", "", {}),
    ]
    assert (first.status, first.last, first.key) == ("running", 0, RunKey("thread", 1))
    assert listed[0].started_at == first.started_at
    assert await runs.latest("thread") == listed[1]
    assert second.number == 2


async def test_runs_that_begin_at_once_all_have_their_own_number(runs: RunLogStore) -> None:
    opened = await asyncio.gather(*(runs.open("thread", run_id="r", agent_name="agent", owner=OWNER) for _ in range(8)))
    assert sorted(run.number for run in opened) == list(range(1, 9))


async def test_every_offset_of_a_run_is_followed_by_its_rest(runs: RunLogStore) -> None:
    key = await recorded(runs)
    for after in range(0, len(RUN) + 1, 3):
        assert await everything(runs, key, after) == RUN[after:]
    await runs.close(key, OWNER, "finished", len(RUN), compact(RUN))
    for after in range(0, len(RUN) + 1, 50):
        assert await everything(runs, key, after) == RUN[after:], "those who follow the end are not cut off"
    assert await history(runs, key) == compact(RUN)


async def test_the_last_events_are_stored_with_the_end_for_those_who_follow(runs: RunLogStore) -> None:
    key = await begun(runs)
    await runs.append(key, OWNER, 1, RUN[:10])
    await runs.close(key, OWNER, "finished", len(RUN), compact(RUN), rest=RUN[10:])
    for after in (0, 10, 11, len(RUN) - 1, len(RUN)):
        assert await everything(runs, key, after) == RUN[after:]
    assert await history(runs, key) == compact(RUN)


async def test_one_write_for_many_runs_reports_those_that_are_lost_and_those_that_are_to_stop(
    runs: RunLogStore,
) -> None:
    keys = [await begun(runs, f"thread {number} \u00e9'\"") for number in range(5)]
    other = await runs.open("thread", run_id="r", agent_name="agent", owner="process-2")
    await runs.request_stop(keys[1])
    await runs.request_stop(keys[3])
    said = [events.TextMessageContent(message_id="m", delta=f"\u00e9{number}" * number) for number in range(6)]
    batches = [
        RunBatch(key, Batch(1, 1, encode_json([event])))
        for key, event in zip([*keys[:2], other.key, *keys[2:]], said, strict=True)
    ]
    await runs.close(keys[4], OWNER, "finished", 1, [FINISHED])
    stops = {keys[0]: False, keys[1]: True, keys[2]: False, keys[3]: True}
    assert await runs.append_group(OWNER, batches) == stops
    assert [(await runs.read(key)).events for key in keys[:4]] == [[said[place]] for place in (0, 1, 3, 4)]
    assert (await runs.read(other.key)).events == []
    assert await runs.renew([*keys[:2], other.key, *keys[2:]], OWNER) == stops


async def test_a_run_of_many_batches_is_read_in_parts(runs: RunLogStore) -> None:
    key = await begun(runs)
    number = READ_BATCHES + 10
    for first in range(1, number + 1):
        await runs.append(key, OWNER, first, [TOKENS[first % 200]])
    part = await runs.read(key)
    assert (part.last, part.ended) == (READ_BATCHES, False)
    assert len(await everything(runs, key)) == number


async def test_a_batch_that_is_written_again_is_stored_once(runs: RunLogStore) -> None:
    key = await begun(runs)
    for _ in range(3):
        await runs.append(key, OWNER, 1, RUN[:5])
    await runs.append(key, OWNER, 6, RUN[5:8])
    assert await everything(runs, key) == RUN[:8]
    latest = await runs.latest("thread")
    assert latest is not None
    assert latest.last == 8


async def test_a_reader_elsewhere_that_falls_behind_a_compaction_takes_the_history_and_goes_on(
    runs: RunLogStore,
) -> None:
    key = await begun(runs)
    await runs.append(key, OWNER, 1, RUN[:5])
    record = await runs.latest(key.thread_id)
    assert record is not None
    reader = RemoteSubscription(runs, record, 0)
    try:
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == RUN[:5]
            # It fetches ahead: it is behind once a part that it has not fetched is gone.
            await runs.append(key, OWNER, 6, RUN[5:100])
            await runs.compact(key, OWNER, 100, compact(RUN[:100]))
            seen: list[events.Event] = RUN[:5]
            while True:
                await reader.arrival()
                try:
                    part = reader.take()
                except Lagged:
                    seen = list(reader.take_history())
                else:
                    seen += part
                if reader.offset == 100:
                    break
            await runs.append(key, OWNER, 101, RUN[100:])
            await runs.close(key, OWNER, "finished", len(RUN), compact(RUN))
            while reader.offset < len(RUN):
                await reader.arrival()
                try:
                    seen += reader.take()
                except Lagged:
                    seen = list(reader.take_history())
            assert compact(seen) == compact(RUN)
            assert await reader.read() == []
    finally:
        reader.close()


async def test_a_reader_whose_place_was_compacted_is_given_the_history_at_once(runs: RunLogStore) -> None:
    key = await begun(runs)
    await runs.append(key, OWNER, 1, RUN[:100])
    await runs.compact(key, OWNER, 100, compact(RUN[:100]))
    record = await runs.latest(key.thread_id)
    assert record is not None
    reader = RemoteSubscription(runs, record, 50)
    try:
        async with asyncio.timeout(PATIENCE):
            await reader.arrival()
            with pytest.raises(Lagged):
                reader.take()
            assert reader.take_history() == compact(RUN[:100])
            assert reader.offset == 100
            await runs.append(key, OWNER, 101, RUN[100:103])
            assert await reader.read() == RUN[100:103]
            assert reader.offset == 103
    finally:
        reader.close()


async def test_what_was_compacted_is_read_as_a_whole_or_not_at_all(runs: RunLogStore) -> None:
    key = await recorded(runs, size=10)
    await runs.compact(key, OWNER, 100, compact(RUN[:100]))

    assert await everything(runs, key) == [*compact(RUN[:100]), *RUN[100:]]
    assert await everything(runs, key, 150) == RUN[150:]
    with pytest.raises(RunCompactedError):
        await runs.read(key, 50)


async def test_a_run_belongs_to_its_owner(runs: RunLogStore) -> None:
    key = await begun(runs)
    with pytest.raises(RunLostError):
        await runs.append(key, "somebody", 1, [STARTED])
    with pytest.raises(RunLostError):
        await runs.compact(key, "somebody", 1, [STARTED])
    with pytest.raises(RunLostError):
        await runs.close(key, "somebody", "finished", 1, [STARTED])
    assert await runs.renew([key], "somebody") == {}
    assert not await runs.claim(key, "somebody"), "its lease has not run out"


async def test_a_run_that_is_discarded_by_its_owner_leaves_nothing_and_no_other_goes_with_it(runs: RunLogStore) -> None:
    kept, discarded = await recorded(runs), await recorded(runs)
    await runs.discard(kept, "somebody else")
    await runs.discard(discarded, OWNER)
    assert [record.key for record in await runs.runs("thread")] == [kept]
    assert list(await runs.peek([kept, discarded])) == [kept]
    assert await history(runs, kept) == RUN
    with pytest.raises(RunLostError):
        await runs.append(discarded, OWNER, 1, RUN)


async def test_what_is_read_of_a_run_that_has_ended_is_never_of_the_run_that_has_its_place_by_now(
    runs: RunLogStore,
) -> None:
    key = await recorded(runs)
    await runs.close(key, OWNER, "finished", len(RUN), compact(RUN))
    (record,) = await runs.runs("thread")
    assert await runs.history(record) == compact(RUN)
    await runs.delete("thread")
    again = await recorded(runs)
    await runs.close(again, OWNER, "finished", len(RUN), compact(RUN))
    assert again == key
    with pytest.raises(RunLostError):
        await runs.history(record)


async def test_a_run_that_has_ended_takes_no_more(runs: RunLogStore) -> None:
    key = await ended(runs)
    with pytest.raises(RunLostError):
        await runs.append(key, OWNER, 4, [STARTED])
    with pytest.raises(RunLostError):
        await runs.close(key, OWNER, "failed", 4, [STARTED])
    assert not await runs.request_stop(key)
    latest = await runs.latest("thread")
    assert latest is not None
    assert (latest.status, latest.last) == ("finished", 3)


async def test_a_stop_reaches_the_owner_with_its_next_sign_of_life(runs: RunLogStore) -> None:
    key, other = await begun(runs), await begun(runs)
    assert await runs.renew([key, other], OWNER) == {key: False, other: False}
    assert await runs.request_stop(key)
    assert await runs.renew([key, other], OWNER) == {key: True, other: False}
    assert await runs.append(key, OWNER, 1, [STARTED])
    assert not await runs.append(other, OWNER, 1, [STARTED])


@pytest.mark.parametrize("settings", [StoreSettings(lease=0.3, heartbeat=0.1, prefix="test-lease")])
async def test_a_run_without_a_sign_of_life_can_be_taken_over_once(runs: RunLogStore) -> None:
    thread = f"lease-{id(runs)}"
    key = await begun(runs, thread)
    await runs.append(key, OWNER, 1, [STARTED])

    async def is_abandoned() -> bool:
        return any(run.key == key for run in await runs.abandoned())

    await until(is_abandoned)
    claims = await asyncio.gather(*(runs.claim(key, f"process-{number}") for number in range(2, 6)))
    assert sorted(claims) == [False, False, False, True]
    with pytest.raises(RunLostError):
        await runs.append(key, OWNER, 2, [FINISHED])
    taker = f"process-{claims.index(True) + 2}"
    await runs.append(key, taker, 2, [FINISHED])
    await runs.close(key, taker, "broken", 2, [STARTED, FINISHED])
    assert not await is_abandoned()
    assert await everything(runs, key) == [STARTED, FINISHED]


async def test_a_run_that_is_given_away_can_be_claimed_at_once(runs: RunLogStore) -> None:
    key = await begun(runs, request="kept until the end", messages=[1])
    with pytest.raises(RunLostError):
        await runs.release(key, "somebody")
    await runs.release(key, OWNER)
    assert await runs.claim(key, "process-2")
    with pytest.raises(RunLostError):
        await runs.append(key, OWNER, 1, [STARTED])
    await runs.append(key, "process-2", 1, [STARTED])
    going_on = await runs.latest("thread")
    assert going_on is not None
    assert (going_on.status, going_on.about["request"]) == ("running", "kept until the end")

    await runs.close(key, "process-2", "finished", 2, [STARTED, FINISHED], {"messages": [1]})
    closed = await runs.latest("thread")
    assert closed is not None
    assert (closed.status, closed.about) == ("finished", {"messages": [1]})


@pytest.mark.parametrize("settings", [StoreSettings(lease=0.2, heartbeat=0.1, prefix="test-takeovers")])
async def test_the_processes_that_died_with_a_run_are_counted(runs: RunLogStore) -> None:
    thread = f"takeovers-{id(runs)}"
    key = await begun(runs, thread)
    counted: list[int] = []

    async def claim(owner: str) -> None:
        await until(lambda: runs.claim(key, owner))
        latest = await runs.latest(thread)
        assert latest is not None
        counted.append(latest.takeovers)

    await claim("process-2")
    await claim("process-3")
    await runs.release(key, "process-3")
    await claim("process-4")
    await claim("process-5")
    assert counted == [1, 2, 2, 3], "a hand-over is not a death"


@pytest.mark.parametrize("settings", [StoreSettings(run_ttl=1.0, prefix="test-age")])
async def test_runs_are_forgotten_by_their_age_and_those_that_go_on_are_not(runs: RunLogStore) -> None:
    old, going_on = f"old-{id(runs)}", f"going-on-{id(runs)}"
    await ended(runs, old)
    key = await begun(runs, going_on)

    async def is_forgotten() -> bool:
        await ended(runs, f"another-{id(runs)}")
        assert await runs.renew([key], OWNER) == {key: False}
        return await runs.latest(old) is None

    await until(is_forgotten)
    assert (await begun(runs, going_on)).number == 2
    await runs.append(key, OWNER, 1, [STARTED])
    assert await everything(runs, key) == [STARTED]


async def test_whoever_waits_is_woken_by_events_and_by_the_end(runs: RunLogStore) -> None:
    key = await begun(runs)
    waiting = asyncio.create_task(runs.wait(key, 0, 20))
    await asyncio.sleep(0)
    await runs.append(key, OWNER, 1, [STARTED])
    await waiting
    waiting = asyncio.create_task(runs.wait(key, 1, 20))
    await runs.close(key, OWNER, "finished", 1, [STARTED])
    started = monotonic()
    await waiting
    await runs.wait(RunKey("thread", 99), 0, 20)
    assert monotonic() - started < 20


async def test_a_wait_has_an_end(runs: RunLogStore) -> None:
    key = await begun(runs)
    await runs.wait(key, 0, 0.05)
    assert (await runs.read(key)).events == []


@pytest.mark.parametrize("settings", [StoreSettings(max_runs=3, prefix="test-runs")])
async def test_a_thread_keeps_its_last_runs(runs: RunLogStore) -> None:
    thread = f"runs-{id(runs)}"
    going_on = await begun(runs, thread)
    keys = [await ended(runs, thread) for _ in range(6)]
    kept = [run.key for run in await runs.runs(thread)]
    assert kept[-2:] == keys[-2:]
    peeked = await runs.peek([going_on, keys[0]])
    assert {key: progress[:2] for key, progress in peeked.items()} == {going_on: (0, "running")}
    assert (await runs.open(thread, run_id="r", agent_name="a", owner=OWNER)).number == 8


@pytest.mark.parametrize("settings", [StoreSettings(max_run_bytes=5000, prefix="test-bytes")])
async def test_a_thread_keeps_no_more_bytes_than_it_may_but_always_its_last_run(runs: RunLogStore) -> None:
    thread = f"bytes-{id(runs)}"
    keys = [await ended(runs, thread, "x" * 2000) for _ in range(5)]
    assert [run.key for run in await runs.runs(thread)] == keys[-2:]
    large = await ended(runs, thread, "x" * 9000)
    assert [run.key for run in await runs.runs(thread)] == [large]


async def test_a_deleted_thread_has_no_runs_and_other_threads_keep_theirs(runs: RunLogStore) -> None:
    key, other = await recorded(runs), await ended(runs, "other")
    (record,) = await runs.runs("thread")
    assert await runs.delete("thread")
    assert not await runs.delete("thread")
    assert await runs.runs("thread") == []
    for read in (runs.read(key), runs.history(record)):
        with pytest.raises(RunLostError):
            await read
    with pytest.raises(RunLostError):
        await runs.append(key, OWNER, 1, [STARTED])
    assert len(await history(runs, other)) == 3


@pytest.mark.parametrize("thread_id", ["a:b", "50%", "../x", "\u00e9\U0001f600", "t" * 1024])
async def test_thread_ids_may_be_any_text(runs: RunLogStore, thread_id: str) -> None:
    key = await ended(runs, thread_id)
    assert [run.thread_id for run in await runs.runs(thread_id)] == [thread_id]
    assert len(await history(runs, key)) == 3


@pytest.mark.parametrize("thread_id", ["", "a\0b", "t" * 1025, "\ud800"])
async def test_what_is_not_a_key_is_refused_by_all_alike(runs: RunLogStore, thread_id: str) -> None:
    with pytest.raises(StoreKeyError):
        await runs.open(thread_id, run_id="r", agent_name="a", owner=OWNER)


async def test_all_processes_see_a_run(runs: RunLogStore, url: str, settings: StoreSettings) -> None:
    if not runs.shared:
        assert url == "memory://"
        return
    key = await recorded(runs)
    async with opened_runs(url, settings) as second:
        assert await everything(second, key) == RUN
        assert [record.key for record in await second.runs("thread")] == [key]
        waiting = asyncio.create_task(second.wait(key, len(RUN), 20))
        await runs.close(key, OWNER, "finished", len(RUN), compact(RUN))
        await waiting
        assert await history(second, key) == compact(RUN)


def test_only_memory_is_not_shared(url: str, settings: StoreSettings) -> None:
    runs = open_run_log(open_store(url, settings), settings)
    assert runs.shared is (not url.startswith("memory"))
    assert len(SHARED) == 3


async def test_a_run_that_waits_for_a_worker_is_taken_once_whatever_its_lease(runs: RunLogStore) -> None:
    record = await runs.open("thread", run_id="run", agent_name="agent", owner="queue", lease=100)
    assert not await runs.claim(record.key, "one"), "its lease has not run out"
    takes = await asyncio.gather(*(runs.take(record.key, name, "queue") for name in ("one", "two", "three")))
    ((owner, taken),) = [each for each in zip(("one", "two", "three"), takes, strict=True) if each[1] is not None]
    assert taken is not None
    assert (taken.key, taken.run_id, taken.agent_name, taken.last) == (record.key, "run", "agent", 0)
    await runs.settle(record, owner)
    if runs.writes_ahead:
        with pytest.raises(RunLostError):
            await runs.settle(record, "another")
        with pytest.raises(RunLostError):
            await runs.settle(msgspec.structs.replace(record, number=record.number + 1))
    assert await runs.renew([record.key], owner) == {record.key: False}
    assert not await runs.take(record.key, "four", "queue")
    latest = await runs.latest("thread")
    assert latest is not None
    assert latest.takeovers == 0, "nobody died with it"


@pytest.mark.parametrize("settings", [StoreSettings(lease=1.0, prefix="test-unsaved")])
async def test_a_run_is_somebody_s_until_its_turn_is_saved(runs: RunLogStore) -> None:
    thread = f"unsaved-{id(runs)}"
    key = await begun(runs, thread)
    await runs.close(key, OWNER, "finished", 2, [STARTED, FINISHED], unsaved=True)
    latest = await runs.latest(thread)
    assert latest is not None
    assert (latest.status, latest.unsaved) == ("finished", True)
    assert await runs.renew([key], OWNER) == {key: False}
    assert not await runs.claim(key, "process-2"), "its lease has not run out"
    assert not await runs.request_stop(key)
    with pytest.raises(RunLostError):
        await runs.append(key, OWNER, 3, [STARTED])

    async def is_abandoned() -> bool:
        return any(run.key == key and run.unsaved for run in await runs.abandoned())

    await until(is_abandoned)
    claims = await asyncio.gather(*(runs.claim(key, f"process-{number}") for number in range(2, 6)))
    assert sorted(claims) == [False, False, False, True]
    taker = f"process-{claims.index(True) + 2}"
    assert await runs.renew([key], OWNER) == {}
    await runs.release(key, taker)
    assert await is_abandoned()
    assert await runs.claim(key, OWNER)
    await runs.note_saved(key)
    latest = await runs.latest(thread)
    assert latest is not None
    assert (latest.status, latest.unsaved) == ("finished", False)
    assert await runs.renew([key], OWNER) == {}
    assert not await runs.claim(key, "process-2")
    with pytest.raises(RunLostError):
        await runs.release(key, OWNER)
    assert not await is_abandoned()
    assert await everything(runs, key) == [STARTED, FINISHED]


async def test_nothing_is_noted_of_a_run_that_goes_on_or_is_gone(runs: RunLogStore) -> None:
    key = await begun(runs)
    await runs.note_saved(key)
    await runs.note_saved(RunKey("nowhere", 1))
    assert await runs.renew([key], OWNER) == {key: False}
    assert await runs.runs("nowhere") == []


@pytest.mark.parametrize("settings", [StoreSettings(max_runs=2, prefix="test-unsaved-kept")])
async def test_a_run_whose_turn_is_not_saved_is_kept_though_there_are_too_many(runs: RunLogStore) -> None:
    key = await begun(runs)
    await runs.close(key, OWNER, "finished", 2, [STARTED, FINISHED], unsaved=True)
    for _ in range(3):
        await ended(runs)
    assert key in [run.key for run in await runs.runs("thread", 10)]
    await runs.note_saved(key)
    await ended(runs)
    assert [run.number for run in await runs.runs("thread", 10)] == [4, 5]


async def test_a_run_that_was_closed_as_broken_is_closed_anew_by_the_process_that_had_it(runs: RunLogStore) -> None:
    key = await recorded(runs)
    broken = [*RUN[:3], events.RunError(message="broken off")]
    await runs.close(key, OWNER, "broken", len(RUN) + 1, broken, rest=[broken[-1]])
    await runs.close(key, "process-0", "failed", len(RUN) + 5, RUN, {"kept": 1}, unsaved=True, amends=True)
    (record,) = await runs.runs("thread")
    assert (record.status, record.last, record.about, record.unsaved) == ("failed", len(RUN) + 5, {"kept": 1}, True)
    assert await history(runs, key) == RUN
    assert await everything(runs, key) == RUN, "nobody is shown the beginning alone any more"
    with pytest.raises(RunCompactedError):
        await runs.read(key, 3)
    assert await runs.renew([key], "process-0") == {key: False}
    assert await runs.renew([key], OWNER) == {}
    await runs.note_saved(key)
    assert await runs.renew([key], "process-0") == {}


async def test_a_run_that_is_not_broken_is_not_closed_anew(runs: RunLogStore) -> None:
    going_on, finished = await recorded(runs), await ended(runs, "finished")
    for key in (going_on, finished, RunKey("unknown", 1)):
        with pytest.raises(RunLostError):
            await runs.close(key, OWNER, "failed", 3, RUN[:3], amends=True)
    assert await everything(runs, going_on) == RUN


@pytest.mark.parametrize("compacted", [False, True])
async def test_a_reader_of_a_deleted_run_is_given_nothing_of_the_one_that_takes_its_place(
    runs: RunLogStore, compacted: bool
) -> None:
    """The thread is deleted and made again, be it by somebody else, while the reader is slow to take what it has."""
    old = await runs.open("thread", run_id="r", agent_name="agent", owner=OWNER)
    await runs.append(old.key, OWNER, 1, RUN[:3])
    reader = RemoteSubscription(runs, old, 0)
    try:
        await asyncio.wait_for(reader.arrival(), PATIENCE)
        await runs.delete("thread")
        assert await recorded(runs) == old.key
        if compacted:
            await runs.close(old.key, OWNER, "finished", len(RUN), compact(RUN))
        assert reader.take() == RUN[:3]
        (gone,) = await asyncio.wait_for(reader.read(), PATIENCE)
        assert isinstance(gone, events.RunError)
        assert await asyncio.wait_for(reader.read(), PATIENCE) == []
        followed = RemoteRun(runs, old)
        await asyncio.wait_for(followed.join(), PATIENCE)
        assert followed.status is RunStatus.FAILED
    finally:
        reader.close()
