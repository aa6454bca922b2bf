"""What a run said is stored once the store is back, and takes nothing back that a newer run has stored."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import msgspec
import pytest
from structlog.testing import capture_logs

from copilotkit_runtime import CopilotRuntime, RunContext, RunInput, RuntimeConfig, events
from copilotkit_runtime.runtime.messages import TextMessage, ToolResultMessage
from copilotkit_runtime.runtime.request import RunRequest
from copilotkit_runtime.runtime.runs import backlog, recording, turn_saver
from copilotkit_runtime.runtime.runs.turn import messages_of
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.interface import AgentState
from copilotkit_runtime.runtime.stores.run_records import NewRun, RunKey, RunOutcome, RunRecord
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from copilotkit_runtime.server.background import BackgroundRun
from tests.integration.stores.conftest import KINDS, SHARED, opened_runs
from tests.integration.stores.servers import Server
from tests.support.gated_agent import GatedAgent
from tests.support.locked_store import LockedStore
from tests.support.polling import until


async def _texts(runtime: CopilotRuntime) -> list[str]:
    state = await runtime.load_agent_state(thread_id="thread", agent_name="answering")
    return [message.content for message in state.messages if isinstance(message, TextMessage)] if state else []


async def make_tables(server: Server, settings: StoreSettings) -> None:
    """Make the server's tables with patience, which takes longer than any later command may."""
    store = open_store(server.url, settings)
    await store.start()
    await store.stop()


@pytest.fixture
def impatient(settings: StoreSettings, monkeypatch: pytest.MonkeyPatch) -> StoreSettings:
    """Settings of a store that is given up soon."""
    monkeypatch.setattr(turn_saver, "PATIENCE_WITH_STORE_SECONDS", 0.2)
    monkeypatch.setattr(turn_saver, "SAVE_SECONDS", 3.0)
    monkeypatch.setattr(recording, "PATIENCE_SECONDS", 0.2)
    return msgspec.structs.replace(settings, connect_timeout=3.0, command_timeout=1.0, retry_for=0.5, lease=2.0)


@pytest.mark.parametrize("server", ["redis", "postgres"], indirect=True)
async def test_a_turn_waits_in_memory_for_a_store_that_is_away(
    server: Server, settings: StoreSettings, impatient: StoreSettings
) -> None:
    await make_tables(server, settings)
    agent = GatedAgent()
    agent.gates["one"] = asyncio.Event()
    async with CopilotRuntime(providers=[agent], store=open_store(server.url, impatient)) as runtime:
        run = await runtime.start_run("answering", "one", thread_id="thread")
        await agent.begun.get()
        server.freeze()
        try:
            agent.gates["one"].set()
            assert await run.join() == "failed"
        finally:
            server.thaw()

        async def is_stored() -> bool:
            with suppress(StoreUnavailableError):  # the server needs a moment
                return await _texts(runtime) == ["one", "answer to one"]
            return False

        async def is_forgotten() -> bool:
            return runtime.service.turns.waiting == 0

        await until(is_stored)
        await until(is_forgotten)  # a moment after what it waited for

        async def has_ended() -> bool:
            (record,) = await runtime.service.archive.runs("thread")
            return record.status != "running"

        await until(has_ended)
        (record,) = await runtime.service.archive.runs("thread")
        whole = await runtime.service.archive.history(record)
        assert [type(event) for event in whole if isinstance(event, ENDS)] == [events.RunError]
        said = messages_of(record, whole)
        assert record.status == "failed", "its process has not gone"
        assert [getattr(message, "content", None) for message in said] == ["one", "answer to one"]


@pytest.mark.parametrize("url", KINDS, indirect=True)
async def test_a_run_whose_opening_the_store_did_not_confirm_is_kept_once(url: str, settings: StoreSettings) -> None:
    async with CopilotRuntime(providers=[GatedAgent()], store=open_store(url, settings)) as runtime:
        archive = runtime.service.archive
        opens, failures = archive.store._open, 2

        async def open_and_fail(run: NewRun, owner: str) -> tuple[int, datetime]:
            nonlocal failures
            opened = await opens(run, owner)
            if failures:
                failures -= 1
                raise StoreUnavailableError
            return opened

        archive.store._open = open_and_fail  # type: ignore[method-assign]
        run = await runtime.start_run("answering", "one", thread_id="thread")
        assert await run.join() == "finished"
        assert failures == 1, "the second attempt found the run"
        (record,) = await archive.runs("thread")
        assert record.status == "finished"


