"""Agents that ignore that they are cancelled: their runs end without them, once, and their threads are free."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, RuntimeConfig
from copilotkit_runtime.runtime import events
from copilotkit_runtime.runtime.runs import run as run_module
from tests.support.agui_client import connect, run, run_input, types_of, user
from tests.support.local_server import client_of


class Stubborn(AgentProvider):
    """Goes on for as long as it likes in the first run, and answers all others at once."""

    name = "stubborn"

    def __init__(self) -> None:
        self.began, self.let_go, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="stubborn")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        if self.began.is_set():
            yield events.TextMessageStart(message_id="next")
            yield events.TextMessageContent(message_id="next", delta="answer")
            yield events.TextMessageEnd(message_id="next")
            return
        yield events.TextMessageStart(message_id="late")
        yield events.TextMessageContent(message_id="late", delta="begun")
        self.began.set()
        while not self.let_go.is_set():
            try:
                await self.let_go.wait()
            except asyncio.CancelledError:
                continue
        try:
            yield events.TextMessageContent(message_id="late", delta=" and ignored")
            yield events.TextMessageEnd(message_id="late")
            yield events.StateSnapshot(snapshot={"late": True})
        finally:
            asyncio.get_running_loop().call_soon(self.ended.set)


@pytest.mark.parametrize("stopped_by", ["client", "deadline"])
async def test_a_run_ends_without_an_agent_that_ignores_its_end_and_the_thread_is_free(
    monkeypatch: pytest.MonkeyPatch, stopped_by: str
) -> None:
    monkeypatch.setattr(run_module, "CANCEL_GRACE_SECONDS", 0.2)
    monkeypatch.setattr(run_module, "CANCEL_AGAIN_SECONDS", 0.05)
    provider = Stubborn()
    seconds = 0.5 if stopped_by == "deadline" else 60.0
    config = RuntimeConfig(installed_providers=False, metrics=True, run_timeout_seconds=seconds)
    runtime = CopilotRuntime(providers=[provider], config=config)
    async with client_of(runtime) as client, asyncio.timeout(60):
        running = asyncio.create_task(run(client, "stubborn", run_input(user("first", "a"), run="one")))
        await provider.began.wait()
        if stopped_by == "client":
            await runtime.stop("t")
        first = types_of(await running)
        second = types_of(await run(client, "stubborn", run_input(user("second", "b"), run="two")))
        provider.let_go.set()
        await provider.ended.wait()
        replayed = await connect(client, "stubborn")
        kept = await runtime.load_agent_state(thread_id="t", agent_name="stubborn")
        metrics = (await client.get("/metrics")).text
    assert [each for each in first if each in {"RUN_FINISHED", "RUN_ERROR"}] == [first[-1]]
    assert second[-1] == "RUN_FINISHED"
    assert "ignored" not in str(replayed)
    assert kept is not None
    assert kept.state == {}
    assert [getattr(each, "content", "") for each in kept.messages] == ["first", "begun", "second", "answer"]
    assert 'copilotkit_runs_abandoned_total{agent="stubborn"} 1.0' in metrics
