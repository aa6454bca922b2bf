"""The pipe between a run and its reader: bounded, prompt, and never in the way of a run that nobody reads."""

from __future__ import annotations

import asyncio

import pytest

from copilotkit_runtime import events
from copilotkit_runtime.runtime.runs.log import EventPipe


def numbered(number: int) -> events.Event:
    return events.Custom(name=str(number))


async def read(pipe: EventPipe) -> list[events.Event]:
    await pipe.arrival()
    return pipe.take()


async def test_a_reader_takes_all_that_has_come() -> None:
    pipe = EventPipe(10)
    for number in range(3):
        await pipe.put(numbered(number))
    pipe.close()
    assert await read(pipe) == [numbered(0), numbered(1), numbered(2)]
    assert await read(pipe) == []


async def test_a_reader_waits_for_the_first_event() -> None:
    pipe = EventPipe(10)
    reading = asyncio.create_task(read(pipe))
    await asyncio.sleep(0)
    assert not reading.done()
    await pipe.put(numbered(1))
    assert await reading == [numbered(1)]


async def test_a_full_pipe_holds_its_writer_until_it_is_read() -> None:
    pipe = EventPipe(1)
    await pipe.put(numbered(1))
    writing = asyncio.create_task(pipe.put(numbered(2)))
    await asyncio.sleep(0)
    assert not writing.done()
    assert await read(pipe) == [numbered(1)]
    await writing
    assert await read(pipe) == [numbered(2)]


async def test_whoever_waits_to_write_gets_a_turn_even_if_another_gave_up() -> None:
    pipe = EventPipe(1)
    await pipe.put(numbered(1))
    writing = [asyncio.create_task(pipe.put(numbered(number))) for number in (2, 3, 4)]
    await asyncio.sleep(0)
    writing[0].cancel()
    taken = [*await read(pipe), *await read(pipe), *await read(pipe)]
    assert sorted(taken, key=str) == [numbered(1), numbered(3), numbered(4)]
    await asyncio.gather(*writing[1:])


async def test_the_last_events_of_a_run_need_no_room() -> None:
    pipe = EventPipe(1)
    await pipe.put(numbered(1))
    pipe.force(numbered(2))
    pipe.close()
    assert await read(pipe) == [numbered(1), numbered(2)]


async def test_an_abandoned_pipe_holds_nobody_and_keeps_nothing() -> None:
    pipe = EventPipe(1)
    await pipe.put(numbered(1))
    writing = asyncio.create_task(pipe.put(numbered(2)))
    await asyncio.sleep(0)
    pipe.abandon()
    async with asyncio.timeout(1):
        await writing
        for number in range(100):
            await pipe.put(numbered(number))
    pipe.close()
    assert await read(pipe) == []


@pytest.mark.parametrize("bound", [1, 7, 256])
async def test_every_event_arrives_once_and_in_order(bound: int) -> None:
    pipe = EventPipe(bound)
    sent = [numbered(number) for number in range(1000)]

    async def write() -> None:
        for event in sent:
            await pipe.put(event)
        pipe.close()

    writing = asyncio.create_task(write())
    received: list[events.Event] = []
    while batch := await read(pipe):
        assert len(batch) <= bound
        received += batch
    await writing
    assert received == sent
