"""Two people on the same threads: neither ever reads the other, whatever they ask for, in which order and spelling."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver

from copilotkit_runtime import (
    AgentDescriptor,
    AgentProvider,
    ApiKeyAuth,
    CopilotRuntime,
    RunContext,
    RunInput,
    RuntimeConfig,
    events,
)
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.providers.langgraph.platform import Deployment, LangGraphPlatformProvider
from copilotkit_runtime.runtime.stores.interface import StateStore
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.integration.langgraph.langgraph_server import URL, LangGraphServer
from tests.integration.stores.conftest import (  # noqa: F401 - fixtures
    KINDS,
    postgres_url,
    redis_url,
    server_folder,
    url,
)
from tests.support.hearing_graph import hearing_graph
from tests.support.polling import until
from tests.support.request_bodies import generate, text_message

PATH = "/api/copilotkit"
PEOPLE = ("ann", "bob")
TTL = 0.4
UUID = "aaaaaaaa-2222-4333-8444-5555555555ab"
THREADS = (
    UUID,
    f"ck-{UUID}",
    UUID.upper(),
    UUID.replace("-", ""),
    f"{{{UUID}}}",
    f"urn:uuid:{UUID}",
    "b:t",
    "t",
    "a:b:t",
    "../t",
    "t\u0000",
    "*",
    "%3A",
    "",
)
AGENTS = ("a", "a:b", "own", "remote", "plain", "a%3Ab")
LOAD = "query($d: LoadAgentStateInput!){loadAgentState(data:$d){threadId threadExists state messages}}"


class Remembering(AgentProvider):
    """Sends all that it was sent on a thread, which the runtime's store keeps."""

    name = "remembering"

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="plain")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        kept = await self.load_state(run.thread_id, agent_name)
        told = [str(getattr(each, "content", "")) for each in (*(kept.messages if kept else ()), *run.messages)]
        message_id = uuid4().hex
        yield events.TextMessageStart(message_id=message_id)
        yield events.TextMessageContent(message_id=message_id, delta=" | ".join(told))


class World:
    """A served runtime that can be restarted, and what outlives it: a store, a saver and a LangGraph server."""

    def __init__(self, store_url: str, ttl: float = 600.0) -> None:
        self.store_url = store_url
        self.ttl = ttl
        self.prefix = f"test-{uuid4().hex}"
        self.saver = InMemorySaver()
        self.server = LangGraphServer(g=hearing_graph())
        self.problems: list[str] = []
        self.answers: list[tuple[str, str]] = []

    def _runtime(self) -> CopilotRuntime:
        store: StateStore = open_store(self.store_url, StoreSettings(ttl=self.ttl, prefix=self.prefix))
        graphs: dict[str, Any] = {name: hearing_graph() for name in ("a", "a:b", "a%3Ab")}
        graphs["own"] = hearing_graph().compile(checkpointer=self.saver)
        remote = LangGraphPlatformProvider(
            {"remote": Deployment(url=URL, graph_id="g")}, clients={URL: self.server.client()}
        )
        return CopilotRuntime(
            providers=[LangGraphProvider(graphs), remote, Remembering()],
            store=store,
            auth=ApiKeyAuth({person: f"key-of-{person}" for person in PEOPLE}),
            config=RuntimeConfig(extensions=True, installed_providers=False),
        )

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        self.runtime = self._runtime()
        app = self.runtime.create_app()
        transport = httpx.ASGITransport(app=app)
        async with self.runtime, httpx.AsyncClient(transport=transport, base_url="http://test") as self.client:
            yield

    async def ask(self, person: str, method: str, path: str, **request: Any) -> str:
        """Send a request as a person; note what came back."""
        headers = {"x-api-key": f"key-of-{person}", **request.pop("headers", {})}
        response = await self.client.request(method, path, headers=headers, **request)
        self.answers.append((person, response.text))
        return response.text

    def crossings(self) -> list[str]:
        """Answers to one person that hold a secret of the other's."""
        other = dict(zip(PEOPLE, reversed(PEOPLE), strict=True))
        return [answer for person, answer in self.answers if f"secret-of-{other[person]}" in answer]


async def run(world: World, person: str, thread: str, agent: str) -> None:
    """``generateCopilotResponse``."""
    message = text_message(f"secret-of-{person}", id_=uuid4().hex)
    body = generate(message, agent=agent, threadId=thread)
    await world.ask(person, "POST", PATH, json=body, headers={"accept": "multipart/mixed"})


async def load(world: World, person: str, thread: str, agent: str) -> None:
    """``loadAgentState``."""
    body = {"query": LOAD, "variables": {"d": {"threadId": thread, "agentName": agent}}}
    await world.ask(person, "POST", PATH, json=body)


async def read(world: World, person: str, thread: str, agent: str) -> None:
    """The state, by REST."""
    await world.ask(person, "GET", f"{PATH}/agents/{agent}/state", params={"threadId": thread})


