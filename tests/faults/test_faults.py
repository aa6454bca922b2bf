"""Faults that no other test brings about, on every store."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.runtime.errors import ThreadNotFoundError
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.request import RunRequest
from copilotkit_runtime.runtime.runs.handle import RunHandle
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.integration.stores.conftest import KINDS
from tests.support.polling import until

USER: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")
KINDS_OF_RUNS = ("answer", "raise", "tool", "cancelled", "odd")


class Faulty(AgentProvider):
    """Does what the question asks for."""

    name = "faulty"

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="faulty")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        kind, _, rest = getattr(run.messages[-1], "content", "").partition(" ")
        before = USER.get()
        USER.set(rest)
        yield events.TextMessageStart(message_id="m")
        for piece in range(int(rest) if kind == "long" else 3):
            yield events.TextMessageContent(message_id="m", delta=f"{piece} " if kind != "long" else "x" * 1000)
            await asyncio.sleep(0)
        if kind == "raise":
            raise ValueError("broken")
        if kind == "block":
            time.sleep(2)  # noqa: ASYNC251 - the fault itself
        if kind == "cancelled":
            await asyncio.Event().wait()
        if kind == "odd":
            yield events.TextMessageContent(message_id="not open", delta="odd")
        yield events.TextMessageContent(message_id="m", delta=f"[{before} {USER.get()}]")
        yield events.TextMessageEnd(message_id="m")
        if kind == "tool":
            yield events.ToolCallStart(tool_call_id="c", tool_call_name="look")
            yield events.ToolCallArgs(tool_call_id="c", delta="{")
            yield events.ToolCallEnd(tool_call_id="c")
            yield events.ToolCallResult(tool_call_id="c", content="seen")


@pytest.fixture
async def runtime(url: str, settings: StoreSettings) -> AsyncIterator[CopilotRuntime]:
    async with CopilotRuntime(providers=[Faulty()], store=open_store(url, settings)) as runtime:
        yield runtime


async def begin(runtime: CopilotRuntime, text: str, thread_id: str) -> RunHandle:
    asked = RunInput(
        thread_id=thread_id, run_id=f"run of {thread_id}", messages=[TextMessage(role="user", content=text)]
    )
    return await runtime.service.start(RunRequest(agent_name="faulty", input=asked, context=RunContext()))


async def read(handle: RunHandle) -> list[events.Event]:
    seen: list[events.Event] = []
    while batch := await handle.read():
        seen += batch
    return seen


async def kept(runtime: CopilotRuntime, thread_id: str) -> list[str]:
    state = await runtime.load_agent_state(thread_id=thread_id, agent_name="faulty")
    messages: list[Any] = state.messages if state is not None else []
    return [message.content for message in messages if isinstance(message, TextMessage)]


@pytest.mark.parametrize("url", KINDS, indirect=True)
async def test_a_hundred_runs_of_every_kind_end_as_they_should(runtime: CopilotRuntime) -> None:
    kinds = {f"thread {number}": KINDS_OF_RUNS[number % len(KINDS_OF_RUNS)] for number in range(100)}
    handles = {thread: await begin(runtime, f"{kind} {thread}", thread) for thread, kind in kinds.items()}

    async def follow(thread: str) -> list[events.Event]:
        if kinds[thread] == "cancelled":
            await runtime.service.stops.stop(thread)
        return await read(handles[thread])

    seen = dict(zip(kinds, await asyncio.gather(*map(follow, kinds)), strict=True))
    for thread, kind in kinds.items():
        endings = [event for event in seen[thread] if isinstance(event, events.RunFinished | events.RunError)]
        assert len(endings) == 1
        assert isinstance(endings[0], events.RunError) == (kind in ("raise", "odd"))
        texts = await kept(runtime, thread)
        assert texts[:1] == [f"{kind} {thread}"] or kind == "cancelled"
        if kind in ("answer", "tool"):
            assert texts[1:] == [f"0 1 2 [nobody {thread}]"]
    assert runtime.service.active_runs == 0


@pytest.mark.parametrize("url", KINDS, indirect=True)
async def test_context_variables_of_a_hundred_users_do_not_cross(runtime: CopilotRuntime) -> None:
    for _ in range(2):
        threads = [f"user-{number}" for number in range(100)]
        handles = await asyncio.gather(*(begin(runtime, f"answer {thread}", thread) for thread in threads))
        await asyncio.gather(*map(read, handles))
    for thread in threads:
        assert set((await kept(runtime, thread))[1::2]) == {f"0 1 2 [nobody {thread}]"}


@pytest.mark.parametrize("url", KINDS, indirect=True)
async def test_a_stop_after_the_end_changes_nothing(runtime: CopilotRuntime) -> None:
    seen = await read(await begin(runtime, "answer", "thread"))
    before = await kept(runtime, "thread")

    assert not await runtime.service.stops.stop("thread")
    assert isinstance(seen[-1], events.RunFinished)
    assert await kept(runtime, "thread") == before


@pytest.mark.parametrize("url", KINDS, indirect=True)
async def test_a_loop_that_was_blocked_goes_on_with_all_runs(runtime: CopilotRuntime) -> None:
    handles = [await begin(runtime, f"{kind} x", f"{kind} {number}") for number in range(5) for kind in ("answer",)]
    handles.append(await begin(runtime, "block x", "blocked"))
    for seen in await asyncio.gather(*map(read, handles)):
        assert isinstance(seen[-1], events.RunFinished)


@pytest.mark.parametrize("url", KINDS, indirect=True)
async def test_a_slow_reader_holds_up_nobody_else(runtime: CopilotRuntime) -> None:
    slow = await begin(runtime, "long 5000", "slow")
    quick = await asyncio.gather(*[begin(runtime, "answer x", f"quick {number}") for number in range(20)])
    async with asyncio.timeout(10):
        for seen in await asyncio.gather(*map(read, quick)):
            assert isinstance(seen[-1], events.RunFinished)
    # The slow one's run waits for its reader, and ends when it reads on.
    assert runtime.service.active_runs == 1
    seen = await read(slow)
    assert sum(len(event.delta) for event in seen if isinstance(event, events.TextMessageContent)) >= 5_000_000
    assert isinstance(seen[-1], events.RunFinished)


@pytest.mark.parametrize("url", KINDS, indirect=True)
async def test_a_thread_that_has_expired_is_followed_by_nobody(url: str, settings: StoreSettings) -> None:
    settings = msgspec.structs.replace(settings, ttl=0.3)
    async with CopilotRuntime(providers=[Faulty()], store=open_store(url, settings)) as runtime:
        await read(await begin(runtime, "answer", "thread"))

        async def is_gone() -> bool:
            return await kept(runtime, "thread") == []

        await until(is_gone)
        with suppress(ThreadNotFoundError):
            assert await runtime.service.readers.follow("thread") is None
