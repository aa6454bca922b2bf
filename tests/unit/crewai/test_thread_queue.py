from __future__ import annotations

import asyncio
import threading

import pytest

from copilotkit_runtime.providers.crewai.thread_queue import RunCancelled, ThreadQueue


async def test_items_of_a_thread_arrive_in_order() -> None:
    queue: ThreadQueue[int] = ThreadQueue(asyncio.get_running_loop(), 10)

    def write() -> None:
        for number in range(1000):
            queue.put(number)

    writing = asyncio.create_task(asyncio.to_thread(write))
    assert [await queue.get() for _ in range(1000)] == list(range(1000))
    await writing


async def test_a_full_channel_makes_its_writer_wait() -> None:
    queue: ThreadQueue[int] = ThreadQueue(asyncio.get_running_loop(), 2)
    third_is_in = threading.Event()

    def write() -> None:
        for number in range(3):
            queue.put(number)
        third_is_in.set()

    writing = asyncio.create_task(asyncio.to_thread(write))
    assert not await asyncio.to_thread(third_is_in.wait, 0.1)
    assert await queue.get() == 0
    await writing
    assert third_is_in.is_set()


async def test_cancelling_stops_a_waiting_writer_and_all_later_ones() -> None:
    queue: ThreadQueue[int] = ThreadQueue(asyncio.get_running_loop(), 1)
    queue.put(1)
    waiting = asyncio.create_task(asyncio.to_thread(_put, queue))
    await asyncio.sleep(0)
    queue.cancel()
    assert await waiting == "stopped"
    with pytest.raises(RunCancelled):
        queue.put(3)
    assert queue.cancelled


def _put(queue: ThreadQueue[int]) -> str:
    try:
        queue.put(2)
    except RunCancelled:
        return "stopped"
    return "put"


def test_a_loop_that_is_gone_stops_the_writer() -> None:
    loop = asyncio.new_event_loop()
    queue: ThreadQueue[int] = ThreadQueue(loop, 1)
    loop.close()
    with pytest.raises(RunCancelled):
        queue.put(1)


def test_the_stop_is_not_an_exception_that_frameworks_swallow() -> None:
    assert not issubclass(RunCancelled, Exception)
