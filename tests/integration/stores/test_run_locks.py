"""What every store promises of its run locks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from copilotkit_runtime.runtime.errors import ThreadBusyError
from copilotkit_runtime.runtime.stores.interface import StateStore
from copilotkit_runtime.runtime.stores.locks import RunLock
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.integration.stores.conftest import CLUSTER, KINDS

pytestmark = pytest.mark.parametrize("url", [*KINDS, CLUSTER], indirect=True)


async def _soon(event: asyncio.Event) -> None:
    await asyncio.wait_for(event.wait(), 20)


class Run:
    """A run that holds the lock until it is let go."""

    def __init__(self, store: StateStore, *, wait: float | None = None, interrupt: bool = False) -> None:
        self.lock = store.lock("thread", "agent", wait=wait, interrupt=interrupt)
        self.holds = asyncio.Event()
        self.may_end = asyncio.Event()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with self.lock:
            self.holds.set()
            await self.may_end.wait()

    async def end(self) -> None:
        self.may_end.set()
        await asyncio.wait_for(self.task, 20)


async def test_a_second_run_that_may_not_wait_is_refused_while_the_first_holds_the_lock(store: StateStore) -> None:
    async with store.lock("thread", "agent"):
        with pytest.raises(ThreadBusyError):
            async with store.lock("thread", "agent", wait=0):
                pass
        with pytest.raises(ThreadBusyError):
            async with store.lock("thread", "agent", wait=0.1):
                pass
    async with store.lock("thread", "agent", wait=0):
        pass


async def test_other_threads_and_other_agents_are_not_in_the_way(store: StateStore) -> None:
    async with (
        store.lock("thread", "agent", wait=0),
        store.lock("thread", "other", wait=0),
        store.lock("other", "agent", wait=0),
    ):
        pass


async def test_runs_that_queue_are_served_one_at_a_time_in_the_order_they_came(store: StateStore) -> None:
    order: list[int] = []
    holding = 0

    async def run(number: int, lock: RunLock) -> None:
        nonlocal holding
        async with lock:
            holding += 1
            assert holding == 1
            order.append(number)
            await asyncio.sleep(0)
            holding -= 1

    first = Run(store)
    await _soon(first.holds)
    waiting = []
    for number in range(8):
        lock = store.lock("thread", "agent")
        waiting.append(asyncio.create_task(run(number, lock)))
        await _soon(lock.queued)
    await first.end()
    await asyncio.wait_for(asyncio.gather(*waiting), 20)

    assert order == [*range(8)]


async def test_a_run_that_fails_releases_the_lock(store: StateStore) -> None:
    with pytest.raises(RuntimeError):
        async with store.lock("thread", "agent"):
            raise RuntimeError

    async with store.lock("thread", "agent", wait=0):
        pass


async def test_a_run_that_is_cancelled_while_it_queues_is_not_waited_for(store: StateStore) -> None:
    first = Run(store)
    await _soon(first.holds)
    second = Run(store)
    await _soon(second.lock.queued)
    third = Run(store)
    second.task.cancel()
    await asyncio.wait([second.task])
    await first.end()

    await _soon(third.holds)
    await third.end()


async def test_a_run_that_interrupts_stops_the_holder_and_takes_its_place(store: StateStore) -> None:
    first = Run(store)
    await _soon(first.holds)
    second = Run(store, interrupt=True)

    await _soon(first.lock.stop_requested)
    assert not second.holds.is_set()
    await first.end()

    await _soon(second.holds)
    assert not second.lock.stop_requested.is_set()
    await second.end()


async def test_a_run_that_interrupts_takes_the_place_of_those_that_queue(store: StateStore) -> None:
    first = Run(store)
    await _soon(first.holds)
    second = Run(store)
    await _soon(second.lock.queued)
    third = Run(store, interrupt=True)

    with pytest.raises(ThreadBusyError, match="newer run"):
        await asyncio.wait_for(second.task, 20)
    await first.end()

    await _soon(third.holds)
    await third.end()


async def test_a_holder_can_be_stopped_without_taking_its_place(store: StateStore) -> None:
    run = Run(store)
    await _soon(run.holds)

    await store.request_stop("thread", "agent")
    await store.request_stop("thread", "nobody")

    await _soon(run.lock.stop_requested)
    await run.end()


@asynccontextmanager
async def holding(url: str, settings: StoreSettings, **times: float) -> AsyncIterator[tuple[StateStore, Run]]:
    """A run that holds the lock of a store with these times, in seconds."""
    store = open_store(url, msgspec.structs.replace(settings, **times))
    await store.start()
    run = Run(store)
    await _soon(run.holds)
    yield store, run
    await run.end()
    await store.stop()


async def test_a_lock_outlives_its_lease_as_long_as_its_holder_gives_signs_of_life(
    url: str, settings: StoreSettings
) -> None:
    async with holding(url, settings, lease=2.0, heartbeat=0.05) as (store, run):
        with pytest.raises(ThreadBusyError):
            async with store.lock("thread", "agent", wait=4.0):
                pass

        assert not run.lock.lost.is_set()


async def test_a_holder_that_gave_no_sign_of_life_loses_the_lock_and_is_notified(
    url: str, settings: StoreSettings
) -> None:
    held = holding(url, settings, lease=0.2, heartbeat=0.6)
    async with held as (store, run), store.lock("thread", "agent", wait=20):
        await _soon(run.lock.lost)


async def test_a_holder_that_was_paused_for_longer_than_its_lease_keeps_the_lock_if_nobody_came(
    url: str, settings: StoreSettings
) -> None:
    async with holding(url, settings, lease=0.2, heartbeat=0.6) as (store, run):
        since = run.lock.expires

        async with asyncio.timeout(20):
            while run.lock.expires == since:  # until the first sign of life, which is late
                assert not run.lock.lost.is_set()
                await asyncio.sleep(0.01)

        assert await run.lock.confirm()
        await run.end()
        async with store.lock("thread", "agent", wait=0):
            pass


async def test_a_store_that_stops_notifies_the_holders_of_its_locks(url: str, settings: StoreSettings) -> None:
    store = open_store(url, settings)
    await store.start()
    run = Run(store)
    await _soon(run.holds)

    await store.stop()

    assert run.lock.lost.is_set()
    await run.end()
