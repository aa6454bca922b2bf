"""An agent that answers once it may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from copilotkit_runtime import AgentDescriptor, AgentProvider, RunContext, RunInput, events


class GatedAgent(AgentProvider):
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
        yield events.TextMessageContent(message_id="m", delta="answer ")
        self.begun.put_nowait(asked)
        if asked in self.gates:
            await self.gates[asked].wait()
        yield events.TextMessageContent(message_id="m", delta=f"to {asked}")
        yield events.TextMessageEnd(message_id="m")
