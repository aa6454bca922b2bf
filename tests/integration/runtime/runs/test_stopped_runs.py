"""A stopped run's log is a whole stream: what was open is closed as broken, then comes one terminal event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.runtime.request import RunRequest
from copilotkit_runtime.runtime.runs.run import RunStatus
from copilotkit_runtime.runtime.runs.verifier import EventVerifier

SCRIPT: list[events.Event] = [
    events.StepStarted(step_name="node"),
    events.TextMessageStart(message_id="m"),
    events.TextMessageContent(message_id="m", delta="half"),
    events.ToolCallStart(tool_call_id="c", tool_call_name="look"),
    events.ToolCallArgs(tool_call_id="c", delta='{"a'),
    events.ToolCallEnd(tool_call_id="c"),
    events.TextMessageEnd(message_id="m"),
    events.StepFinished(step_name="node"),
]


class Pausing(AgentProvider):
    """Waits for ever behind its event of a number."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.waits = asyncio.Event()

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="a")]

    async def execute_run(
        self, agent_name: str, run: RunInput, context: RunContext
    ) -> AsyncGenerator[events.Event, None]:
        for event in SCRIPT[: self.at]:
            yield event
        self.waits.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize("at", range(len(SCRIPT) + 1))
async def test_stopping_at_each_event_leaves_a_valid_stream(at: int) -> None:
    provider = Pausing(at)
    async with CopilotRuntime(providers=[provider], store="memory://") as runtime:
        asked = RunInput(thread_id="t", run_id="r")
        handle = await runtime.service.start(RunRequest(agent_name="a", input=asked, context=RunContext()))
        async with asyncio.timeout(5):
            await provider.waits.wait()
        assert await runtime.service.stop("t")
        seen: list[events.Event] = []
        while batch := await handle.read():
            seen += batch
    assert handle.status is RunStatus.CANCELLED
    verifier = EventVerifier()
    for event in seen[1:-1]:
        verifier.check(event)
    assert verifier.closing() == []
    assert isinstance(seen[-1], events.RunFinished)
    assert [type(event) for event in seen].count(events.RunFinished) == 1
    ends = [event for event in seen if isinstance(event, events.TextMessageEnd | events.ToolCallEnd)]
    assert all(event.broken for event in ends if event not in SCRIPT)
