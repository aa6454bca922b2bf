"""Connecting to a thread: its runs come back in order, from any process, and a run that goes on is joined."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from copilotkit_runtime import AgentDescriptor, AgentState, CopilotRuntime, RuntimeConfig, messages
from copilotkit_runtime.runtime.runs.handle import RunHandle
from copilotkit_runtime.runtime.stores.run_records import RunRecord
from copilotkit_runtime.wires.agui import agent_memory
from tests.support.agui_client import PATH, connect, events_of, run, run_input, say, script, types_of
from tests.support.local_server import client_of
from tests.support.polling import until
from tests.support.scripted_agent import ScriptedProvider

ASK = {"event": {"type": "CUSTOM", "name": "on_interrupt", "value": "sure?"}}


def runtime(folder: Path, **settings: Any) -> CopilotRuntime:
    """A runtime whose store outlives it."""
    config = RuntimeConfig(store=f"sqlite:///{folder}/runs.db", **settings)
    return CopilotRuntime(providers=[ScriptedProvider()], model=ScriptedProvider(), config=config)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a runtime with the scripted agent."""
    async with client_of(runtime(tmp_path)) as client:
        yield client


async def play(client: httpx.AsyncClient, id_: str, *steps: dict[str, Any], agent: str = "scripted") -> None:
    await run(client, agent, run_input(script(*steps, id_=id_), run=f"run-{id_}"))


def deltas(events: list[dict[str, Any]]) -> list[str]:
    return [event["delta"] for event in events if event["type"] == "TEXT_MESSAGE_CONTENT"]


@pytest.mark.parametrize("agent", ["scripted", "default"])
async def test_runs_come_back_in_order_after_a_restart(tmp_path: Path, agent: str) -> None:
    async with client_of(runtime(tmp_path)) as client:
        await play(client, "u1", *say("one", "a1"), agent=agent)
        await play(client, "u2", *say("two", "a2"), agent=agent)
    async with client_of(runtime(tmp_path)) as client:
        events = await connect(client, agent)
    started = [event for event in events if event["type"] == "RUN_STARTED"]
    assert [event["runId"] for event in started] == ["run-u1", "run-u2"]
    assert [[message["id"] for message in event["input"]["messages"]] for event in started] == [["u1"], ["u2"]]
    assert deltas(events) == ["one", "two"]
    assert types_of(events).count("RUN_FINISHED") == 2


async def test_a_failed_run_does_not_break_the_history(client: httpx.AsyncClient) -> None:
    await play(client, "u1", *say("one", "a1")[:2], {"raise": "secret"})
    await play(client, "u2", *say("two", "a2"))
    events = await connect(client, "scripted")
    assert "RUN_ERROR" not in types_of(events)
    assert [event["name"] for event in events if event["type"] == "CUSTOM"] == ["run_failed"]
    assert deltas(events) == ["one", "two"]


async def test_a_question_that_failed_to_be_answered_is_not_lost(client: httpx.AsyncClient) -> None:
    await play(client, "u1", {"raise": "at once"})
    events = await connect(client, "scripted")
    assert events[0]["input"]["messages"][0]["id"] == "u1"


async def test_an_open_question_is_repeated(client: httpx.AsyncClient) -> None:
    await play(client, "u1", *say("well", "a1"), ASK)
    for _ in range(2):
        events = await connect(client, "scripted")
        assert events[-2] == {"type": "CUSTOM", "name": "on_interrupt", "value": "sure?"}


async def test_texts_of_a_history_are_whole(client: httpx.AsyncClient) -> None:
    pieces = [{"event": {"type": "TEXT_MESSAGE_CONTENT", "messageId": "a1", "delta": str(n)}} for n in range(9)]
    start, *_, end = say("", "a1")
    state = [{"event": {"type": "STATE_SNAPSHOT", "snapshot": {"n": n}}} for n in range(3)]
    await play(client, "u1", start, *pieces, end, *state)
    events = await connect(client, "scripted")
    assert deltas(events) == ["012345678"]
    assert [event["snapshot"] for event in events if event["type"] == "STATE_SNAPSHOT"] == [{"n": 2}]


async def test_a_message_that_was_answered_anew_is_answered_once(client: httpx.AsyncClient) -> None:
    await play(client, "u1", *say("one", "a1"))
    await play(client, "u2", *say("old", "a2"))
    await play(client, "u2", *say("new", "a3"))
    assert deltas(await connect(client, "scripted")) == ["one", "new"]


class Remembering(ScriptedProvider):
    """Has a memory of its own, so that what clients send is not joined with what the runtime keeps."""

    name = "remembering"
    keeps_state = True

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="remembering")]


