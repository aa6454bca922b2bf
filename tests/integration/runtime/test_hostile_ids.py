"""Two people and ids made to be taken for one another: whatever one of them asks for, nothing of the other's comes."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

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
from copilotkit_runtime.providers.agui import AGUIHttpAgent, AGUIProvider
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.providers.remote import RemoteEndpointProvider
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from copilotkit_runtime.testing import Request, ScriptedService, head
from tests.integration.stores.conftest import (  # noqa: F401 - fixtures
    KINDS,
    postgres_url,
    redis_url,
    server_folder,
    url,
)
from tests.support.agui_client import PATH, run_input, user
from tests.support.hearing_graph import hearing_graph
from tests.support.polling import until
from tests.support.request_bodies import generate, text_message

UUID = "aaaaaaaa-2222-4333-8444-5555555555ab"
LONG = "l" * 250
IDS = [
    *("case", "Case", "CASE", "case ", " case", "case\t", "case\n", "\uff43ase", "ca\u200bse", "cas\u212f"),
    *("caf\u00e9", "cafe\u0301", "CAF\u00c9", "stra\u00dfe", "strasse", "\u0130", "i\u0307", "i", "\u212a", "k", "K"),
    *("a", "a:b", "b:a", "a/b", "a%2Fb", "a%252Fb", "a\\b", ".", "..", "../case", "/case", "case/", "a::b"),
    *("{case}", "{}", "{0}", "*", "?", "[c]ase", "c*", "c?se", "ca\\*", "^case", "%", "c%", "_ase", "c_se", "%s"),
    *("case'--", 'case" OR "1"="1', "case;", "null", "undefined", "__proto__", "0", "-1", "1e3", "1000", "true"),
    *(
        "\x00",
        "case\x00",
        "case\x00b",
        "\x1f",
        "\ufeffcase",
        "case\u202e",
        "\U0001f680",
        "threads",
        "subscribe",
        "clear",
    ),
    *(UUID, f"ck-{UUID}", UUID.upper(), UUID.replace("-", ""), f"{{{UUID}}}", f"urn:uuid:{UUID}"),
    *(LONG, f"{LONG}a", f"{LONG}b", "m" * 1024, "m" * 1025, "\u00e9" * 600),
]
AGENTS = ("graph", "kept", "outside", "served", "remote")
LOAD = "query($d: LoadAgentStateInput!){loadAgentState(data:$d){threadId threadExists state messages}}"


class Kept(AgentProvider):
    """Repeats all that the store has of a thread."""

    name = "kept"

    async def list_agents(self) -> list[AgentDescriptor]:
        """The one agent."""
        return [AgentDescriptor(name="kept")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Repeat."""
        kept = await self.load_state(run.thread_id, agent_name)
        said = [str(getattr(each, "content", "")) for each in (*(kept.messages if kept else ()), *run.messages)]
        yield events.StateSnapshot(snapshot={"said": said})
        yield events.TextMessageStart(message_id=uuid4().hex)


class World:
    """A served runtime that can be restarted, and agents elsewhere that remember threads by their ids."""

    def __init__(self, store_url: str, ttl: float = 600.0) -> None:
        self.url, self.ttl, self.prefix = store_url, ttl, f"test-{uuid4().hex}"
        self.remembered: dict[str, list[str]] = defaultdict(list)

    async def _outside(self, asked: Any) -> AsyncIterator[Any]:
        said = self.remembered[asked.thread_id]
        said += [str(message.content) for message in asked.messages]
        for event in _answer(asked.thread_id, asked.run_id, said):
            yield event

    async def _service(self, request: Request) -> AsyncIterator[bytes]:
        """Serve an AG-UI agent, and one behind CopilotKit's protocol of remote endpoints."""
        if request.path == "/info":
            yield _whole({"actions": [], "agents": [{"name": "remote", "type": "crewai"}]})
            return
        said = self.remembered[request.json["threadId"]]
        if request.path == "/agents/state":
            yield _whole({"threadId": "", "threadExists": bool(said), "state": {"said": said}, "messages": []})
            return
        said += [str(message.get("content")) for message in request.json["messages"]]
        if request.path == "/agui":
            yield head("text/event-stream")
            for event in _answer(request.json["threadId"], request.json["runId"], said):
                yield b"data: " + json.dumps(event).encode() + b"\n\n"
            return
        yield head("application/json")
        for line in ({"type": "TextMessageStart", "messageId": "m"}, {"type": "TextMessageContent", "messageId": "m"}):
            yield json.dumps({**line, "content": " | ".join(said)}).encode() + b"\n"
        yield b'{"type":"TextMessageEnd","messageId":"m"}\n'

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Client]:
        """Serve."""

        async def outside(asked: Any) -> AsyncIterator[Any]:
            async for event in self._outside(asked):
                yield event

        async with ScriptedService(self._service) as service:
            elsewhere = AGUIProvider({"outside": outside, "served": AGUIHttpAgent(f"{service.url}/agui")})
            async with self._runtime(elsewhere, RemoteEndpointProvider(service.url)) as client:
                yield client

    @asynccontextmanager
    async def _runtime(self, *elsewhere: AgentProvider) -> AsyncIterator[Client]:
        runtime = CopilotRuntime(
            providers=[LangGraphProvider({"graph": hearing_graph()}), Kept(), *elsewhere],
            store=open_store(self.url, StoreSettings(ttl=self.ttl, prefix=self.prefix)),
            auth=ApiKeyAuth({"ann": "key-of-ann", "bob": "key-of-bob"}),
            config=RuntimeConfig(extensions=True, debug_events=True, installed_providers=False),
        )
        transport = httpx.ASGITransport(app=runtime.create_app())
        async with runtime, httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client:
            yield Client(client, runtime)


