"""A PostgreSQL that crashes between the commit of what it need not have on its disk yet and its settling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import uuid4

import httpx
import psycopg
import pytest

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.runtime.config import RuntimeConfig
from copilotkit_runtime.runtime.stores.run_records import RunRecord
from tests.integration.stores.servers import Server
from tests.support.agui_client import events_of, run, run_input, types_of, user
from tests.support.echo_agent import EchoProvider
from tests.support.polling import until

PATIENCE = 60.0
AGUI = "/api/copilotkit/agent"

pytestmark = [pytest.mark.parametrize("server", ["postgres"], indirect=True), pytest.mark.usefixtures("brief_takes")]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def thread() -> str:
    return f"thread-{uuid4()}"


class Settling:
    """Holds the settling of one runtime until the server has crashed."""

    def __init__(self, runtime: CopilotRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.released = asyncio.Event(), asyncio.Event()
        self._settle = runtime.service.archive.store.settle
        monkeypatch.setattr(runtime.service.archive.store, "settle", self._held)

    async def _held(self, record: RunRecord, owner: str | None = None) -> None:
        self.reached.set()
        await asyncio.wait_for(self.released.wait(), PATIENCE)
        await self._settle(record, owner)


async def started(stack: AsyncExitStack, runtime: CopilotRuntime) -> CopilotRuntime:
    await runtime.start()
    stack.push_async_callback(runtime.stop)
    return runtime


async def served(stack: AsyncExitStack, runtime: CopilotRuntime) -> httpx.AsyncClient:
    await started(stack, runtime)
    transport = httpx.ASGITransport(runtime.create_app())
    return await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://test", timeout=120))


def written_late(url: str) -> None:
    """Have the server write what it need not have on its disk as late as it can."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        connection.execute("ALTER SYSTEM SET wal_writer_flush_after = 0")
        connection.execute("SELECT pg_reload_conf()")


def on_disk(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_logical_emit_message(true, 'test', '')")


async def crash(server: Server, *, kept: bool) -> None:
    if kept:
        await asyncio.to_thread(on_disk, server.url)
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "forgotten"])
@pytest.mark.parametrize("side", ["web", "worker"])
async def test_a_crash_between_a_commit_and_its_settling_executes_no_run_twice_and_keeps_no_thread_busy(
    server: Server, stack: AsyncExitStack, thread: str, monkeypatch: pytest.MonkeyPatch, side: str, *, kept: bool
) -> None:
    await asyncio.to_thread(written_late, server.url)
    provider = EchoProvider()
    config = RuntimeConfig(store=server.url, execution="queue")
    worker = CopilotRuntime([provider], config=config)
    worker.become_worker()
    web = CopilotRuntime(config=config)
    await started(stack, worker)
    client = await served(stack, web)
    settling = Settling(web if side == "web" else worker, monkeypatch)
    asking = asyncio.create_task(client.post(f"{AGUI}/echo/run", json=run_input(user("hello"), thread=thread, run="r")))
    await asyncio.wait_for(settling.reached.wait(), PATIENCE)
    await crash(server, kept=kept)
    settling.released.set()
    answer = await asyncio.wait_for(asking, PATIENCE)
    assert types_of(events_of(answer.text))[-1] == "RUN_FINISHED"
    assert provider.ran == ["r"]

    async def free() -> bool:
        return all(record.status != "running" for record in await web.service.archive.runs(thread))

    await until(free, PATIENCE)
    again = await run(client, "echo", run_input(user("again", "u2"), thread=thread, run="next"))
    assert types_of(again)[-1] == "RUN_FINISHED"
    assert provider.ran.count("next") == 1
    assert [record.run_id for record in await web.service.archive.runs(thread)] == ["r", "next"]
