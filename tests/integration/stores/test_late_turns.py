"""What a run said is stored once the store is back, and takes nothing back that a newer run has stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

import msgspec
import pytest
from structlog.testing import capture_logs

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.runs import recording, turn_saver
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.integration.stores.conftest import KINDS
from tests.integration.stores.servers import Server
from tests.support.locked_store import LockedStore
from tests.support.polling import until


class Answering(AgentProvider):
    """Answers once it may, with the question's text as its state."""

    name = "answering"

    def __init__(self) -> None:
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.gates: dict[str, asyncio.Event] = {}

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="answering")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        asked = getattr(run.messages[-1], "content", "")
        yield events.StateSnapshot(snapshot={"last": asked})
        yield events.TextMessageStart(message_id="m")
        yield events.TextMessageContent(message_id="m", delta=f"answer to {asked}")
        self.begun.put_nowait(asked)
        if asked in self.gates:
            await self.gates[asked].wait()
        yield events.TextMessageEnd(message_id="m")


async def _texts(runtime: CopilotRuntime) -> list[str]:
    state = await runtime.load_agent_state(thread_id="thread", agent_name="answering")
    return [message.content for message in state.messages if isinstance(message, TextMessage)] if state else []


async def make_tables(server: Server, settings: StoreSettings) -> None:
    """Make the server's tables with patience, which takes longer than any later command may."""
    store = open_store(server.url, settings)
    await store.start()
    await store.stop()


@pytest.fixture
def impatient(settings: StoreSettings, monkeypatch: pytest.MonkeyPatch) -> StoreSettings:
    """Settings of a store that is given up soon."""
    monkeypatch.setattr(turn_saver, "PATIENCE_WITH_STORE_SECONDS", 0.2)
    monkeypatch.setattr(turn_saver, "SAVE_SECONDS", 3.0)
    monkeypatch.setattr(recording, "PATIENCE_SECONDS", 0.2)
    return msgspec.structs.replace(settings, connect_timeout=3.0, command_timeout=1.0, retry_for=0.5, lease=2.0)


@pytest.mark.parametrize("server", ["redis", "postgres"], indirect=True)
async def test_a_turn_waits_in_memory_for_a_store_that_is_away(
    server: Server, settings: StoreSettings, impatient: StoreSettings
) -> None:
    await make_tables(server, settings)
    agent = Answering()
    agent.gates["one"] = asyncio.Event()
    async with CopilotRuntime(providers=[agent], store=open_store(server.url, impatient)) as runtime:
        run = await runtime.start_run("answering", "one", thread_id="thread")
        await agent.begun.get()
        server.freeze()
        try:
            agent.gates["one"].set()
            assert await run.join() == "failed"
        finally:
            server.thaw()

        async def is_stored() -> bool:
            with suppress(StoreUnavailableError):  # the server needs a moment
                return await _texts(runtime) == ["one", "answer to one"]
            return False

        async def is_forgotten() -> bool:
            return runtime.service.turns.waiting == 0

        await until(is_stored)
        await until(is_forgotten)  # a moment after what it waited for


@pytest.mark.parametrize("url", KINDS, indirect=True)
async def test_a_run_whose_lease_is_over_overwrites_nothing(url: str, settings: StoreSettings) -> None:
    """It sleeps, as a process does that was stopped, and does not know that its thread has been given away."""
    settings = msgspec.structs.replace(settings, lease=0.3, heartbeat=600.0)
    agent, store = Answering(), open_store(url, settings)
    agent.gates["one"] = asyncio.Event()
    async with CopilotRuntime(providers=[agent], store=store) as runtime:
        old = await runtime.start_run("answering", "one", thread_id="thread")
        await agent.begun.get()
        new = await runtime.start_run("answering", "two", thread_id="thread")
        assert await new.join() == "finished"

        agent.gates["one"].set()
        await old.join()

        async def is_stored() -> bool:
            return await _texts(runtime) == ["one", "answer to one", "two", "answer to two"]

        await until(is_stored)
        state = await runtime.load_agent_state(thread_id="thread", agent_name="answering")
        assert state is not None
        assert state.state == {"last": "two"}


async def test_what_waits_is_bounded_and_what_is_given_up_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turn_saver, "LATE_TURNS", 2)
    agent, store = Answering(), LockedStore()

    with capture_logs() as logs:
        async with CopilotRuntime(providers=[agent], store=store) as runtime:
            for number in range(4):
                agent.gates[str(number)] = asyncio.Event()
                run = await runtime.start_run("answering", str(number), thread_id=f"thread {number}")
                await agent.begun.get()
                store.locks[-1].lose()
                await run.join()
            assert runtime.service.turns.waiting == 2
    assert sum(record["event"] == "turn_lost" for record in logs) >= 2