async def test_a_client_that_sends_no_answers_back_takes_nothing_back() -> None:
    async with client_of(CopilotRuntime(providers=[Remembering()])) as client:
        for steps, asked in ((say("one", "a1"), ["u1"]), (say("two", "a2"), ["u1", "u2"])):
            sent = [script(*steps, id_=id_) for id_ in asked]
            await run(client, "remembering", run_input(*sent, run=f"run-{asked[-1]}"))
        assert deltas(await connect(client, "remembering")) == ["one", "two"]


async def test_a_turn_that_ended_with_a_question_and_is_answered_anew_is_shown_once(client: httpx.AsyncClient) -> None:
    await play(client, "u1", *say("old", "a1"), ASK)
    await play(client, "u1", *say("new", "a2"))
    assert deltas(await connect(client, "scripted")) == ["new"]


async def test_a_question_that_is_answered_stays(client: httpx.AsyncClient) -> None:
    await play(client, "u1", ASK)
    asked, answer = script(*say("thanks", "a1"), id_="u1"), {"command": {"resume": "yes"}}
    await run(client, "scripted", run_input(asked, run="r2", forwardedProps=answer))
    events = await connect(client, "scripted")
    assert [event["runId"] for event in events if event["type"] == "RUN_FINISHED"] == ["run-u1", "r2"]
    assert deltas(events) == ["thanks"]


async def test_a_run_that_begins_and_ends_while_a_client_connects_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = runtime(tmp_path)
    looks, attach_all, gone = 0, app.service.readers.attach_all, asyncio.Event()

    async def attached(thread_id: str) -> list[RunHandle]:
        nonlocal looks
        looks += 1
        if looks == 1:
            return []  # the run has not begun
        if looks == 2:
            assert await app.stop("t")
            await gone.wait()
        return await attach_all(thread_id)

    async with client_of(app) as client:
        body = run_input(script(*say("one", "a1"), {"hang": True}, id_="u1"), run="r1")
        running = asyncio.create_task(client.post(f"{PATH}/agent/scripted/run", json=body))
        running.add_done_callback(lambda _: gone.set())

        async def is_stored() -> bool:
            return [record.status for record in await app.service.archive.runs("t")] == ["running"]

        await until(is_stored)
        monkeypatch.setattr(app.service.readers, "attach_all", attached)
        events = await connect(client, "scripted")
    assert deltas(events) == ["one"]
    assert [event["runId"] for event in events if event["type"] == "RUN_STARTED"] == ["r1"]


async def test_what_is_being_answered_anew_is_not_shown_with_its_old_answer(client: httpx.AsyncClient) -> None:
    await play(client, "u1", *say("one", "a1"))
    await play(client, "u2", *say("old", "a2"))
    body = run_input(script(*say("new", "a3"), {"hang": True}, id_="u2"), run="r3")
    running = asyncio.create_task(client.post(f"{PATH}/agent/scripted/run", json=body))
    text = ""
    while "new" not in text:
        address = f"{PATH}/agent/scripted/connect"
        async with client.stream("POST", address, json=run_input(run="c")) as joined:
            pieces, text = joined.aiter_text(), ""
            while "new" not in text and (piece := await anext(pieces, None)) is not None:
                text += piece
            if "new" in text:
                await client.post(f"{PATH}/agent/scripted/stop/t")
                text += "".join([piece async for piece in pieces])
    await running
    assert deltas(events_of(text)) == ["one", "new"]


@asynccontextmanager
async def going_on(app: CopilotRuntime, client: httpx.AsyncClient) -> AsyncIterator[list[asyncio.Task[httpx.Response]]]:
    """Begin to answer a message, and to answer it again before that has ended; end both."""
    runs: list[asyncio.Task[httpx.Response]] = []
    for steps, id_ in ((say("old", "a1")[:2], "r1"), (say("new", "a2"), "r2")):
        body = run_input(script(*steps, {"hang": True}, id_="u1"), run=id_)
        runs.append(asyncio.create_task(client.post(f"{PATH}/agent/scripted/run", json=body)))

        async def is_known(count: int = len(runs)) -> bool:
            return len(await app.service.archive.runs("t")) == count

        await until(is_known)
    yield runs
    await client.post(f"{PATH}/agent/scripted/stop/t")
    await asyncio.gather(*runs)


