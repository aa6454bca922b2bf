"""An agent that calls ``sys.exit()`` fails its own run; the server and everybody else's runs go on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator

import anyio
import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.runtime.request import RunRequest
from copilotkit_runtime.runtime.runs.run import RunStatus


async def leave() -> None:
    await asyncio.sleep(0)
    sys.exit(3)


class Leaving(AgentProvider):
    """Ends the process in the way that its agent is named after."""

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name=name) for name in ("itself", "task", "group", "thread", "late")]

    async def execute_run(
        self, agent_name: str, run: RunInput, context: RunContext
    ) -> AsyncGenerator[events.Event, None]:
        yield events.TextMessageStart(message_id="m")
        if agent_name == "itself":
            sys.exit(3)
        if agent_name == "task":
            await asyncio.create_task(leave())
        if agent_name == "group":
            await asyncio.gather(leave(), asyncio.sleep(0.01))
        if agent_name == "thread":
            await asyncio.create_task(asyncio.to_thread(sys.exit, 3))
        if agent_name == "late":
            task = asyncio.create_task(asyncio.sleep(60))
            try:
                task.cancel()
                await task
            finally:
                sys.exit(3)


@pytest.mark.parametrize("agent", ["itself", "task", "group", "thread", "late"])
async def test_the_run_fails_and_the_loop_goes_on(agent: str) -> None:
    async with CopilotRuntime(providers=[Leaving()], store="memory://") as runtime:
        for thread_id in ("t", "t"):  # the thread is free afterwards
            asked = RunInput(thread_id=thread_id, run_id="r")
            handle = await runtime.service.start(RunRequest(agent_name=agent, input=asked, context=RunContext()))
            seen: list[events.Event] = []
            while batch := await handle.read():
                seen += batch
            await handle.join()
            assert handle.status is RunStatus.FAILED
            assert isinstance(seen[-1], events.RunError)
            assert seen[-1].message == "The agent tried to end the process that it runs in."
    assert asyncio.get_running_loop().get_task_factory() is None


class Grouping(AgentProvider):
    """Lets a task of anyio's fail beside one that waits for ever, and one that has not begun."""

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="group")]

    async def execute_run(
        self, agent_name: str, run: RunInput, context: RunContext
    ) -> AsyncGenerator[events.Event, None]:
        async def fail() -> None:
            await asyncio.sleep(0)
            group.start_soon(anyio.sleep_forever)
            raise ValueError("broken")

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
                group.start_soon(fail)
        except ExceptionGroup as broken:
            yield events.TextMessageStart(message_id="m")
            yield events.TextMessageContent(message_id="m", delta=repr(broken.exceptions))
            yield events.TextMessageEnd(message_id="m")


async def test_anyio_cancels_the_tasks_of_a_run_as_it_does_elsewhere() -> None:
    async with CopilotRuntime(providers=[Grouping()], store="memory://") as runtime, asyncio.timeout(20):
        asked = RunInput(thread_id="t", run_id="r")
        handle = await runtime.service.start(RunRequest(agent_name="group", input=asked, context=RunContext()))
        seen: list[events.Event] = []
        while batch := await handle.read():
            seen += batch
        await handle.join()
    assert handle.status is RunStatus.FINISHED
    assert "(ValueError('broken'),)" in [getattr(event, "delta", None) for event in seen]
