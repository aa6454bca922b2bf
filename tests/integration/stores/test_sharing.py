"""What the stores that outlive a process promise to the next one, and to its neighbours."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import AsyncExitStack
from time import monotonic

import msgspec
import pytest

from copilotkit_runtime.runtime.errors import ThreadBusyError
from copilotkit_runtime.runtime.stores.interface import AgentState, StateStore
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.integration.stores.conftest import SHARED
from tests.integration.stores.processes import contender, said
from tests.support.polling import until
from tests.support.several_loops import LOOPS, RUNS

pytestmark = pytest.mark.parametrize("url", SHARED, indirect=True)


async def test_what_was_saved_is_there_after_a_restart(url: str, settings: StoreSettings) -> None:
    store = open_store(url, settings)
    await store.start()
    await store.claim("thread", "somebody")
    saved = await store.save("thread", "agent", AgentState(state={"n": 1}))
    await store.stop()

    again = open_store(url, settings)
    await again.start()
    assert await again.load("thread", "agent") == saved
    assert await again.owner_of("thread") == "somebody"
    await again.stop()


async def test_a_store_can_be_started_again_after_it_stopped(url: str, settings: StoreSettings) -> None:
    store = open_store(url, settings)
    await store.start()
    saved = await store.save("thread", "agent", AgentState())
    await store.stop()
    await store.start()

    assert await store.load("thread", "agent") == saved
    await store.stop()


@pytest.mark.timeout(300)
def test_one_runtime_is_used_in_one_asyncio_run_after_another(url: str) -> None:
    command = [sys.executable, "-m", "tests.support.several_loops", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.stdout.splitlines() == [f"{2 * RUNS} broken"] * LOOPS, done.stderr
    assert "loop_blocked" not in done.stderr + done.stdout


async def test_many_workers_may_start_on_an_empty_store_at_once(url: str, settings: StoreSettings) -> None:
    stores = [open_store(url, settings) for _ in range(8)]

    await asyncio.gather(*(store.start() for store in stores))

    await stores[0].save("thread", "agent", AgentState(state={"n": 1}))
    assert all(await asyncio.gather(*(store.load("thread", "agent") for store in stores)))
    await asyncio.gather(*(store.stop() for store in stores))


async def test_processes_that_count_by_compare_and_set_lose_nothing(
    store: StateStore, url: str, settings: StoreSettings
) -> None:
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(contender(url, settings, "count", "50")) for _ in range(2)]
        for process in processes:
            assert await asyncio.wait_for(process.wait(), 40) == 0

    counted = await store.load("thread", "agent")
    assert counted is not None
    assert counted.state == {"count": 100}


async def test_a_state_survives_the_process_that_is_killed_while_it_writes(
    store: StateStore, url: str, settings: StoreSettings
) -> None:
    async with contender(url, settings, "count", "1000000") as process:

        async def is_well_under_way() -> bool:
            return (await store.load("thread", "agent") or AgentState()).version > 20

        await until(is_well_under_way)
        process.kill()
        await process.wait()

    counted = await store.load("thread", "agent")
    assert counted is not None
    assert counted.state == {"count": counted.version}
    # More than one, if the server was still at the last write of the process.
    assert (await store.save("thread", "agent", AgentState())).version > counted.version


async def test_the_lock_of_another_process_is_respected_and_can_be_requested(
    store: StateStore, url: str, settings: StoreSettings
) -> None:
    async with contender(url, settings, "hold") as process:
        await said(process, "held")
        with pytest.raises(ThreadBusyError):
            async with store.lock("thread", "agent", wait=0):
                pass
        asked = monotonic()
        async with store.lock("thread", "agent", wait=20, interrupt=True):
            await said(process, "released")
        assert monotonic() - asked < settings.lease


async def test_the_lock_of_a_killed_process_is_free_when_its_lease_ends(
    store: StateStore, url: str, settings: StoreSettings
) -> None:
    settings = msgspec.structs.replace(settings, lease=2.0, heartbeat=0.2)
    async with contender(url, settings, "hold") as process:
        await said(process, "held")
        process.kill()
        await process.wait()

        async with store.lock("thread", "agent", wait=20):
            pass


async def test_two_stores_on_one_place_share_states_and_locks(url: str, settings: StoreSettings) -> None:
    one, two = open_store(url, settings), open_store(url, settings)
    await one.start()
    await two.start()

    saved = await one.save("thread", "agent", AgentState())
    assert await two.load("thread", "agent") == saved
    async with one.lock("thread", "agent"):
        with pytest.raises(ThreadBusyError):
            async with two.lock("thread", "agent", wait=0.3):
                pass
    async with two.lock("thread", "agent", wait=5):
        pass

    await one.stop()
    await two.stop()
