"""A runtime whose one agent sends a number of words at a pace, both from the state: ``{"words": 1800, "pace": 0.033}``.

Its store is the one that ``COPILOTKIT_STORE`` names; by default memory.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.runtime.messages import TextMessage

MARK = "~"


class Speaker(AgentProvider):
    """Keeps to its pace whatever the load, as a vendor's socket does: words that came meanwhile are there at once."""

    name = "speaker"

    async def list_agents(self) -> list[AgentDescriptor]:
        """Return the one agent."""
        return [AgentDescriptor(name="speaker")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Yield the words."""
        asked = next(message for message in run.messages if isinstance(message, TextMessage))
        words, pace = (json.loads(asked.content)[key] for key in ("words", "pace"))
        loop = asyncio.get_running_loop()
        due = loop.time()
        yield events.TextMessageStart(message_id="speech")
        for number in range(words):
            due += pace
            ahead = due - loop.time()
            if ahead > 0:
                await asyncio.sleep(ahead)
            yield events.TextMessageContent(message_id="speech", delta=f"{MARK}{number}")
        yield events.TextMessageEnd(message_id="speech")


runtime = CopilotRuntime(providers=[Speaker()])
