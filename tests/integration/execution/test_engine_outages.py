"""What every queue engine promises while its server is away, or hangs."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from saq import Job, Queue

from copilotkit_runtime.runtime.execution.saq_engine import SaqEngine
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.run_records import RunKey
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from tests.integration.stores.servers import Server
from tests.support.polling import until

PATIENCE = 30.0

pytestmark = pytest.mark.parametrize("server", ["redis", "postgres"], indirect=True)


async def test_a_server_that_is_away_is_an_error_of_the_store(server: Server) -> None:
    engine = SaqEngine(server.url, "away")
    await engine.start()
    server.kill()
    try:
        with pytest.raises(StoreUnavailableError):
            async with asyncio.timeout(60):
                await engine.put("q", RunKey("thread", 1))
    finally:
        server.start()
        await engine.stop()


async def test_a_server_that_hangs_is_an_error_of_the_store(server: Server) -> None:
    engine = SaqEngine(server.url, "hanging", StoreSettings(command_timeout=1))
    await engine.start()
    try:
        await engine.put("q", RunKey("thread", 1))
        server.freeze()
        try:
            async with asyncio.timeout(60):
                for work in (engine.put("q", RunKey("thread", 2)), engine.waiting("q")):
                    with pytest.raises(StoreUnavailableError):
                        await work
                with suppress(StoreUnavailableError):  # or it ends as if nothing had come: whoever takes tries again
                    assert await engine.take("q", 0.1) is None
        finally:
            server.thaw()
        async with asyncio.timeout(60):
            delivery = await engine.take("q", PATIENCE)
            assert delivery is not None
            await delivery.done()
    finally:
        await engine.stop()


async def test_a_worker_that_waits_asks_a_server_that_was_restarted_no_more_often_than_before(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    dequeued, asked = SaqEngine._dequeued, 0

    async def counted(engine: SaqEngine, queue: Queue, seconds: float) -> Job | None:
        nonlocal asked
        asked += 1
        return await dequeued(engine, queue, seconds)

    engine = SaqEngine(server.url, "restarted")
    await engine.start()
    assert await engine.take("q", 0.1) is None
    server.kill()
    await asyncio.to_thread(server.start)

    async def answers() -> bool:
        with suppress(StoreUnavailableError):
            return await engine.waiting("q") == 0
        return False

    await until(answers, 60)
    monkeypatch.setattr(SaqEngine, "_dequeued", counted)
    with suppress(StoreUnavailableError):
        assert await engine.take("q", 2.0) is None
    assert asked < 10, "it asked again and again"
    taking = asyncio.create_task(engine.take("q", PATIENCE))
    await engine.put("q", RunKey("thread", 1))
    delivery = await asyncio.wait_for(taking, 60)
    assert delivery is not None
    assert delivery.key == RunKey("thread", 1)
    await engine.stop()