async def write(world: World, person: str, thread: str, agent: str) -> None:
    """The state, written by REST."""
    body = {"threadId": thread, "state": {"note": f"secret-of-{person}"}}
    await world.ask(person, "PUT", f"{PATH}/agents/{agent}/state", json=body)


async def delete(world: World, person: str, thread: str, agent: str) -> None:
    """The application deletes the thread, if it is the person's."""
    del agent
    service = world.runtime.service
    owned = {each.thread_id for each in (await world.runtime.threads(owner=person)).threads}
    if thread in owned:
        await service.threads.delete(thread, identity=person)


async def forget(world: World, person: str, thread: str, agent: str) -> None:
    """The thread's time runs out."""
    del agent, person
    if not thread or "\0" in thread:
        return

    async def over() -> bool:
        record = await world.runtime.store.thread(thread)
        return record is None or record.expired

    await until(over)


async def sweep(world: World, person: str, thread: str, agent: str) -> None:
    """What is forgotten is removed."""
    del person, thread, agent
    await world.runtime.service.threads.sweep()


Verb = Callable[[World, str, str, str], Awaitable[None]]
VERBS: Sequence[Verb] = (run, load, read, write, delete, forget, sweep)
"""What people, the application and time do to threads; further wires add theirs here."""

STEPS = st.lists(
    st.tuples(st.sampled_from(VERBS), st.sampled_from(PEOPLE), st.sampled_from(THREADS), st.sampled_from(AGENTS)),
    min_size=4,
    max_size=8,
)
NARROW = st.tuples(st.sampled_from(THREADS[:6]), st.sampled_from(AGENTS)).flatmap(
    lambda where: st.lists(
        st.tuples(st.sampled_from(VERBS), st.sampled_from(PEOPLE), st.sampled_from(THREADS[:6]), st.just(where[1])),
        min_size=4,
        max_size=8,
    )
)


async def _play(world: World, lives: Sequence[Sequence[tuple[Verb, str, str, str]]]) -> None:
    for steps in lives:
        async with world.serving():
            for verb, person, thread, agent in steps:
                await verb(world, person, thread, agent)
            for person in PEOPLE:
                for thread in {thread for _, _, thread, _ in steps}:
                    await load(world, person, thread, steps[-1][3])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("url", KINDS, indirect=True)
def test_nobody_reads_another_whatever_is_done_to_threads(url: str) -> None:  # noqa: F811 - the fixture
    @settings(max_examples=6, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.one_of(STEPS, NARROW), min_size=1, max_size=2))
    def play(lives: list[list[tuple[Verb, str, str, str]]]) -> None:
        world = World(url, TTL)
        asyncio.run(_play(world, lives))
        assert world.crossings() == []

    play()


@pytest.mark.parametrize("agent", AGENTS)
async def test_who_owns_a_thread_reads_it(agent: str) -> None:
    world = World("memory://")
    async with world.serving():
        await run(world, "ann", UUID, agent)
        await load(world, "ann", f"ck-{UUID.upper()}", agent)
        await load(world, "bob", UUID, agent)
        await run(world, "bob", UUID.upper(), agent)
    answers = [answer for _, answer in world.answers]
    assert ["secret-of-ann" in answer for answer in answers] == [True, True, False, False]
    assert json.loads(answers[2])["data"]["loadAgentState"]["threadExists"] is False


@pytest.mark.parametrize("agent", AGENTS)
async def test_a_deleted_thread_leaves_nothing_and_is_anybody_s(agent: str) -> None:
    world = World("memory://")
    async with world.serving():
        await run(world, "ann", UUID, agent)
        assert await world.runtime.delete_threads(owner="ann") == 1
        assert (await world.runtime.threads()).threads == []
        assert not any([await each.keeps_thread(UUID) for each in world.runtime.list_providers()])
        await run(world, "bob", UUID, agent)
        await load(world, "bob", UUID, agent)
        await load(world, "ann", UUID, agent)
    answers = [answer for _, answer in world.answers]
    assert ["secret-of-bob" in answer for answer in answers] == [False, True, True, False]
    assert world.crossings() == []


async def test_a_conversation_without_record_is_nobody_s_after_a_restart() -> None:
    world = World("memory://")
    for agent in ("own", "remote"):
        async with world.serving():
            await run(world, "ann", f"{agent}-thread", agent)
        world.answers.clear()
        async with world.serving():
            for person in PEOPLE:
                await load(world, person, f"{agent}-thread", agent)
                await run(world, person, f"{agent}-thread", agent)
            await world.runtime.assign_thread(f"{agent}-thread", "ann")
            await load(world, "ann", f"{agent}-thread", agent)
        assert ["secret-of-ann" in answer for _, answer in world.answers] == [False] * 4 + [True]