async def test_a_turn_that_is_submitted_twice_is_shown_with_its_second_answer_alone(tmp_path: Path) -> None:
    app = runtime(tmp_path)
    address = f"{PATH}/agent/scripted/connect"
    async with (
        client_of(app) as client,
        asyncio.timeout(20),
        going_on(app, client),
        client.stream("POST", address, json=run_input(run="c")) as joined,
    ):
        pieces = joined.aiter_text()
        text = await anext(pieces)
        await client.post(f"{PATH}/agent/scripted/stop/t")
        text += "".join([piece async for piece in pieces])
    assert [event["runId"] for event in events_of(text) if event["type"] == "RUN_STARTED"] == ["r2"]


async def test_a_turn_that_was_refused_takes_back_nothing(tmp_path: Path) -> None:
    app = runtime(tmp_path, busy_policy="reject")
    async with client_of(app) as client, asyncio.timeout(20):
        async with going_on(app, client) as (_, second):
            assert events_of((await second).text)[-1]["code"] == "THREAD_BUSY"
        events = await connect(client, "scripted")
    assert deltas(events) == ["old"]
    assert [event["runId"] for event in events if event["type"] == "RUN_STARTED"] == ["r1", "r2"]


async def test_a_turn_that_was_stopped_while_it_waited_takes_back_nothing(client: httpx.AsyncClient) -> None:
    await play(client, "u1", *say("old", "a1"))
    body = run_input(script({"hang": True}, id_="u1"), run="r2")
    async with client.stream("POST", f"{PATH}/agent/scripted/run", json=body) as stopped:
        pieces = stopped.aiter_text()
        assert "RUN_STARTED" in await anext(pieces)
        await client.post(f"{PATH}/agent/scripted/stop/t")
        assert "RUN_FINISHED" in "".join([piece async for piece in pieces])
    assert deltas(await connect(client, "scripted")) == ["old"]


async def test_a_run_that_goes_on_is_joined_behind_the_others(client: httpx.AsyncClient) -> None:
    await play(client, "u1", *say("one", "a1"))
    body = run_input(script(*say("two", "a2")[:2], {"hang": True}, id_="u2"), run="r2")
    async with client.stream("POST", f"{PATH}/agent/scripted/run", json=body) as running:
        first = running.aiter_text()
        while "two" not in await anext(first):
            pass
        async with client.stream("POST", f"{PATH}/agent/scripted/connect", json=run_input(run="c")) as joined:
            pieces, text = joined.aiter_text(), ""
            while "two" not in text:
                text += await anext(pieces)
            await client.post(f"{PATH}/agent/scripted/stop/t")
            text += "".join([piece async for piece in pieces])
    events = events_of(text)
    assert deltas(events) == ["one", "two"]
    assert [event["runId"] for event in events if event["type"] == "RUN_FINISHED"] == ["run-u1", "r2"]


async def test_what_the_agent_remembers_from_before_comes_first(tmp_path: Path) -> None:
    ours = runtime(tmp_path)
    async with client_of(ours) as client:
        before = [
            messages.TextMessage(id="u0", role="user", content="long ago"),
            messages.TextMessage(id="a0", role="assistant", content="indeed"),
        ]
        await ours.service.store.save("t", "scripted", AgentState(messages=[*before]))
        assert "indeed" in str(await connect(client, "scripted"))
        await play(client, "u1", *say("one", "a1"))
        events = await connect(client, "scripted")
    snapshots = [event for event in events if event["type"] == "MESSAGES_SNAPSHOT"]
    assert [[message["id"] for message in event["messages"]] for event in snapshots] == [["u0", "a0"]]
    assert types_of(events).index("MESSAGES_SNAPSHOT") < types_of(events).index("TEXT_MESSAGE_CONTENT")


@pytest.mark.parametrize("unstreamed", ["", "said elsewhere"])
async def test_an_answer_without_a_word_is_no_message(tmp_path: Path, unstreamed: str) -> None:
    """Graphs remember what their models answered, be it nothing; clients are streamed words."""
    shown = [messages.TextMessage(id="b", role="assistant", content=unstreamed)] if unstreamed else []

    class Remembering(ScriptedProvider):
        async def load_state(self, thread_id: str, agent_name: str) -> AgentState | None:
            return AgentState(messages=[messages.TextMessage(id="a", role="assistant", content=""), *shown])

    remembering = CopilotRuntime(providers=[Remembering()], store=f"sqlite:///{tmp_path}/runs.db")
    async with client_of(remembering) as client:
        await play(client, "u1")
        events = await connect(client, "scripted")
    assert types_of(events).count("RUN_STARTED") == 1 + len(shown)
    snapshots = [event["messages"] for event in events if event["type"] == "MESSAGES_SNAPSHOT"]
    assert snapshots == [[{"id": "b", "role": "assistant", "content": unstreamed}] for _ in shown]


