"""A stop that comes before its run is there, or while several go on, in any process, is not lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from copilotkit_runtime import CopilotRuntime, events
from copilotkit_runtime.runtime.context import RunContext, RunInput
from copilotkit_runtime.runtime.errors import ThreadNotFoundError
from copilotkit_runtime.runtime.hooks.interface import Hooks
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.request import RunRequest
from copilotkit_runtime.runtime.runs.handle import RunHandle
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from tests.support.polling import until
from tests.support.request_bodies import text
from tests.support.scripted_agent import AGENT, ScriptedProvider

THREAD = "thread"


class Gate:
    """A hook before requests that waits for the test."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, *_: Any) -> None:
        """Wait."""
        self.reached.set()
        await self.opened.wait()


def asked(*script: Any, run_id: str = "run", identity: str | None = None, thread: str = THREAD) -> RunRequest:
    message = TextMessage(id="u1", role="user", content=msgspec.json.encode(script).decode())
    given = RunInput(thread_id=thread, run_id=run_id, messages=[message])
    return RunRequest(agent_name=AGENT, input=given, context=RunContext(identity=identity))


HANGING = (*text("m", "so far")[:2], {"hang": True})


async def rest(handle: RunHandle) -> list[events.Event]:
    found: list[events.Event] = []
    while batch := await handle.read():
        found += batch
    handle.close()
    return found


def runtime(store: str = "memory://", **more: Any) -> CopilotRuntime:
    return CopilotRuntime(providers=[ScriptedProvider()], store=store, **more)


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[CopilotRuntime, CopilotRuntime]]:
    """Two processes with one store."""
    async with AsyncExitStack() as stack:
        url = f"sqlite:///{tmp_path / 'runs.sqlite'}"
        yield (
            await stack.enter_async_context(runtime(url)),
            await stack.enter_async_context(runtime(url)),
        )


@pytest.mark.parametrize("run_id", ["run", None])
async def test_a_stop_that_comes_before_the_run_is_there_stops_it(run_id: str | None) -> None:
    gate = Gate()
    async with runtime(hooks=Hooks(on_before_request=gate)) as served:
        starting = asyncio.create_task(served.service.start(asked(*HANGING)))
        await gate.reached.wait()
        assert await served.service.stops.stop(THREAD, run_id=run_id)
        gate.opened.set()
        async with asyncio.timeout(20):
            whole = await rest(await starting)
        assert isinstance(whole[0], events.RunStarted)
        assert isinstance(whole[-1], (events.RunFinished, events.RunError))
        assert served.service.active_runs == 0
        again = await served.service.start(asked(*text("m2", "free")))
        assert isinstance((await rest(again))[-1], events.RunFinished)


async def test_a_stop_that_means_another_run_or_comes_from_somebody_else_leaves_a_beginning_run_alone() -> None:
    gate = Gate()
    async with runtime(hooks=Hooks(on_before_request=gate)) as served:
        starting = asyncio.create_task(served.service.start(asked(*text("m", "whole"), identity="ann")))
        await gate.reached.wait()
        assert not await served.service.stops.stop(THREAD, run_id="another", identity="ann")
        with pytest.raises(ThreadNotFoundError):
            await served.service.stops.stop(THREAD, identity="bob")
        with pytest.raises(ThreadNotFoundError):
            await served.service.stops.stop("another thread", identity="ann")
        gate.opened.set()
        async with asyncio.timeout(20):
            whole = await rest(await starting)
        assert any(isinstance(event, events.TextMessageContent) for event in whole)


async def test_a_request_that_is_refused_is_not_a_beginning_any_longer() -> None:
    async def refuse(*_: Any) -> None:
        raise ValueError("no")

    async with runtime(hooks=Hooks(on_before_request=refuse)) as served:
        with pytest.raises(ValueError, match="no"):
            await served.service.start(asked(*HANGING))
        assert not await served.service.stops.stop(THREAD)


async def running(served: CopilotRuntime, run_id: str, thread: str = THREAD) -> RunHandle:
    """Start a run that sends something and hangs, and wait until other processes see it."""
    handle = await served.service.start(asked(*HANGING, run_id=run_id, thread=thread))

    async def is_stored() -> bool:
        return any(record.run_id == run_id for record in await served.service.archive.runs(thread))

    await until(is_stored)
    return handle


async def test_all_runs_of_a_thread_are_stopped_in_all_processes(both: tuple[CopilotRuntime, CopilotRuntime]) -> None:
    here, there = both
    first = await running(here, "first")
    waiting = await running(there, "second")
    async with asyncio.timeout(60):
        assert await there.service.stops.stop(THREAD), "the one here, which waits for its turn, and the one that has it"
        stopped, never_begun = await rest(first), await rest(waiting)
    assert any(isinstance(event, events.TextMessageContent) for event in stopped)
    assert not any(isinstance(event, events.TextMessageContent) for event in never_begun)
    for whole in (stopped, never_begun):
        assert isinstance(whole[-1], events.RunFinished | events.RunError)
    assert here.service.active_runs == there.service.active_runs == 0
    assert not await there.service.stops.stop(THREAD)


async def test_of_several_runs_in_another_process_the_one_that_is_named_is_stopped(
    both: tuple[CopilotRuntime, CopilotRuntime],
) -> None:
    here, there = both
    first = await running(here, "first")
    second = await running(here, "second")
    async with asyncio.timeout(60):
        assert await there.service.stops.stop(THREAD, run_id="first")
        await rest(first)
        assert here.service.active_runs == 1
        assert await there.service.stops.stop(THREAD, run_id="second")
        await rest(second)


async def test_a_stop_in_another_process_waits_a_moment_for_the_run_that_it_names(
    both: tuple[CopilotRuntime, CopilotRuntime], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = both
    await rest(await here.service.start(asked(*text("m0", "earlier"), run_id="earlier")))
    looked, runs = asyncio.Event(), there.service.archive.store.runs

    async def look(thread_id: str, limit: int | None = None) -> Any:
        found = await runs(thread_id, limit)
        looked.set()
        return found

    monkeypatch.setattr(there.service.archive.store, "runs", look)
    monkeypatch.setattr("copilotkit_runtime.runtime.runs.archive._BEGIN_SECONDS", 60.0)
    stopping = asyncio.create_task(there.service.stops.stop(THREAD, run_id="late"))
    await looked.wait()
    late = await here.service.start(asked(*HANGING, run_id="late"))
    async with asyncio.timeout(60):
        assert await stopping
        await rest(late)


async def test_a_stop_here_does_not_fail_because_the_store_is_away(
    both: tuple[CopilotRuntime, CopilotRuntime], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _ = both
    handle = await running(here, "run")

    async def away(*_: Any) -> Any:
        raise StoreUnavailableError

    monkeypatch.setattr(here.service.archive.store, "runs", away)
    async with asyncio.timeout(60):
        assert await here.service.stops.stop(THREAD)
        await rest(handle)


async def test_a_stop_of_a_run_whose_process_has_gone_answers_in_time(
    both: tuple[CopilotRuntime, CopilotRuntime], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, there = both
    store = there.service.archive.store
    await there.service.threads.open(THREAD, None, AGENT)
    await store.open(THREAD, run_id="gone", agent_name=AGENT, owner="a process that has gone")
    monkeypatch.setattr("copilotkit_runtime.runtime.runs.remote.STOP_SECONDS", 0.2)
    async with asyncio.timeout(60):
        assert await there.service.stops.stop(THREAD, run_id="gone")
