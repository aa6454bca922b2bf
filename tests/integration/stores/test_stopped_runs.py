"""A stopped run's log is a whole stream: what was open is closed as broken, then comes one terminal event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.runtime.context import Tool
from copilotkit_runtime.runtime.messages import Message, TextMessage, ToolCallMessage, ToolResultMessage
from copilotkit_runtime.runtime.request import FrontendAction, RunRequest
from copilotkit_runtime.runtime.runs.compaction import compact
from copilotkit_runtime.runtime.runs.handle import RunHandle
from copilotkit_runtime.runtime.runs.run import RunStatus
from copilotkit_runtime.runtime.runs.verifier import EventVerifier
from copilotkit_runtime.runtime.stores.interface import AgentState
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.integration.stores.conftest import KINDS

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
    """Waits for ever behind its event of a number, but for the run ``next``, which is over at once."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.waits = asyncio.Event()
        self.given: list[Message] = []

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="a")]

    async def execute_run(
        self, agent_name: str, run: RunInput, context: RunContext
    ) -> AsyncGenerator[events.Event, None]:
        if run.run_id == "next":
            self.given = run.messages
            yield events.TextMessageStart(message_id="n")
            yield events.TextMessageContent(message_id="n", delta="next")
            return
        for event in SCRIPT[: self.at]:
            yield event
        self.waits.set()
        await asyncio.Event().wait()


def is_valid_for_a_strict_model(messages: Sequence[Message]) -> bool:
    """Whether each call has one result, behind it and in front of whatever else is said, and no result lacks a call."""
    open_calls: list[str] = []
    for message in messages:
        if isinstance(message, ToolCallMessage):
            open_calls.append(message.id)
        elif isinstance(message, ToolResultMessage):
            if message.tool_call_id not in open_calls:
                return False
            open_calls.remove(message.tool_call_id)
        elif open_calls and isinstance(message, TextMessage) and message.role == "user":
            return False
    return not open_calls


async def stopped(
    runtime: CopilotRuntime, handle: RunHandle, waits: asyncio.Event
) -> tuple[AgentState | None, list[events.Event]]:
    """Stop a run once its agent waits; return what is kept of the thread then, and the run's events."""
    async with asyncio.timeout(20):
        await waits.wait()
    assert await runtime.service.stops.stop("t")
    kept = await runtime.load_agent_state(thread_id="t", agent_name="a")
    seen: list[events.Event] = []
    while batch := await handle.read():
        seen += batch
    return kept, seen


@pytest.mark.parametrize("url", KINDS, indirect=True)
@pytest.mark.parametrize("at", range(len(SCRIPT) + 1))
async def test_stopping_at_each_event_leaves_a_valid_stream(url: str, settings: StoreSettings, at: int) -> None:
    """Every index on every store."""
    provider = Pausing(at)
    async with CopilotRuntime(providers=[provider], store=open_store(url, settings)) as runtime:
        asked = RunInput(thread_id="t", run_id="r")
        handle = await runtime.service.start(RunRequest(agent_name="a", input=asked, context=RunContext()))
        kept, seen = await stopped(runtime, handle, provider.waits)
        said = TextMessage(id="u", role="user", content="go on")
        again = RunInput(thread_id="t", run_id="next", messages=[*(kept.messages if kept else ()), said])
        going_on = await runtime.service.start(RunRequest(agent_name="a", input=again, context=RunContext()))
        while await going_on.read():
            pass
        first, second = await runtime.service.archive.runs("t")
        logged = await runtime.service.archive.history(first)
    assert (first.status, second.status) == ("cancelled", "finished")
    assert handle.status is RunStatus.CANCELLED
    assert going_on.status is RunStatus.FINISHED
    assert is_valid_for_a_strict_model(provider.given)
    assert seen[1 : at + 1] == SCRIPT[:at]
    for whole in (seen, logged):
        verifier = EventVerifier()
        for event in whole[1:-1]:
            verifier.check(event)
        assert verifier.closing() == []
        assert isinstance(whole[-1], events.RunFinished)
        assert [type(event) for event in whole].count(events.RunFinished) == 1
    assert compact(logged) == compact(seen)
    ends = [event for event in seen if isinstance(event, events.TextMessageEnd | events.ToolCallEnd)]
    assert all(event.broken for event in ends if event not in SCRIPT)
    assert kept is not None
    calls = [message.id for message in kept.messages if isinstance(message, ToolCallMessage)]
    results = [message.tool_call_id for message in kept.messages if isinstance(message, ToolResultMessage)]
    assert calls == results == (["c"] if at > 3 else [])
    told = [event.tool_call_id for event in seen if isinstance(event, events.ToolCallResult)]
    assert told == (["c"] if at > 5 else [])


class RaisingLate(AgentProvider):
    """Sends half a word and calls a tool of its own and one of the client's; raises once it is stopped."""

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="a")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        yield events.TextMessageStart(message_id="m")
        yield events.TextMessageContent(message_id="m", delta="half")
        for id_, name in (("own", "look"), ("client's", "show")):
            yield events.ToolCallStart(tool_call_id=id_, tool_call_name=name)
            yield events.ToolCallEnd(tool_call_id=id_)
        self.waits.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise self.error

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.waits = asyncio.Event()


@pytest.mark.parametrize("url", KINDS, indirect=True)
@pytest.mark.parametrize("error", [ValueError("late"), RuntimeError("late"), SystemExit(1), TimeoutError("late")])
async def test_an_agent_that_raises_once_it_is_stopped_ends_once_and_keeps_what_it_sent(
    url: str, settings: StoreSettings, error: BaseException
) -> None:
    provider = RaisingLate(error)
    async with CopilotRuntime(providers=[provider], store=open_store(url, settings)) as runtime:
        asked = RunInput(thread_id="t", run_id="r")
        show = FrontendAction(tool=Tool(name="show", description="", parameters={}))
        request = RunRequest(agent_name="a", input=asked, context=RunContext(), frontend_actions=[show])
        handle = await runtime.service.start(request)
        kept, seen = await stopped(runtime, handle, provider.waits)
    assert sum(isinstance(event, events.RunFinished | events.RunError) for event in seen) == 1
    assert isinstance(seen[-1], events.RunFinished | events.RunError)
    assert kept is not None
    assert [message.content for message in kept.messages if isinstance(message, TextMessage)] == ["half"]
    # The client's tool is the client's to answer.
    results = [message.tool_call_id for message in kept.messages if isinstance(message, ToolResultMessage)]
    assert results == ["own"]
