"""The agent that the TypeScript runtime's own suites talk to, and the runtimes that they are run against."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator

import httpx

from copilotkit_runtime import (
    AgentDescriptor,
    AgentProvider,
    CopilotRuntime,
    RunContext,
    RunInput,
    RuntimeConfig,
    events,
)


class Greeter(AgentProvider):
    """Sends the headers that it gets to the suites, and sends what they expect."""

    name = "greeter"

    async def list_agents(self) -> list[AgentDescriptor]:
        """The one agent."""
        return [AgentDescriptor(name="default")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Greets."""
        async with httpx.AsyncClient() as client:
            await client.post(os.environ["HEADERS_URL"], json=dict(context.headers))
        yield events.TextMessageStart(message_id="m1")
        yield events.TextMessageContent(message_id="m1", delta="Hello from test")
        yield events.TextMessageEnd(message_id="m1")


runtime = CopilotRuntime(providers=[Greeter()], config=RuntimeConfig(debug_events=True))
production = CopilotRuntime(providers=[Greeter()], config=RuntimeConfig(env="production", auth="none"))
