"""An answer whose reader fell behind ends like one whose reader kept up."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, RunContext, RunInput, events
from copilotkit_runtime.runtime.runs.handle import RunHandle
from copilotkit_runtime.runtime.runs.run import Run
from copilotkit_runtime.wires.graphql.live_response import LiveResponse

WORDS = 3000


class Talkative(AgentProvider):
    """Sends much, between two calls, and asks two questions."""

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="a")]

    async def execute_run(
        self, agent_name: str, run: RunInput, context: RunContext
    ) -> AsyncGenerator[events.Event, None]:
        yield events.Custom(name=events.INTERRUPT, value="first?")
        for call in ("c1", "c2"):
            yield events.ToolCallStart(tool_call_id=call, tool_call_name="search")
            yield events.ToolCallArgs(tool_call_id=call, delta='{"q": ')
            for message in (f"{call}-m1", f"{call}-m2"):
                yield events.TextMessageStart(message_id=message)
                for number in range(WORDS):
                    yield events.TextMessageContent(message_id=message, delta=f"{number} ")
                yield events.TextMessageEnd(message_id=message)
                yield events.StateSnapshot(snapshot={"last": message})
            yield events.ToolCallArgs(tool_call_id=call, delta='"x"}')
            yield events.ToolCallEnd(tool_call_id=call)
            yield events.ToolCallResult(tool_call_id=call, content=f"found by {call}")
        yield events.Custom(name=events.INTERRUPT, value="second?")


def shown(response: LiveResponse) -> dict[str, Any]:
    texts = {m.id: "".join(m.content) for m in response.messages if hasattr(m, "content")}
    calls = {m.id: "".join(m.arguments) for m in response.messages if hasattr(m, "arguments")}
    results = {m.id: m.result for m in response.messages if hasattr(m, "result")}
    states = [m.state for m in response.messages if hasattr(m, "state")]
    questions = [event.value for event in response.meta_events]  # type: ignore[union-attr]
    return {"texts": texts, "calls": calls, "results": results, "state": states[-1], "questions": questions}


async def ended(_run: Run) -> None:
    pass


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 17, 40])
async def test_a_reader_that_fell_behind_sees_all_of_it(turns: int) -> None:
    asked = RunInput(thread_id="t", run_id="r")
    run = Run(Talkative(), "a", asked, RunContext(), timeout=30, on_end=ended)
    fast = LiveResponse(thread_id="t", run=RunHandle(run, run.log.subscribe()))
    slow = LiveResponse(thread_id="t", run=RunHandle(run, run.log.subscribe()))
    run.start()
    for _ in range(turns):
        await fast.run.arrival()
        fast.advance()
        slow.advance()
    await fast.complete()
    await slow.complete()
    assert shown(slow) == shown(fast)
    assert slow.status == fast.status or type(slow.status) is type(fast.status)
    assert len(fast.messages) == len({message.id for message in fast.messages})
    assert [m.id for m in slow.messages if not hasattr(m, "state")] == [
        m.id for m in fast.messages if not hasattr(m, "state")
    ]
