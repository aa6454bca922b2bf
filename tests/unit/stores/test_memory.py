"""The memory store's bounds."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

from copilotkit_runtime.runtime.stores.interface import AgentState
from copilotkit_runtime.runtime.stores.memory import MemoryStore
from copilotkit_runtime.runtime.stores.settings import StoreSettings


class Memory:
    """How much more memory is in use than when this was made."""

    def __init__(self) -> None:
        self._before = tracemalloc.get_traced_memory()[0]

    def grown(self) -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - self._before


@contextmanager
def traced() -> Iterator[Memory]:
    """Trace what is allocated in the block."""
    tracemalloc.start()
    try:
        yield Memory()
    finally:
        tracemalloc.stop()


def _text(size: int) -> AgentState:
    return AgentState(state={"text": "x" * size})


async def _kept(store: MemoryStore) -> list[str]:
    return sorted(thread.thread_id for thread in (await store.threads(limit=100)).threads)


async def test_the_thread_used_least_recently_goes_when_there_are_too_many() -> None:
    store = MemoryStore(StoreSettings(max_threads=3))
    for name in ("a", "b", "c"):
        await store.save(name, "agent", AgentState())
    await store.load("a", "agent")

    await store.save("d", "agent", AgentState())

    assert await _kept(store) == ["a", "c", "d"]


async def test_threads_go_when_together_they_take_too_many_bytes() -> None:
    store = MemoryStore(StoreSettings(max_total_bytes=3000))
    for name in ("a", "b"):
        await store.save(name, "agent", _text(1000))
    await store.save("a", "other", _text(500))

    await store.save("c", "agent", _text(1000))

    assert await _kept(store) == ["a", "c"]


async def test_replaced_and_deleted_entries_make_room() -> None:
    store = MemoryStore(StoreSettings(max_total_bytes=3000))
    await store.save("a", "agent", _text(2000))
    await store.save("a", "agent", _text(10))
    await store.save("b", "agent", _text(2000))
    await store.delete_thread("b")

    await store.save("c", "agent", _text(2000))

    assert await _kept(store) == ["a", "c"]


async def test_the_thread_that_is_written_stays_even_if_it_takes_all_there_is() -> None:
    store = MemoryStore(StoreSettings(max_total_bytes=1000))

    await store.save("a", "agent", _text(5000))

    assert await _kept(store) == ["a"]


async def test_claims_count_as_threads() -> None:
    store = MemoryStore(StoreSettings(max_threads=2))
    for name in ("a", "b", "c"):
        await store.claim(name, "owner")

    assert await _kept(store) == ["b", "c"]


async def test_old_threads_go_when_something_is_written() -> None:
    store = MemoryStore(StoreSettings(ttl=0.0))
    with traced() as memory:
        for number in range(100):
            await store.save(str(number), "agent", _text(100_000))
        assert memory.grown() < 1_000_000, "of 10,000,000"


def test_a_store_may_be_used_from_one_loop_after_another() -> None:
    store = MemoryStore(StoreSettings(heartbeat=0.01))

    async def use() -> None:
        async with store.lock("thread", "agent", wait=0) as lock:
            await store.merge("thread", "agent", {"n": 1})
            await store.request_stop("thread", "agent")
            await asyncio.wait_for(lock.stop_requested.wait(), 5)

    asyncio.run(use())
    asyncio.run(use())


async def test_a_queue_for_a_lock_leaves_nothing_behind() -> None:
    store = MemoryStore()
    threads = ["x" * 1000 + str(number) for number in range(1000)]
    with traced() as memory:
        for thread in threads:
            async with store.lock(thread, "agent"):
                pass
        assert memory.grown() < 50_000, "less than 50 bytes for each of 1,000 threads"
    await store.stop()
