"""Runs over HTTP: they stream as they go on, stop when their client leaves, and leave nothing behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from copilotkit_runtime import (
    AgentDescriptor,
    AgentProvider,
    AgentState,
    CopilotRuntime,
    RunContext,
    RunInput,
    RuntimeConfig,
    events,
)
from copilotkit_runtime.runtime.stores.memory import MemoryStore
from tests.parity.fold import fold
from tests.parity.wire import PartReader, ask
from tests.support.local_server import PATH, client_of, served
from tests.support.polling import until
from tests.support.request_bodies import action, event, generate, scripted, text, text_message
from tests.support.scripted_agent import ScriptedProvider


class WatchedStore(MemoryStore):
    """Tells when something was saved."""

    def __init__(self) -> None:
        super().__init__()
        self.saved = asyncio.Event()

    async def save(
        self, thread_id: str, agent_name: str, state: AgentState, *, expected_version: int | None = None
    ) -> AgentState:
        kept = await super().save(thread_id, agent_name, state, expected_version=expected_version)
        self.saved.set()
        return kept


class Quitter(AgentProvider):
    """Waits for work of its own that is cancelled, as a framework's may be."""

    name = "quitter"

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="quitter")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        yield events.TextMessageStart(message_id="m")
        yield events.TextMessageContent(message_id="m", delta="word")
        work = asyncio.get_running_loop().create_future()
        work.cancel()
        await work


class Talker(AgentProvider):
    """Sends a word, then waits for ever; notes how it ends, and what it was given."""

    name = "talker"

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.waits = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.given: RunInput | None = None
        self.context: RunContext | None = None

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="talker", description="Talks.")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        self.given, self.context = run, context
        self.started.set()
        try:
            yield events.TextMessageStart(message_id="m")
            yield events.TextMessageContent(message_id="m", delta="word")
            yield events.StateSnapshot(snapshot={"said": 1})
            self.waits.set()
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()


async def first_parts(client: httpx.AsyncClient, body: dict[str, object], end: str) -> None:
    """Reads an answer until ``end`` comes, then leaves."""
    reader, seen = PartReader(), ""
    async with client.stream("POST", PATH, json=body) as response:
        async for chunk in response.aiter_bytes():
            seen += json.dumps(reader.feed(chunk))
            if end in seen:
                return
    raise AssertionError(f"the answer ended without {end!r}: {seen}")


async def test_a_word_arrives_while_the_agent_is_still_silent_about_the_next() -> None:
    talker = Talker()
    async with client_of(CopilotRuntime(providers=[talker])) as client, asyncio.timeout(20):
        await first_parts(client, generate(text_message("hi"), agent="talker"), end="word")


async def test_a_client_that_leaves_cancels_its_run_within_a_second_and_keeps_what_was_sent() -> None:
    talker, store = Talker(), WatchedStore()
    runtime = CopilotRuntime(providers=[talker], store=store)
    async with client_of(runtime) as client:
        await first_parts(client, generate(text_message("hi"), agent="talker"), end="word")
        async with asyncio.timeout(10):
            await talker.cancelled.wait()
            await store.saved.wait()
        kept = await runtime.load_agent_state(thread_id="t-1", agent_name="talker")
    assert kept is not None
    assert [getattr(message, "content", None) for message in kept.messages] == ["hi", "word"]


async def test_a_run_may_outlive_its_client() -> None:
    store, config = WatchedStore(), RuntimeConfig(on_disconnect="continue")
    runtime = CopilotRuntime(providers=[ScriptedProvider()], store=store, config=config)
    late = {**event("STATE_SNAPSHOT", snapshot={"done": True}), "after": 0.3}
    async with client_of(runtime) as client, asyncio.timeout(20):
        await first_parts(client, scripted(*text("a", "word"), late), end="word")
        await store.saved.wait()
        kept = await runtime.load_agent_state(thread_id="t-1", agent_name="scripted")
    assert kept is not None
    assert kept.state == {"done": True}


async def test_a_tab_that_was_asleep_while_its_run_went_on_gets_the_whole_answer_once() -> None:
    words = [f"{number} " for number in range(600)]
    runtime = CopilotRuntime(providers=[ScriptedProvider()])

    async def has_ended() -> bool:
        return runtime.service.active_runs == 0

    async with client_of(runtime) as client, asyncio.timeout(30):
        reader, parts = PartReader(), list[Any]()
        async with client.stream("POST", PATH, json=scripted(*text("a", *words))) as response:
            pieces = response.aiter_bytes()
            parts += reader.feed(await anext(pieces))
            await until(has_ended)
            async for piece in pieces:
                parts += reader.feed(piece)
    answer = fold(parts)
    assert answer["status"]["code"] == "Success"
    assert "".join(answer["messages"][0]["content"]) == "".join(words)


async def test_a_provider_whose_own_work_was_cancelled_has_failed_and_the_client_is_notified() -> None:
    async with client_of(CopilotRuntime(providers=[Quitter()])) as client:
        answer = await ask(client, PATH, generate(text_message("hi"), agent="quitter"))
    response = fold(answer.parts)
    assert (response["status"]["code"], response["messages"][0]["status"]["code"]) == ("Failed", "Failed")
    assert response["messages"][0]["content"] == ["word"]