@pytest.mark.parametrize("url", KINDS, indirect=True)
async def test_a_run_whose_lease_is_over_overwrites_nothing(url: str, settings: StoreSettings) -> None:
    """It sleeps, as a process does that was stopped, and does not know that its thread has been given away."""
    settings = msgspec.structs.replace(settings, lease=2.0, heartbeat=600.0)
    agent, store = GatedAgent(), open_store(url, settings)
    agent.gates["one"] = asyncio.Event()
    async with CopilotRuntime(providers=[agent], store=store) as runtime:
        old = await runtime.start_run("answering", "one", thread_id="thread")
        await agent.begun.get()
        new = await runtime.start_run("answering", "two", thread_id="thread")
        assert await new.join() == "finished"

        agent.gates["one"].set()
        await old.join()

        async def is_stored() -> bool:
            return await _texts(runtime) == ["one", "answer to one", "two", "answer to two"]

        await until(is_stored)
        state = await runtime.load_agent_state(thread_id="thread", agent_name="answering")
        assert state is not None
        assert state.state == {"last": "two"}


ENDS = events.RunFinished | events.RunError
LOST_LEASE = 6.0
"""Long enough for a busy machine to give a sign of life of a run."""
BOTH = ["one", "answer to one", "two", "answer to two"]


@asynccontextmanager
async def _beside_a_late_turn(url: str, settings: StoreSettings) -> AsyncIterator[tuple[Process, CopilotRuntime]]:
    """A process with a turn that waits for its thread, which a run of the runtime has until its gate is opened."""
    command = ("-m", "tests.support.late_turn", url, settings.prefix, str(LOST_LEASE))
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        async with asyncio.timeout(90):
            assert await process.stdout.readline() == b"begun\n"
            agent = GatedAgent()
            agent.gates["two"] = asyncio.Event()
            store = open_store(url, msgspec.structs.replace(settings, lease=LOST_LEASE))
            async with CopilotRuntime(providers=[agent], store=store) as runtime:
                run = await runtime.start_run("answering", "two", thread_id="thread")
                await agent.begun.get()
                process.stdin.write(b"\n")
                assert await process.stdout.readline() == b"ended\n"
                yield process, runtime
                agent.gates["two"].set()
                assert await run.join() == "finished"

                async def are_stored() -> bool:
                    return await _texts(runtime) == BOTH

                await until(are_stored, 40)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_a_turn_that_waits_for_its_thread_is_stored_though_its_process_is_killed(
    url: str, settings: StoreSettings
) -> None:
    async with _beside_a_late_turn(url, settings) as (process, runtime):
        process.kill()
        await process.wait()
        (first, _) = await runtime.service.archive.runs("thread")
        assert first.unsaved
    (first, _) = await _records(url, settings)
    assert not first.unsaved


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_a_turn_that_waits_for_its_thread_is_left_to_others_by_a_process_that_ends(
    url: str, settings: StoreSettings
) -> None:
    ending, staying = GatedAgent(), GatedAgent()
    ending.gates["one"], staying.gates["two"] = asyncio.Event(), asyncio.Event()
    with capture_logs() as logs:
        async with CopilotRuntime(providers=[staying], store=open_store(url, settings)) as runtime:
            silent = msgspec.structs.replace(settings, lease=3.0, heartbeat=600.0)
            async with CopilotRuntime(providers=[ending], store=open_store(url, silent)) as first:
                old = await first.start_run("answering", "one", thread_id="thread")
                await ending.begun.get()
                new = await runtime.start_run("answering", "two", thread_id="thread")
                await staying.begun.get()
                ending.gates["one"].set()
                await old.join()
            staying.gates["two"].set()
            assert await new.join() == "finished"

            async def are_stored() -> bool:
                return await _texts(runtime) == BOTH

            await until(are_stored)
    assert not any(record["event"] == "turn_lost" for record in logs)