def _answer(thread_id: str, run_id: str, said: list[str]) -> list[dict[str, Any]]:
    ids = {"threadId": thread_id, "runId": run_id}
    chunk = {"type": "TEXT_MESSAGE_CHUNK", "messageId": uuid4().hex, "delta": " | ".join(said)}
    return [{"type": "RUN_STARTED", **ids}, chunk, {"type": "RUN_FINISHED", **ids}]


def _whole(body: Any) -> bytes:
    encoded = json.dumps(body).encode()
    return head("application/json", length=len(encoded)) + encoded


class Client:
    """Two people's requests."""

    def __init__(self, client: httpx.AsyncClient, runtime: CopilotRuntime) -> None:
        self.client, self.runtime = client, runtime

    async def ask(self, person: str, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Send a request as a person."""
        shown = {"x-api-key": f"key-of-{person}", **headers}
        return await self.client.request(method, f"{PATH}{path}", json=body, headers=shown)


def _path(id_: str, *rest: str) -> str:
    return "/threads/" + "/".join((quote(id_, safe="").replace(".", "%2E"), *rest))


Verb = Callable[[Client, str, str, str], Awaitable[httpx.Response]]


async def run(client: Client, person: str, id_: str, agent: str) -> httpx.Response:
    """Say something over AG-UI."""
    body = run_input(user(f"secret-of-{person}", uuid4().hex), thread=id_, run=uuid4().hex)
    return await client.ask(person, "POST", f"/agent/{agent}/run", body)


async def generate_response(client: Client, person: str, id_: str, agent: str) -> httpx.Response:
    """Say something over GraphQL."""
    body = generate(text_message(f"secret-of-{person}", id_=uuid4().hex), agent=agent, threadId=id_)
    return await client.ask(person, "POST", "", body, accept="multipart/mixed")


async def load(client: Client, person: str, id_: str, agent: str) -> httpx.Response:
    """Load the state over GraphQL."""
    return await client.ask(
        person, "POST", "", {"query": LOAD, "variables": {"d": {"threadId": id_, "agentName": agent}}}
    )


async def agents(client: Client, person: str, id_: str, agent: str) -> httpx.Response:
    """List the agents over GraphQL."""
    return await client.ask(person, "POST", "", {"query": "{availableAgents{agents{name description}}}"})


async def connect(client: Client, person: str, id_: str, agent: str) -> httpx.Response:
    """Read a thread as a client does that opens it."""
    return await client.ask(person, "POST", f"/agent/{agent}/connect", run_input(thread=id_, run=uuid4().hex))


async def stop(client: Client, person: str, id_: str, agent: str) -> httpx.Response:
    """Stop what goes on."""
    return await client.ask(person, "POST", f"/agent/{agent}/stop/{_path(id_)[len('/threads/') :]}")


async def suggest(client: Client, person: str, id_: str, agent: str) -> httpx.Response:
    """Ask for suggestions."""
    return await client.ask(person, "POST", f"/agent/{agent}/suggest", run_input(thread=id_, run=uuid4().hex))


async def threads(client: Client, person: str, id_: str, agent: str) -> httpx.Response:
    """List threads."""
    return await client.ask(person, "GET", f"/threads?agentId={quote(id_, safe='')}&includeArchived=true")


async def all_threads(client: Client, person: str, id_: str, agent: str) -> httpx.Response:
    """List threads."""
    return await client.ask(person, "GET", f"/threads?limit=200&cursor={quote(id_, safe='')}")


async def messages(client: Client, person: str, id_: str, agent: str) -> httpx.Response:
    """Read a thread's messages."""
    return await client.ask(person, "GET", _path(id_, "messages"))


async def past(client: Client, person: str, id_: str, agent: str) -> httpx.Response:
    """Read a thread's events."""
    return await client.ask(person, "GET", _path(id_, "events"))


async def state(client: Client, person: str, id_: str, agent: str) -> httpx.Response:
    """Read a thread's state."""
    return await client.ask(person, "GET", _path(id_, "state"))


async def rest_state(client: Client, person: str, id_: str, agent: str) -> httpx.Response:
    """Read a thread's state by REST."""
    return await client.ask(person, "GET", f"/agents/{agent}/state?threadId={quote(id_, safe='')}")


async def rename(client: Client, person: str, id_: str, agent: str) -> httpx.Response:
    """Name a thread."""
    return await client.ask(person, "PATCH", _path(id_), {"name": f"name-by-{person}"})


async def archive(client: Client, person: str, id_: str, agent: str) -> httpx.Response:
    """Archive a thread."""
    return await client.ask(person, "POST", _path(id_, "archive"))


async def delete(client: Client, person: str, id_: str, agent: str) -> httpx.Response:
    """Delete a thread."""
    return await client.ask(person, "DELETE", _path(id_))


async def feed(client: Client, person: str, id_: str, agent: str) -> httpx.Response:
    """Read the feed of all events."""
    return await client.ask(person, "GET", "/cpk-debug-events")


READING: tuple[Verb, ...] = (load, agents, connect, threads, all_threads, messages, past, state, rest_state, feed)
VERBS: tuple[Verb, ...] = (*READING, stop, suggest, rename, archive, delete, run, generate_response)


async def attack(client: Client, ids: Sequence[str], verbs: tuple[Verb, ...]) -> list[tuple[str, str, str]]:
    """Have bob try everything; return where he got something of ann's, or an error of the server's."""
    found = []
    for number, id_ in enumerate(ids):
        for verb in verbs:
            agent = AGENTS[number % len(AGENTS)]
            answer = await verb(client, "bob", id_, agent)
            if answer.status_code >= 500 or "of-ann" in answer.text or "by-ann" in answer.text:
                found.append((verb.__name__, id_[:40], answer.text[:200]))
    return found


async def begin(client: Client, ids: Sequence[str]) -> None:
    """Have ann begin a thread under each id."""
    for number, id_ in enumerate(ids):
        answer = await run(client, "ann", id_, AGENTS[number % len(AGENTS)])
        assert answer.status_code < 500, (id_[:40], answer.text)


async def ann_s(client: Client, ids: Sequence[str]) -> list[str]:
    """Return all that ann reads."""
    answers = [
        await verb(client, "ann", id_, AGENTS[number % len(AGENTS)])
        for number, id_ in enumerate(ids)
        for verb in (messages, state, load)
    ]
    return [answer.text for answer in answers]


def ids_for(url: str) -> Sequence[str]:  # noqa: F811 - the fixture's name
    """Return all ids for SQLite, which folds and compares by rules of its own, and some for the others."""
    return IDS if url.startswith("sqlite") else IDS[::3]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("url", KINDS, indirect=True)
def test_nobody_gets_anything_by_an_id_that_is_like_another_s(url: str) -> None:  # noqa: F811 - the fixture
    ids = ids_for(url)

    async def play() -> None:
        world = World(url)
        async with world.serving() as client:
            await begin(client, ids)
            before = await ann_s(client, ids)
            has_secret = ["of-ann" in text for text in before]
            assert {AGENTS[number // 3 % len(AGENTS)] for number, found in enumerate(has_secret) if found} == {*AGENTS}
            assert await attack(client, ids, VERBS) == []
            assert await ann_s(client, ids) == before
        if url.startswith("memory"):
            world.remembered.clear()  # what lives in the process ends with it, as the owners do
        async with world.serving() as client:
            assert await attack(client, ids[::3], READING) == []
            for id_ in ids:
                await delete(client, "ann", id_, "graph")
            assert [each.thread_id for each in (await client.runtime.threads(owner="ann")).threads] == []
            assert await attack(client, ids, (load, connect, run)) == []

    asyncio.run(play())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("url", KINDS, indirect=True)
def test_nobody_gets_what_is_over_by_an_id_that_is_like_another_s(url: str) -> None:  # noqa: F811 - the fixture
    ids = ids_for(url)[::2]

    async def play() -> None:
        world = World(url, ttl=1.0)
        async with world.serving() as client:
            await begin(client, ids)

            async def is_over() -> bool:
                return (await client.runtime.threads(owner="ann")).threads == []

            await until(is_over)
            assert await attack(client, ids, (load, connect, past, run, generate_response)) == []

    asyncio.run(play())
