"""A runtime whose one agent sends a word and waits, or, asked to ``count``, sends the number of the process's tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.runtime.messages import TextMessage

COUNT = "count"
WORD = "waiting"


class Sleeper(AgentProvider):
    """Waits for as long as its client does."""

    name = "sleeper"

    async def list_agents(self) -> list[AgentDescriptor]:
        """Return the one agent."""
        return [AgentDescriptor(name="sleeper")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Yield a word, and wait."""
        asked = next(message for message in run.messages if isinstance(message, TextMessage))
        counts = asked.content == COUNT
        yield events.TextMessageStart(message_id="word")
        yield events.TextMessageContent(message_id="word", delta=f"<{len(asyncio.all_tasks())}>" if counts else WORD)
        if not counts:
            await asyncio.get_running_loop().create_future()
        yield events.TextMessageEnd(message_id="word")


runtime = CopilotRuntime(providers=[Sleeper()], store="memory://")