async def test_a_model_gets_what_the_client_leaves_out(client: httpx.AsyncClient) -> None:
    await play(client, "u1", *say("one", "a1"), agent="default")
    await play(client, "u2", *say("two", "a2"), agent="default")
    listed = (await client.get(f"{PATH}/threads/t/messages")).json()["messages"]
    assert [message["id"] for message in listed] == ["u1", "a1", "u2", "a2"]


async def join_and_stop(client: httpx.AsyncClient) -> str:
    """Connect as soon as the run is in the store, stop it once it has sent something, and return all that came."""
    async with asyncio.timeout(10):
        while True:
            async with client.stream("POST", f"{PATH}/agent/scripted/connect", json=run_input(run="c")) as joined:
                text, said = "", False
                async for piece in joined.aiter_text():
                    text += piece
                    if not said and "so far" in text:
                        said = True
                        stopped = await client.post(f"{PATH}/agent/scripted/stop/t", json={"runId": "r1"})
                        assert stopped.json()["stopped"] is True
            if text:
                return text


async def test_a_run_is_joined_and_stopped_from_another_process(tmp_path: Path) -> None:
    async with client_of(runtime(tmp_path)) as here, client_of(runtime(tmp_path)) as elsewhere:
        body = run_input(script(*say("so far", "a1")[:2], {"hang": True}, id_="u1"), run="r1")
        async with here.stream("POST", f"{PATH}/agent/scripted/run", json=body) as running:
            first, ours = running.aiter_text(), ""
            while "so far" not in ours:
                ours += await anext(first)
            theirs = await join_and_stop(elsewhere)
            ours += "".join([piece async for piece in first])
    for events in (events_of(ours), events_of(theirs)):
        assert deltas(events) == ["so far"]
        assert events[-1] == {"type": "RUN_FINISHED", "threadId": "t", "runId": "r1"}
    assert events_of(theirs)[0]["input"]["messages"][0]["id"] == "u1"


class ForgetfulProvider(ScriptedProvider):
    """Has a memory of its own, elsewhere, that cannot be read."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.away = False
        self._hangs = hangs

    async def load_state(self, thread_id: str, agent_name: str) -> AgentState | None:
        if self.away and self._hangs:
            await asyncio.Event().wait()
        if self.away:
            raise OSError("connection refused: password swordfish")
        return await super().load_state(thread_id, agent_name)


@pytest.mark.parametrize("hangs", [False, True])
async def test_an_agent_whose_memory_is_away_takes_no_history_from_its_client(
    *, hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_memory, "MEMORY_SECONDS", 0.05)
    provider = ForgetfulProvider(hangs=hangs)
    async with client_of(CopilotRuntime(providers=[provider])) as client:
        await run(client, "scripted", run_input(script(*say("kept"))))
        provider.away = True
        assert deltas(await connect(client, "scripted")) == ["kept"]
        assert await connect(client, "scripted", "new") == []
        messages = (await client.get(f"{PATH}/threads/t/messages")).json()["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant"]


@pytest.mark.parametrize("stays", [False, True])
async def test_a_history_that_only_an_agent_has_is_missing_with_a_word(*, stays: bool) -> None:
    provider = ForgetfulProvider()
    runtime = CopilotRuntime(providers=[provider], config=RuntimeConfig(connect_stays_open=stays))
    async with client_of(runtime) as client:
        await runtime.service.threads.open("t", None, "scripted")
        provider.away = True
        answer = await client.post(f"{PATH}/agent/scripted/connect", json=run_input(run="c"))
    assert "cannot be read now" in answer.text
    assert "swordfish" not in answer.text
    assert answer.status_code == (200 if stays else 503)
    assert not stays or types_of(events_of(answer.text)) == ["RUN_ERROR"]


@pytest.mark.parametrize("ids", [("u1", "u2"), ("u1", "u1")], ids=["two turns", "answered anew"])
async def test_a_thread_that_is_deleted_while_its_past_is_read_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ids: tuple[str, str]
) -> None:
    made = runtime(tmp_path)
    async with client_of(made) as client:
        for id_ in ids:
            await play(client, id_, *say("one", f"a-{id_}"))
        runs = made.service.archive.runs

        async def last_look(thread_id: str) -> list[RunRecord]:
            found = await runs(thread_id)
            await made.delete_thread(thread_id)
            return found

        monkeypatch.setattr(made.service.archive, "runs", last_look)
        assert await connect(client, "scripted") == []