async def test_stopping_the_runtime_cancels_what_still_runs() -> None:
    talker = Talker()
    runtime = CopilotRuntime(providers=[talker])
    async with client_of(runtime) as client:
        asking = asyncio.create_task(ask(client, PATH, generate(text_message("hi"), agent="talker")))
        await talker.waits.wait()
        await runtime.stop()
        answer = await asking
    assert talker.cancelled.is_set()
    assert fold(answer.parts)["messages"][0]["content"] == ["word"]
    assert answer.parts[-1]["hasNext"] is False


async def test_state_and_messages_of_a_finished_run_can_be_loaded() -> None:
    query = """query loadAgentState($data: LoadAgentStateInput!) {
        loadAgentState(data: $data) { threadId threadExists state messages } }"""
    body = {"query": query, "variables": {"data": {"threadId": "t-1", "agentName": "scripted"}}}
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()])) as client:
        empty = (await client.post(PATH, json=body)).json()["data"]["loadAgentState"]
        assert empty == {"threadId": "t-1", "threadExists": False, "state": "{}", "messages": "[]"}
        await ask(client, PATH, scripted(event("STATE_SNAPSHOT", snapshot={"n": 1}), *text("a", "hi", "!")))
        loaded = (await client.post(PATH, json=body)).json()["data"]["loadAgentState"]
    assert (loaded["threadExists"], json.loads(loaded["state"])) == (True, {"n": 1})
    assert json.loads(loaded["messages"])[-1] == {"id": "a", "role": "assistant", "content": "hi!"}


async def test_all_agents_are_available() -> None:
    body = {"query": "{ availableAgents { agents { id name description } } }"}
    async with client_of(CopilotRuntime(providers=[ScriptedProvider(), Talker()])) as client:
        agents = (await client.post(PATH, json=body)).json()["data"]["availableAgents"]["agents"]
    assert [agent["name"] for agent in agents] == ["scripted", "talker"]
    assert agents[1] == {"id": "talker", "name": "talker", "description": "Talks."}


async def test_an_agent_is_given_all_that_the_client_sent() -> None:
    talker = Talker()
    body = generate(
        text_message("hi"),
        agent="talker",
        frontend={
            "url": "http://page.test/",
            "actions": [action("on"), action("off", available="disabled"), action("far", available="remote")],
        },
        agentStates=[
            {"agentName": "other", "state": '{"x":1}'},
            {"agentName": "talker", "state": '{"n":2}', "config": '{"recursion_limit":5}'},
        ],
        context=[{"description": "who", "value": "Ann"}],
        forwardedParameters={"temperature": 0, "maxTokens": 50, "toolChoice": "function"},
        metaEvents=[{"name": "LangGraphInterruptEvent", "value": "sure?", "response": "yes"}],
    )
    body["variables"]["properties"] = {"tenant": "acme"}
    async with client_of(CopilotRuntime(providers=[talker])) as client:
        client.headers.update({"x-trace": "7", "cookie": "a=b", "x-copilotcloud-public-api-key": "ck_1"})
        await first_parts(client, body, end="word")
    run, context = talker.given, talker.context
    assert run is not None
    assert context is not None
    assert [tool.name for tool in run.tools] == ["on", "far"]
    assert (run.state, run.config) == ({"n": 2}, {"recursion_limit": 5})
    assert (run.context[0].value, run.resume[0].response) == ("Ann", "yes")
    assert (run.forwarded.temperature, run.forwarded.max_tokens) == (0, 50)
    assert isinstance(run.forwarded.max_tokens, int)
    assert (context.properties, context.url) == ({"tenant": "acme"}, "http://page.test/")
    assert context.headers == {"x-trace": "7"}


async def test_a_thousand_tokens_in_a_burst_arrive_whole() -> None:
    deltas = [f"token {number} " for number in range(1000)]
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()])) as client:
        answer = await ask(client, PATH, scripted(*text("a", *deltas)))
    assert "".join(fold(answer.parts)["messages"][0]["content"]) == "".join(deltas)


@pytest.mark.parametrize("path", ["/api/copilotkit", "/deep/er/path", "/"])
async def test_a_runtime_can_be_mounted_on_an_application(path: str) -> None:
    talker = Talker()
    app = Starlette(routes=[Route("/own", lambda _request: PlainTextResponse("own"))])
    CopilotRuntime(providers=[talker]).mount(app, path)
    async with served(app) as origin, httpx.AsyncClient(base_url=origin) as client:
        assert (await client.get("/own")).text == "own"
        assert (await client.post(path, json={"query": "{hello}"})).json() == {"data": {"hello": "Hello World"}}
        assert (await client.get(f"{path.rstrip('/')}/health")).status_code == 200


async def test_two_runtimes_share_one_application() -> None:
    app = Starlette()
    CopilotRuntime(providers=[Talker()]).mount(app, "/one")
    CopilotRuntime(providers=[ScriptedProvider()]).mount(app, "/two")
    agents = {"query": "{ availableAgents { agents { name } } }"}
    async with served(app) as origin, httpx.AsyncClient(base_url=origin) as client:
        names = [(await client.post(path, json=agents)).json()["data"]["availableAgents"] for path in ("/one", "/two")]
    assert names == [{"agents": [{"name": "talker"}]}, {"agents": [{"name": "scripted"}]}]
