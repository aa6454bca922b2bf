"""What an ended run said leaves memory with the run, and waits for no garbage collection."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncGenerator, Iterator
from unittest.mock import patch

import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.runtime.runs.run import Run
from tests.support.polling import until


class Speaker(AgentProvider):
    """Says something."""

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="speaker")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        yield events.TextMessageStart(message_id="m")
        yield events.TextMessageContent(message_id="m", delta="text")
        yield events.TextMessageEnd(message_id="m")


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Switch the garbage collector off."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
async def test_an_ended_run_is_gone_without_a_garbage_collection() -> None:
    logs: list[weakref.ref[object]] = []
    start = Run.start

    def noted(run: Run) -> None:
        logs.append(weakref.ref(run.log))
        start(run)

    with patch.object(Run, "start", noted):
        async with CopilotRuntime(providers=[Speaker()]) as runtime:
            for _ in range(3):
                run = await runtime.start_run("speaker", "question", thread_id="thread")
                assert await run.join() == "finished"
            del run

            async def gone() -> bool:
                return [log() for log in logs] == [None] * 3

            await until(gone)
