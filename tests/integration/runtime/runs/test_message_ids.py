"""What an agent sends is kept and shown, whatever ids it sends it under."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.runtime.messages import ToolCallMessage, ToolResultMessage


class Naming(AgentProvider):
    """Begins messages, or calls, under the ids that it is given."""

    name = "naming"

    def __init__(self, kind: str, ids: list[Any]) -> None:
        self.kind = kind
        self.ids = ids

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="naming")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        for number, id_ in enumerate(self.ids):
            if self.kind == "text":
                yield events.TextMessageStart(message_id=id_)
                yield events.TextMessageContent(message_id=id_, delta=f"{run.run_id} {number}")
                yield events.TextMessageEnd(message_id=id_)
            else:
                yield events.ToolCallStart(tool_call_id=id_, tool_call_name="look")
                yield events.ToolCallArgs(tool_call_id=id_, delta=f'{{"number": {number}}}')
                yield events.ToolCallEnd(tool_call_id=id_)
                yield events.ToolCallResult(tool_call_id=id_, content=f"result {number}")


IDS = [[None], ["", ""], ["m", "m"], [7], ["m", None, "m", "m-2"], ["half \ud83d", "half \ud83d"]]


async def _stored(provider: Naming, runs: int) -> list[Any]:
    async with CopilotRuntime(providers=[provider]) as runtime:
        for number in range(runs):
            run = await runtime.start_run("naming", f"question {number}", thread_id="thread")
            assert await run.join() == "finished"
        state = await runtime.load_agent_state(thread_id="thread", agent_name="naming")
    assert state is not None
    assert len({message.id for message in state.messages}) == len(state.messages)
    return state.messages


@pytest.mark.parametrize("ids", IDS)
async def test_every_text_is_kept_in_its_place(ids: list[Any]) -> None:
    messages = await _stored(Naming("text", ids), runs=2)

    roles = [message.role for message in messages]
    assert roles == [*["user", *["assistant"] * len(ids)] * 2]
    numbers = [message.content.split()[-1] for message in messages]
    assert numbers == [number for run in "01" for number in (run, *map(str, range(len(ids))))]
    assert all(isinstance(message.id, str) and message.id for message in messages)


@pytest.mark.parametrize("ids", IDS)
async def test_every_call_is_kept_with_its_own_result(ids: list[Any]) -> None:
    messages = await _stored(Naming("call", ids), runs=2)

    calls = [message for message in messages if isinstance(message, ToolCallMessage)]
    results = {each.tool_call_id: each.result for each in messages if isinstance(each, ToolResultMessage)}
    assert len(calls) == len(results) == 2 * len(ids)
    assert all(results[call.id] == f"result {call.arguments['number']}" for call in calls)
