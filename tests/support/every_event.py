"""A runtime whose model sends something of everything: text, a tool call, its result, a thought."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from copilotkit_runtime import (
    AgentDescriptor,
    AgentProvider,
    CopilotRuntime,
    RunContext,
    RunInput,
    events,
)

SAID: list[events.Event] = [
    events.StepStarted(step_name="think"),
    events.ReasoningMessageStart(message_id="r"),
    events.ReasoningMessageContent(message_id="r", delta="hm"),
    events.ReasoningMessageEnd(message_id="r"),
    events.TextMessageStart(message_id="a"),
    events.ToolCallStart(tool_call_id="c", tool_call_name="f", parent_message_id="a"),
    events.TextMessageContent(message_id="a", delta="naïve 🙂"),
    events.ToolCallArgs(tool_call_id="c", delta='{"a":1}'),
    events.TextMessageEnd(message_id="a"),
    events.ToolCallEnd(tool_call_id="c"),
    events.ToolCallResult(tool_call_id="c", content="done"),
    events.StateSnapshot(snapshot={"n": 1}),
    events.Custom(name=events.INTERRUPT, value={"sure": True}),
    events.StepFinished(step_name="think"),
]


class Talker(AgentProvider):
    """Sends all of ``SAID``."""

    name = "talker"

    async def list_agents(self) -> list[AgentDescriptor]:
        """One agent."""
        return [AgentDescriptor(name="talker")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Sends it."""
        for event in SAID:
            yield event


runtime = CopilotRuntime(providers=[Talker()], model=Talker())
