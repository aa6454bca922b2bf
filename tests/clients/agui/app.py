"""What the clients of the AG-UI matrix talk to: an agent that plays scripts and answers, and one that reports."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.runtime.messages import ToolResultMessage
from tests.support.scripted_agent import play, read_script


class PlayerProvider(AgentProvider):
    """Plays the script in the last text, or sends what a tool, or a person, has answered."""

    name = "player"

    async def list_agents(self) -> list[AgentDescriptor]:
        """The one agent."""
        return [AgentDescriptor(name="default", description="Plays scripts")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Plays, or answers."""
        if run.resume:
            answered = say(f"answered {msgspec.json.encode(run.resume[0].answer).decode()}", run.run_id)
        elif isinstance(run.messages[-1], ToolResultMessage):
            answered = say(f"the tool said {run.messages[-1].result}", run.run_id)
        else:
            async for event in play(read_script(run)):
                yield event
            return
        for event in answered:
            yield event


class ReporterProvider(AgentProvider):
    """Says, as JSON, what it was given."""

    name = "reporter"

    async def list_agents(self) -> list[AgentDescriptor]:
        """The one agent."""
        return [AgentDescriptor(name="reporter/1", description="Says what it was given")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Reports."""
        given = {
            "state": run.state,
            "context": run.context,
            "tools": [tool.name for tool in run.tools],
            "headers": dict(context.headers),
            "properties": context.properties,
        }
        for event in say(msgspec.json.encode(given).decode(), run.run_id):
            yield event
        yield events.StateSnapshot(snapshot={**run.state, "seen": True})


def say(text: str, run_id: str) -> list[events.Event]:
    """The events of a message."""
    id_ = f"said-{run_id}"
    return [
        events.TextMessageStart(message_id=id_),
        events.TextMessageContent(message_id=id_, delta=text),
        events.TextMessageEnd(message_id=id_),
    ]


runtime = CopilotRuntime(providers=[PlayerProvider(), ReporterProvider()])
