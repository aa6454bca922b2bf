"""A PostgreSQL that crashes between the commit of what it need not have on its disk yet and its settling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.runtime.config import RuntimeConfig
from copilotkit_runtime.runtime.execution import saq_engine
from copilotkit_runtime.runtime.execution.engine import DEFAULT_QUEUE
from copilotkit_runtime.runtime.execution.saq_engine import SaqEngine
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.run_records import RunKey, RunRecord
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


def web_of(server: Server, *providers: EchoProvider) -> CopilotRuntime:
    return CopilotRuntime(providers, config=RuntimeConfig(store=server.url, execution="queue"))


def worker_of(server: Server, provider: EchoProvider) -> CopilotRuntime:
    worker = web_of(server, provider)
    worker.become_worker()
    return worker


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


async def answers(engine: SaqEngine) -> bool:
    try:
        await engine.waiting(DEFAULT_QUEUE)
    except StoreUnavailableError:
        return False
    return True


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "forgotten"])
@pytest.mark.parametrize("side", ["web", "worker"])
async def test_a_crash_between_a_commit_and_its_settling_executes_no_run_twice_and_keeps_no_thread_busy(
    server: Server, stack: AsyncExitStack, thread: str, monkeypatch: pytest.MonkeyPatch, side: str, *, kept: bool
) -> None:
    await asyncio.to_thread(written_late, server.url)
    provider = EchoProvider()
    worker, web = worker_of(server, provider), web_of(server)
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


async def test_a_run_is_delivered_again_if_a_crash_forgets_who_took_it_and_not_its_delivery(
    server: Server, stack: AsyncExitStack, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saq_engine, "TAKEN_SECONDS", 1)
    await asyncio.to_thread(written_late, server.url)
    provider = EchoProvider()
    worker, web = worker_of(server, provider), web_of(server)
    await started(stack, worker)
    client = await served(stack, web)
    settling = Settling(web, monkeypatch)
    store, taken, engines = worker.service.archive.store, list[bool](), list[SaqEngine]()
    take, deliver = store.take, SaqEngine.take

    async def deliver_by(engine: SaqEngine, *given: Any) -> Any:
        engines.append(engine)
        return await deliver(engine, *given)

    async def take_and_crash(key: RunKey, owner: str, held_by: str) -> RunRecord | None:
        first = not taken
        if first:
            await asyncio.wait_for(settling.reached.wait(), PATIENCE)
            await asyncio.to_thread(on_disk, server.url)
        record = await take(key, owner, held_by)
        taken.append(record is not None)
        if first:
            await crash(server, kept=False)
            await until(lambda: answers(engines[-1]), PATIENCE)
            settling.released.set()
        return record

    monkeypatch.setattr(SaqEngine, "take", deliver_by)
    monkeypatch.setattr(store, "take", take_and_crash)
    answer = await client.post(f"{AGUI}/echo/run", json=run_input(user("hello"), thread=thread, run="r"))
    assert types_of(events_of(answer.text))[-1] == "RUN_FINISHED"
    assert provider.ran == ["r"]
    assert taken[:2] == [True, True]


async def test_a_run_that_a_worker_gives_back_is_executed_though_a_crash_forgets_that(
    server: Server, stack: AsyncExitStack, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saq_engine, "TAKEN_SECONDS", 1)
    await asyncio.to_thread(written_late, server.url)
    ending, staying = EchoProvider(), EchoProvider()
    leaving, other, web = worker_of(server, ending), worker_of(server, staying), web_of(server)
    await started(stack, leaving)
    client = await served(stack, web)
    settled, crashed, takes_here = asyncio.Event(), asyncio.Event(), asyncio.Event()
    settle, deliver = web.service.archive.store.settle, SaqEngine.take

    async def settle_first(record: RunRecord, owner: str | None = None) -> None:
        await settle(record, owner)
        settled.set()

    async def deliver_and_crash(engine: SaqEngine, *given: Any) -> Any:
        takes_here.set()
        delivery = await deliver(engine, *given)
        if delivery is None or crashed.is_set():
            return delivery
        await asyncio.wait_for(settled.wait(), PATIENCE)
        await asyncio.to_thread(on_disk, server.url)
        leaving.service.draining = True
        give_back, done = delivery.give_back, delivery.done

        async def given_back() -> None:
            await give_back()
            await crash(server, kept=False)
            crashed.set()

        async def done_late() -> None:
            await crash(server, kept=False)
            await until(lambda: answers(engine), PATIENCE)
            await done()
            crashed.set()

        monkeypatch.setattr(delivery, "give_back", given_back)
        monkeypatch.setattr(delivery, "done", done_late)
        return delivery

    monkeypatch.setattr(web.service.archive.store, "settle", settle_first)
    monkeypatch.setattr(SaqEngine, "take", deliver_and_crash)
    await asyncio.wait_for(takes_here.wait(), PATIENCE)  # and not in the wait before, which would have the run
    asking = asyncio.create_task(client.post(f"{AGUI}/echo/run", json=run_input(user("hello"), thread=thread, run="r")))
    await asyncio.wait_for(crashed.wait(), PATIENCE)
    await started(stack, other)
    answer = await asyncio.wait_for(asking, PATIENCE)
    assert types_of(events_of(answer.text))[-1] == "RUN_FINISHED"
    assert (ending.ran, staying.ran) == ([], ["r"])
