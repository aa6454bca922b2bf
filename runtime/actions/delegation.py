"""Agents offered as tools: whoever calls one hands the conversation over to it, within the same run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeAlias

from .. import events
from ..context import Tool
from ..errors import CopilotKitError
from ..provider import AgentDescriptor
from ..runs.handle import RunHandle

StartRun: TypeAlias = Callable[[str], Awaitable[RunHandle]]


class AgentAction:
    """An agent as a tool without arguments.

    Args:
        agent: The agent.
        start: Starts a run of the agent of that name on the same thread.
    """

    def __init__(self, agent: AgentDescriptor, start: StartRun) -> None:
        self.name = agent.name
        self.tool = Tool(
            name=agent.name,
            description=agent.description,
            parameters={"type": "object", "properties": {}, "required": []},
        )
        self.started_text = f"{agent.name} agent started"
        self._start = start

    async def run(self) -> AsyncGenerator[events.Event]:
        """Run the agent, and yield its events between two that name the speaker, none of which ends the outer run.

        Raises:
            CopilotKitError: The agent cannot be run, or failed: before the first event, if it did nothing.
        """
        handle = await self._start(self.name)
        entered = False
        try:
            while batch := await handle.read():
                for event in batch:
                    if isinstance(event, events.RunError):
                        raise handle.error or CopilotKitError(event.message)
                    if isinstance(event, events.RunStarted):
                        continue
                    if not entered:
                        yield events.Custom(name=events.AGENT_ENTERED, value=_speaker(handle))
                        entered = True
                    if not isinstance(event, events.RunFinished):
                        yield event
            yield events.Custom(name=events.AGENT_LEFT, value=_speaker(handle))
        finally:
            handle.close()
            await handle.cancel()


def _speaker(handle: RunHandle) -> dict[str, Any]:
    return {"agentName": handle.agent_name, "runId": handle.run_id}
