"""A run that is to be stopped ends, even if whoever stops it is cancelled on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from copilotkit_runtime import (
    AgentDescriptor,
    AgentProvider,
    CopilotRuntime,
    RunContext,
    RunInput,
    RuntimeConfig,
    events,
)


class SlowToEnd(AgentProvider):
    """Swallows the first cancellation, as a client of a database on Python 3.11 may."""

    name = "slow"

    def __init__(self) -> None:
        self.working, self.cancelled = asyncio.Event(), asyncio.Event()

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="slow")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        yield events.TextMessageStart(message_id="m")
        self.working.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
        await asyncio.Event().wait()


async def test_a_stop_whose_caller_is_cancelled_goes_on() -> None:
    provider = SlowToEnd()
    async with CopilotRuntime(providers=[provider], config=RuntimeConfig(installed_providers=False)) as runtime:
        run = await runtime.start_run("slow", "Begin.", thread_id="thread")
        await provider.working.wait()
        stopping = asyncio.create_task(runtime.stop("thread"))
        await provider.cancelled.wait()
        stopping.cancel()
        with suppress(asyncio.CancelledError):
            await stopping
        async with asyncio.timeout(10):
            assert await run.join() == "cancelled"
