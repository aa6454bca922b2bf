"""What happens while a server is away, and when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

import pytest

from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.interface import AgentState, StateStore
from copilotkit_runtime.runtime.stores.retry import retry_unavailable
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.integration.stores.servers import Server

pytestmark = pytest.mark.parametrize("server", ["redis", "postgres"], indirect=True)

PSYCOPG_WAITS_AFTER_A_TIMEOUT = 10.0
IMPATIENT = StoreSettings(connect_timeout=3.0, command_timeout=3.0, retry_for=3.0, lease=1.5, heartbeat=0.1)
PATIENT = StoreSettings(connect_timeout=1.0, command_timeout=1.0, retry_for=20.0, lease=20.0, heartbeat=0.1)


async def _started(server: Server, settings: StoreSettings) -> AsyncIterator[StateStore]:
    store = open_store(server.url, settings)
    await store.start()
    yield store
    await store.stop()


@pytest.fixture
async def patient(server: Server) -> AsyncIterator[StateStore]:
    async for store in _started(server, PATIENT):
        yield store


@pytest.fixture
async def impatient(server: Server) -> AsyncIterator[StateStore]:
    async for store in _started(server, IMPATIENT):
        yield store


async def test_a_read_waits_for_a_server_that_comes_back(server: Server, patient: StateStore) -> None:
    saved = await patient.save("thread", "agent", AgentState(state={"n": 1}))
    server.kill()
    reading = asyncio.create_task(patient.load("thread", "agent"))
    claiming = asyncio.create_task(patient.claim("thread", "somebody"))
    done, _ = await asyncio.wait([reading, claiming], timeout=0.5)
    assert not done

    await asyncio.to_thread(server.start)

    loaded = await asyncio.wait_for(reading, 20)
    assert loaded is not None
    assert loaded.state == saved.state
    assert await asyncio.wait_for(claiming, 20)


async def test_a_write_reports_at_once_that_the_server_is_away_and_works_when_it_is_back(
    server: Server, patient: StateStore
) -> None:
    await patient.save("thread", "agent", AgentState(state={"n": 1}))
    server.kill()
    asked = monotonic()
    with pytest.raises(StoreUnavailableError, match="does not answer"):
        await patient.save("thread", "agent", AgentState(state={"n": 2}))
    assert monotonic() - asked < PATIENT.retry_for

    await asyncio.to_thread(server.start)

    async with asyncio.timeout(20):
        saved = await retry_unavailable(lambda: patient.save("thread", "agent", AgentState(state={"n": 3})), 20)
    assert saved.version == 2


async def test_every_connection_that_a_restart_cut_is_replaced(server: Server, patient: StateStore) -> None:
    await asyncio.gather(*(patient.save(f"thread-{n}", "agent", AgentState()) for n in range(20)))
    server.kill()
    await asyncio.to_thread(server.start)

    saves = (patient.save(f"thread-{n}", "agent", AgentState()) for n in range(20))

    assert [saved.version for saved in await asyncio.gather(*saves)] == [2] * 20


async def test_a_finished_turn_is_kept_through_ten_seconds_without_a_server(
    server: Server, patient: StateStore
) -> None:
    async with patient.lock("thread", "agent") as lock:
        server.kill()
        turn = AgentState(state={"answer": 42})
        saving = asyncio.create_task(retry_unavailable(lambda: patient.save("thread", "agent", turn), 30))
        await asyncio.wait([saving], timeout=10)
        assert not saving.done()
        await asyncio.to_thread(server.start)
        saved = await asyncio.wait_for(saving, 20)
        assert not lock.lost.is_set()

    assert await patient.load("thread", "agent") == saved


async def test_a_server_that_hangs_holds_nobody_up_for_longer_than_the_limits(
    server: Server, impatient: StateStore
) -> None:
    server.freeze()
    asked = monotonic()

    answers = await asyncio.gather(
        impatient.load("thread", "agent"),
        impatient.save("thread", "agent", AgentState()),
        impatient.claim("thread", "somebody"),
        impatient.threads(),
        impatient.delete_thread("thread"),
        impatient.health(),
        impatient.lock("thread", "agent").__aenter__(),
        impatient.request_stop("thread", "agent"),
        return_exceptions=True,
    )

    took = monotonic() - asked
    server.thaw()
    assert [type(answer) for answer in answers] == [StoreUnavailableError] * len(answers)
    assert took < 1.0 + 1.0 + PSYCOPG_WAITS_AFTER_A_TIMEOUT + 5.0


async def test_a_holder_is_notified_when_the_server_was_away_for_longer_than_the_lease(
    server: Server, impatient: StateStore
) -> None:
    async with impatient.lock("thread", "agent") as lock:
        server.kill()
        await asyncio.wait_for(lock.lost.wait(), 20)


async def test_health_reports_that_the_server_is_away(server: Server, impatient: StateStore) -> None:
    server.kill()

    with pytest.raises(StoreUnavailableError):
        await impatient.health()


async def test_a_store_does_not_start_without_its_server(server: Server) -> None:
    server.kill()
    store = open_store(server.url, IMPATIENT)

    with pytest.raises(StoreUnavailableError):
        await store.start()


async def test_an_error_does_not_reveal_where_the_server_is(server: Server, impatient: StateStore) -> None:
    server.kill()

    with pytest.raises(StoreUnavailableError) as caught:
        await impatient.load("thread", "agent")

    assert "127.0.0.1" not in caught.value.message
    assert caught.value.__cause__ is not None
