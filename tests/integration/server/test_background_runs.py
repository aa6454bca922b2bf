"""An application starts runs, follows them and stops them without a client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from copilotkit_runtime import CopilotRuntime, ThreadPage, errors, events
from tests.support.request_bodies import event, text
from tests.support.scripted_agent import AGENT, ScriptedProvider

STORES = ("memory", "sqlite")


@pytest.fixture
def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> CopilotRuntime:
    store = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'states.sqlite'}"
    return CopilotRuntime(providers=[ScriptedProvider()], store=store)


def script(*steps: dict[str, object]) -> str:
    return msgspec.json.encode(steps).decode()


@pytest.mark.parametrize("runtime", STORES, indirect=True)
async def test_a_run_without_a_reader_goes_on_to_its_end_and_can_be_read_afterwards(runtime: CopilotRuntime) -> None:
    async with runtime:
        run = await runtime.start_run(AGENT, script(*text("m", *("x" for _ in range(2000)))))
        assert await run.join() == "finished"
        seen = [each async for each in runtime.follow(run.thread_id)]
        said = "".join(each.delta for each in seen if isinstance(each, events.TextMessageContent))
        assert said == "x" * 2000
        assert (type(seen[0]), type(seen[-1])) == (events.RunStarted, events.RunFinished)


@pytest.mark.parametrize("runtime", STORES, indirect=True)
async def test_a_run_is_followed_while_it_goes_on_and_stopped_by_its_thread(runtime: CopilotRuntime) -> None:
    async with runtime:
        run = await runtime.start_run(AGENT, script(*text("m", "a")[:2], {"hang": True}), thread_id="given")
        assert (run.thread_id, run.status) == ("given", "running")
        seen: list[events.Event] = []
        stopping: asyncio.Task[bool] | None = None
        async for each in runtime.follow("given"):
            seen.append(each)
            if isinstance(each, events.TextMessageContent):
                stopping = asyncio.create_task(runtime.stop("given"))
        assert stopping is not None
        assert await stopping
        assert not await runtime.stop("given")
        assert await run.join() == "cancelled"
        assert isinstance(seen[-1], events.RunFinished)


@pytest.mark.parametrize("runtime", STORES, indirect=True)
async def test_a_run_may_be_started_before_the_server_and_not_after_its_end(runtime: CopilotRuntime) -> None:
    run = await runtime.start_run(AGENT, script(*text("m", "early")))
    try:
        assert await run.join() == "finished"
    finally:
        await runtime.stop()
    with pytest.raises(errors.ShuttingDownError):
        await runtime.start_run(AGENT, script(*text("m", "late")))


@pytest.mark.parametrize("runtime", STORES, indirect=True)
@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda runtime: runtime.threads(), ThreadPage(threads=[], cursor=None)),
        (lambda runtime: runtime.thread("t"), None),
        (lambda runtime: runtime.stop("t"), False),
        (lambda runtime: runtime.delete_thread("t"), False),
        (lambda runtime: runtime.delete_threads(owner="alice"), 0),
        (lambda runtime: runtime.compact_store(), 0),
        (lambda runtime: runtime.load_agent_state(thread_id="t", agent_name=AGENT), None),
        (lambda runtime: anext(runtime.follow("t"), None), None),
    ],
    ids=["threads", "thread", "stop", "delete_thread", "delete_threads", "compact_store", "load", "follow"],
)
async def test_whatever_is_asked_first_starts_the_runtime(
    runtime: CopilotRuntime, ask: Callable[[CopilotRuntime], Awaitable[object]], answer: object
) -> None:
    try:
        assert await ask(runtime) == answer
    finally:
        await runtime.stop()


async def test_a_runtime_that_was_stopped_reports_what_to_write(tmp_path: Path) -> None:
    runtime = CopilotRuntime(providers=[ScriptedProvider()], store=f"sqlite:///{tmp_path / 'states.sqlite'}")
    async with runtime:
        pass
    with pytest.raises(errors.StoreError, match="async with runtime"):
        await runtime.threads()


@pytest.mark.parametrize("runtime", STORES, indirect=True)
async def test_a_run_is_read_by_its_id_when_another_has_followed_it(runtime: CopilotRuntime) -> None:
    async with runtime:
        runs = [await runtime.start_run(AGENT, script(*text(id_, id_)), thread_id="t") for id_ in ("first", "second")]
        assert [await run.join() for run in runs] == ["finished", "finished"]
        for run, id_ in zip(runs, ("first", "second"), strict=True):
            read = [each async for each in runtime.follow("t", run_id=run.run_id)]
            assert read[:2] == [
                events.RunStarted(thread_id="t", run_id=run.run_id),
                events.TextMessageStart(message_id=id_),
            ]
            assert read[-1] == events.RunFinished(thread_id="t", run_id=run.run_id)
        assert [each async for each in runtime.follow("t", run_id="nobody's")] == []
        going_on = await runtime.start_run(AGENT, script({"hang": True}), thread_id="t")
        assert await anext(runtime.follow("t", run_id=going_on.run_id)) == events.RunStarted(
            thread_id="t", run_id=going_on.run_id
        )


@pytest.mark.parametrize("runtime", STORES, indirect=True)
async def test_what_an_owner_has_started_is_nobody_elses(runtime: CopilotRuntime) -> None:
    async with runtime:
        run = await runtime.start_run(AGENT, script(event("CUSTOM", name="secret")), owner="alice")
        await run.join()
        assert [each async for each in runtime.follow(run.thread_id, owner="alice")]
        for attempt in (
            anext(runtime.follow(run.thread_id, owner="bob")),
            runtime.stop(run.thread_id, owner="bob"),
            runtime.start_run(AGENT, "[]", thread_id=run.thread_id, owner="bob"),
        ):
            with pytest.raises(errors.ThreadNotFoundError):
                await attempt


@pytest.mark.parametrize("runtime", STORES, indirect=True)
async def test_a_deleted_thread_has_no_run_to_follow(runtime: CopilotRuntime) -> None:
    async with runtime:
        run = await runtime.start_run(AGENT, script(*text("m", "a")))
        await run.join()
        await runtime.delete_thread(run.thread_id)
        assert [each async for each in runtime.follow(run.thread_id)] == []


@pytest.mark.parametrize("runtime", ["memory"], indirect=True)
async def test_an_unknown_agent_is_refused_at_once(runtime: CopilotRuntime) -> None:
    async with runtime:
        with pytest.raises(errors.AgentNotFoundError):
            await runtime.start_run("nobody", "hello")
