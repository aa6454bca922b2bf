"""After an outage of the store a process finds runs whose leases are over, among them its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from copilotkit_runtime import (
    AgentDescriptor,
    AgentProvider,
    CopilotRuntime,
    RunContext,
    RunInput,
    RuntimeConfig,
    events,
)
from copilotkit_runtime.runtime.errors import ThreadLostError
from copilotkit_runtime.runtime.stores.run_records import RunKey, RunRecord
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.integration.stores.conftest import SHARED
from tests.support.polling import until

pytestmark = pytest.mark.parametrize("url", SHARED, indirect=True)

WORDS = ["one ", "two ", "three"]


class Counting(AgentProvider):
    """Says some words, and waits before the last one until it may end."""

    name = "counting"

    def __init__(self) -> None:
        self.waits = asyncio.Event()
        self.may_end = asyncio.Event()
        self.resumed = 0

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="counting")]

    def can_resume(self, agent_name: str) -> bool:
        return True

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        yield events.TextMessageStart(message_id="m")
        for word in WORDS[:-1]:
            yield events.TextMessageContent(message_id="m", delta=word)
        self.waits.set()
        await self.may_end.wait()
        yield events.TextMessageContent(message_id="m", delta=WORDS[-1])
        yield events.TextMessageEnd(message_id="m")

    async def resume_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        self.resumed += 1
        async for event in self.execute_run(agent_name, run, context):
            yield event


async def lease_over(runtime: CopilotRuntime) -> RunRecord:
    """End the lease of the thread's run, as an outage does that lasts for longer; return the run."""
    found: list[RunRecord] = []

    async def is_stored() -> bool:
        found[:] = await runtime.service.archive.runs("thread")
        return bool(found)

    await until(is_stored)
    archive = runtime.service.archive
    await archive.store.release(found[0].key, archive.owner)
    return found[0]


async def test_a_process_takes_no_run_of_its_own_for_a_broken_one(url: str, settings: StoreSettings) -> None:
    agent = Counting()
    async with CopilotRuntime(providers=[agent], store=open_store(url, settings)) as runtime:
        run = await runtime.start_run("counting", "count", thread_id="thread")
        await agent.waits.wait()
        await lease_over(runtime)
        await runtime.service.broken_runs.sweep()
        agent.may_end.set()
        assert await run.join() == "finished"
        assert [record.status for record in await runtime.service.archive.runs("thread")] == ["finished"]


async def test_a_run_that_is_being_handed_over_is_gone_on_with_once_and_whole(
    url: str, settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, config = Counting(), RuntimeConfig(on_crash="resume")
    async with CopilotRuntime(providers=[agent], store=open_store(url, settings), config=config) as runtime:
        await runtime.start_run("counting", "count", thread_id="thread")
        await agent.waits.wait()
        record = await lease_over(runtime)
        archive = runtime.service.archive
        give = archive.store.release

        async def give_twice(key: RunKey, owner: str) -> None:
            await give(key, owner)  # the answer to this is lost, so that it is done again
            await runtime.service.broken_runs.sweep()
            await give(key, owner)

        monkeypatch.setattr(archive.store, "release", give_twice)
        handle = await runtime.service.readers.attach("thread")
        assert handle is not None
        archive.fail(handle.run, ThreadLostError())
        await handle.run.join()
        monkeypatch.undo()
        handle.close()
        await runtime.service.broken_runs.sweep()
        agent.may_end.set()

        async def has_ended() -> bool:
            return (await archive.runs("thread"))[0].status == "finished"

        await until(has_ended)
        history = await archive.history(record)
        assert "".join(each.delta for each in history if isinstance(each, events.TextMessageContent)) == "".join(WORDS)
        assert agent.resumed == 1