@pytest.mark.parametrize("url", SHARED, indirect=True)
@pytest.mark.parametrize(("status", "answered"), [("finished", []), ("failed", ["c"])])
async def test_a_call_that_a_finished_turn_leaves_to_its_client_is_not_answered_for_it(
    url: str, settings: StoreSettings, status: RunOutcome, answered: list[str]
) -> None:
    said: list[events.Event] = [
        events.RunStarted(thread_id="thread", run_id="r"),
        events.ToolCallStart(tool_call_id="c", tool_call_name="show"),
        events.ToolCallArgs(tool_call_id="c", delta="{}"),
        events.ToolCallEnd(tool_call_id="c"),
        events.RunFinished(thread_id="thread", run_id="r"),
    ]
    async with CopilotRuntime(providers=[GatedAgent()], store=open_store(url, settings)) as runtime:
        await _leave(runtime, "u1", status, said)
        kept = await runtime.load_agent_state(thread_id="thread", agent_name="answering")
    assert kept is not None
    assert [message.id for message in kept.messages][:2] == ["u1", "c"]
    results = [message.tool_call_id for message in kept.messages if isinstance(message, ToolResultMessage)]
    assert results == answered


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_a_turn_that_a_later_run_has_taken_back_is_not_stored_late(url: str, settings: StoreSettings) -> None:
    async with CopilotRuntime(providers=[GatedAgent()], store=open_store(url, settings)) as runtime:
        store = runtime.service.archive.store
        about = {"messages": msgspec.to_builtins([TextMessage(id="u1", role="user", content="one")])}
        await runtime.service.threads.open("thread", None)
        old = await store.open("thread", run_id="r", agent_name="answering", owner="gone", about=about)
        asked = RunInput(
            thread_id="thread", run_id="again", messages=[TextMessage(id="u1", role="user", content="one")]
        )
        again = RunRequest(agent_name="answering", input=asked, context=RunContext())
        await (await runtime.service.start(again)).join()
        said: list[events.Event] = [
            events.TextMessageStart(message_id="old"),
            events.TextMessageContent(message_id="old", delta="old answer"),
            events.TextMessageEnd(message_id="old"),
        ]
        await store.close(old.key, "gone", "failed", 3, said, unsaved=True)
        await store.release(old.key, "gone")
        await until(lambda: _is_saved(runtime, old.key))
        assert await _texts(runtime) == ["one", "answer to one"]


async def _leave(runtime: CopilotRuntime, asked: str, status: RunOutcome, said: list[events.Event]) -> None:
    """Have a run end in a process that goes without storing its turn, and wait until another one has stored it."""
    store = runtime.service.archive.store
    await runtime.service.threads.open("thread", None)
    about = {"messages": msgspec.to_builtins([TextMessage(id=asked, role="user", content=asked)])}
    record = await store.open("thread", run_id="r", agent_name="answering", owner="gone", about=about)
    await store.close(record.key, "gone", status, len(said), said, unsaved=True)
    await store.release(record.key, "gone")
    await until(lambda: _is_saved(runtime, record.key))


async def _is_saved(runtime: CopilotRuntime, key: RunKey) -> bool:
    return not any(record.unsaved for record in await runtime.service.archive.runs("thread") if record.key == key)


async def _records(url: str, settings: StoreSettings) -> list[RunRecord]:
    async with opened_runs(url, settings) as runs:
        return await runs.runs("thread")


class _Lingering(GatedAgent):
    """Does not end behind its answer."""

    def __init__(self) -> None:
        super().__init__()
        self.has_said = asyncio.Event()

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        async for event in super().execute_run(agent_name, run, context):
            yield event
        self.has_said.set()
        await asyncio.Event().wait()


