"""The log between a run and its readers: ordered, bounded, and never in the way of a run that nobody reads."""

from __future__ import annotations

import asyncio

import pytest

from copilotkit_runtime import events
from copilotkit_runtime.runtime.runs.log import TAIL_EVENTS, Lagged, LogClosedError, RunLog, Subscription


def numbered(number: int) -> events.Event:
    return events.Custom(name=str(number))


async def read_all(reader: Subscription) -> list[events.Event]:
    seen: list[events.Event] = []
    while batch := await reader.read():
        seen += batch
    return seen


async def test_a_reader_takes_all_that_has_come() -> None:
    log = RunLog(10)
    reader = log.subscribe()
    assert [await log.append(numbered(number)) for number in range(3)] == [1, 2, 3]
    log.close()
    assert await reader.read() == [numbered(0), numbered(1), numbered(2)]
    assert await reader.read() == []


async def test_a_reader_waits_for_the_first_event() -> None:
    log = RunLog(10)
    reader = log.subscribe()
    reading = asyncio.create_task(reader.read())
    await asyncio.sleep(0)
    assert not reading.done()
    await log.append(numbered(1))
    assert await reading == [numbered(1)]


@pytest.mark.parametrize("after", range(6))
async def test_a_late_reader_gets_what_follows_its_offset(after: int) -> None:
    log = RunLog(10)
    for number in range(1, 4):
        log.force(numbered(number))
    reader = log.subscribe(min(after, 3))
    log.force(numbered(4))
    log.close()
    assert await read_all(reader) == [numbered(number) for number in range(min(after, 3) + 1, 5)]


async def test_one_reader_that_lags_holds_the_writer() -> None:
    log = RunLog(1)
    reader = log.subscribe()
    await log.append(numbered(1))
    writing = asyncio.create_task(log.append(numbered(2)))
    await asyncio.sleep(0)
    assert not writing.done()
    assert await reader.read() == [numbered(1)]
    await writing
    assert await reader.read() == [numbered(2)]


async def test_whoever_waits_to_write_gets_a_turn_even_if_another_gave_up() -> None:
    log = RunLog(1)
    reader = log.subscribe()
    await log.append(numbered(1))
    writing = [asyncio.create_task(log.append(numbered(number))) for number in (2, 3, 4)]
    await asyncio.sleep(0)
    writing[0].cancel()
    taken = [*await reader.read(), *await reader.read(), *await reader.read()]
    assert sorted(taken, key=str) == [numbered(1), numbered(3), numbered(4)]
    await asyncio.gather(*writing[1:])


async def test_the_last_events_of_a_run_need_no_room() -> None:
    log = RunLog(1)
    reader = log.subscribe()
    await log.append(numbered(1))
    log.force(numbered(2))
    log.close()
    assert await read_all(reader) == [numbered(1), numbered(2)]


async def test_a_run_without_readers_goes_on() -> None:
    log = RunLog(1)
    leaving, watching = log.subscribe(), log.subscribe(attached=False)
    await log.append(numbered(1))
    writing = asyncio.create_task(log.append(numbered(2)))
    await asyncio.sleep(0)
    leaving.close()
    async with asyncio.timeout(10):
        await writing
        for number in range(3, 100):
            await log.append(numbered(number))
    log.close()
    assert await read_all(watching) == [numbered(number) for number in range(1, 100)]


async def test_with_several_readers_the_fastest_paces_the_run() -> None:
    log = RunLog(2)
    fast, slow = log.subscribe(), log.subscribe()
    for number in range(1, 50):
        async with asyncio.timeout(10):
            await log.append(numbered(number))
        assert fast.take() == [numbered(number)]
    assert slow.take() == [numbered(number) for number in range(1, 50)]


async def test_the_front_of_a_long_log_is_compacted() -> None:
    log = RunLog(2)
    log.force(events.TextMessageStart(message_id="a"))
    words = [f"{number} " for number in range(3 * TAIL_EVENTS)]
    for word in words:
        log.force(events.TextMessageContent(message_id="a", delta=word))
    log.close()
    start, compacted, *tail = await read_all(log.subscribe())
    assert start == events.TextMessageStart(message_id="a")
    assert isinstance(compacted, events.TextMessageContent)
    assert len(tail) < 2 * TAIL_EVENTS
    deltas = [event.delta for event in (compacted, *tail) if isinstance(event, events.TextMessageContent)]
    assert "".join(deltas) == "".join(words)


async def test_a_reader_that_fell_behind_is_sent_to_the_history_and_never_skips() -> None:
    log = RunLog(2)
    reader = log.subscribe(attached=False)
    log.force(numbered(1))
    reader.take()
    for number in range(2, 3 * TAIL_EVENTS):
        log.force(numbered(number))
    with pytest.raises(Lagged):
        reader.take()
    with pytest.raises(Lagged):
        log.subscribe(after=1)


async def test_nothing_is_written_after_the_end() -> None:
    log = RunLog(2)
    log.close()
    with pytest.raises(LogClosedError):
        log.append_nowait(numbered(1))


@pytest.mark.parametrize("bound", [1, 7, 256])
async def test_every_event_arrives_once_and_in_order(bound: int) -> None:
    log = RunLog(bound)
    reader = log.subscribe()
    sent = [numbered(number) for number in range(1000)]

    async def write() -> None:
        for event in sent:
            await log.append(event)
        log.close()

    writing = asyncio.create_task(write())
    received: list[events.Event] = []
    while batch := await reader.read():
        assert len(batch) <= bound
        received += batch
    await writing
    assert received == sent