@asynccontextmanager
async def _taken_for_dead(
    url: str, settings: StoreSettings, agent: GatedAgent, other: GatedAgent, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[CopilotRuntime, CopilotRuntime, BackgroundRun]]:
    """Two processes, the second of which has closed a run of the first, whose agent has said the rest since."""
    short = msgspec.structs.replace(settings, lease=2.0, heartbeat=600.0)
    config = RuntimeConfig(store_lease_seconds=2.0)
    agent.gates["one"] = asyncio.Event()
    async with (
        CopilotRuntime(providers=[agent], store=open_store(url, short), config=config) as first,
        CopilotRuntime(providers=[other], store=open_store(url, short), config=config) as second,
    ):
        run = await first.start_run("answering", "one", thread_id="thread")
        await agent.begun.get()
        await until(lambda: _has_said(second, ["one", "answer "]))
        with monkeypatch.context() as outage:
            for operation in ("append_group", "renew"):
                outage.setattr(first.service.archive.store, operation, _is_away)
            await until(lambda: _is(second, "broken"))
            agent.gates["one"].set()
            await (agent.has_said.wait() if isinstance(agent, _Lingering) else run.join())
        yield first, second, run


@pytest.mark.parametrize("agent_type", [GatedAgent, _Lingering])
@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_a_run_that_another_process_took_for_dead_says_the_same_in_its_thread_and_in_its_log(
    url: str, settings: StoreSettings, agent_type: type[GatedAgent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one has closed it with what was stored by then; it had gone on, and its client has seen the rest."""
    async with _taken_for_dead(url, settings, agent_type(), GatedAgent(), monkeypatch) as (_, second, run):
        await run.join()
        await until(lambda: _is(second, "failed"))
        await until(lambda: _has_said(second, ["one", "answer to one"]))
        await until(lambda: _keeps(second, ["one", "answer to one"]))
        assert await _texts(second) == ["one", "answer to one"]
        (record,) = await second.service.archive.runs("thread")
        assert not record.unsaved
        history = await second.service.archive.history(record)
        assert [type(event) for event in history if isinstance(event, ENDS)] == [events.RunError]


class _Remembering(GatedAgent):
    """Keeps what is said in a memory of its own."""

    keeps_state = True

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, AgentState] = {}

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        said = ""
        async for event in super().execute_run(agent_name, run, context):
            said += event.delta if isinstance(event, events.TextMessageContent) else ""
            yield event
        self.kept[run.thread_id] = AgentState(messages=[*run.messages, TextMessage(role="assistant", content=said)])

    async def load_state(self, thread_id: str, agent_name: str) -> AgentState | None:
        return self.kept.get(thread_id)


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_a_run_taken_for_dead_says_the_same_in_its_agent_s_own_memory_and_in_its_log(
    url: str, settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = _Remembering(), _Remembering()
    async with _taken_for_dead(url, settings, *agents, monkeypatch) as (first, second, run):
        status = await run.join()
        assert await _texts(first) == ["one", "answer to one"]
        await until(lambda: _is(second, status))
        assert await _has_said(second, ["one", "answer to one"])
        (record,) = await second.service.archive.runs("thread")
        assert not record.unsaved
        history = await second.service.archive.history(record)
        assert [type(event) for event in history if isinstance(event, ENDS)] == [type(history[-1])]


async def _is_away(*_: object) -> None:
    raise StoreUnavailableError("It is away.")


async def _is(runtime: CopilotRuntime, status: str) -> bool:
    return [record.status for record in await runtime.service.archive.runs("thread")] == [status]


async def _has_said(runtime: CopilotRuntime, texts: list[str]) -> bool:
    records = await runtime.service.archive.runs("thread")
    if not records:
        return False  # another process is about to store that it began
    (record,) = records
    said = messages_of(record, await runtime.service.archive.history(record))
    return [message.content for message in said if isinstance(message, TextMessage)] == texts


async def _keeps(runtime: CopilotRuntime, texts: list[str]) -> bool:
    (record,) = await runtime.service.archive.runs("thread")
    return not record.unsaved and await _texts(runtime) == texts


async def test_what_waits_is_bounded_and_what_is_given_up_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backlog, "MOST_WAITING", 2)
    agent, store = GatedAgent(), LockedStore()

    with capture_logs() as logs:
        async with CopilotRuntime(providers=[agent], store=store) as runtime:
            for number in range(4):
                agent.gates[str(number)] = asyncio.Event()
                run = await runtime.start_run("answering", str(number), thread_id=f"thread {number}")
                await agent.begun.get()
                store.locks[-1].lose()
                await run.join()
            assert runtime.service.turns.waiting == 2
    assert sum(record["event"] == "turn_lost" for record in logs) >= 2
