"""Two people and every operation of every wire: what is there is listed by the wires' own tables.

An operation that is added to a table and not to the ones here fails: somebody has to say what a stranger gets of it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest
from starlette.routing import Route

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
from copilotkit_runtime.resolvers.schema import build_schema
from copilotkit_runtime.runtime.execution import worker
from copilotkit_runtime.runtime.stores.interface import AgentState
from copilotkit_runtime.wires.agui.envelope import OPERATIONS
from copilotkit_runtime.wires.agui.routing import PATHS
from tests.integration.stores.conftest import postgres_url, redis_url, server_folder, url  # noqa: F401 - fixtures
from tests.support.agui_client import PATH, run_input, user
from tests.support.request_bodies import generate, text_message

PLACES = [*((kind, "inline") for kind in ("memory", "sqlite", "redis", "postgres")), ("redis", "queue")]
PATIENCE = 30
"""Seconds for one answer: a stranger who may follow a run that goes on would wait for its end."""
SECRET = "secret-of-ann"


class Given(NamedTuple):
    """What an operation gives: the status of a stranger's request, and whether its owner reads the thread by it."""

    stranger: int
    owner_reads: bool = False


AGUI = {
    "info": Given(200),
    "run": Given(404, owner_reads=True),
    "connect": Given(200, owner_reads=True),
    "stop": Given(200),
    "suggest": Given(200),
    "threads": Given(200, owner_reads=True),
    "subscribe": Given(422),
    "clear": Given(404),
    "thread_messages": Given(200, owner_reads=True),
    "thread_events": Given(200, owner_reads=True),
    "thread_state": Given(200, owner_reads=True),
    "archive_thread": Given(404),
    "update_thread": Given(404),
    "delete_thread": Given(404),
    "annotate": Given(422),
    "transcribe": Given(200),
    "inspector_metadata": Given(204),
    "inspector_learning": Given(404),
    "debug_events": Given(403),
}
FIELDS = {
    "hello": Given(200),
    "availableAgents": Given(200),
    "runtimeInfo": Given(200),
    "loadAgentState": Given(200, owner_reads=True),
    "generateCopilotResponse": Given(200, owner_reads=True),
    "saveAgentState": Given(200),
}
REST = {"GET state": Given(200, owner_reads=True), "PUT state": Given(404)}
OWN_PATHS = {"/agents/{agent:path}/state", "/{suffix:agui}", "/{suffix:every}", "", "/"}
"""The paths behind which threads are, all of which are attacked here,"""
FILE_PATHS = {"/chat/{file:path}", "/graphiql/{file:path}"}
PUBLIC_PATHS = {"/health", "/chat", "/ready", "/stream-check", "/metrics", *FILE_PATHS}
"""and those behind which there are none."""

LAST = ("update_thread", "archive_thread", "delete_thread")
"""What the owner does after everything else."""
ENDLESS = "debug_events"


class Repeating(AgentProvider):
    """Sends what is kept of a thread and what it was sent, and goes on if it is sent ``wait``."""

    name = "repeating"

    def __init__(self) -> None:
        self.waits, self.ended = asyncio.Event(), asyncio.Event()

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="repeating")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        kept = await self.load_state(run.thread_id, agent_name) or AgentState()
        said = [str(getattr(each, "content", "")) for each in (*kept.messages, *run.messages)]
        message_id = uuid4().hex
        yield events.StateSnapshot(snapshot={"said": said})
        yield events.TextMessageStart(message_id=message_id)
        yield events.TextMessageContent(message_id=message_id, delta=" | ".join(said))
        yield events.TextMessageEnd(message_id=message_id)
        if said[-1] == "wait":
            self.waits.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.ended.set()


async def hear(_audio: Any) -> str:
    return "heard"


class World:
    """A served runtime, inline or with a worker beside it."""

    def __init__(self, client: httpx.AsyncClient, agent: Repeating) -> None:
        self.client, self.agent, self.thread = client, agent, f"thread-{uuid4().hex}"

    async def ask(self, person: str, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        shown = {"x-api-key": f"key-of-{person}", **headers}
        async with asyncio.timeout(PATIENCE):
            return await self.client.request(method, f"{PATH}{path}", json=body, headers=shown)

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Have the owner's agent work on the thread meanwhile."""
        asked = self.body("ann", "wait")
        shown = {"x-api-key": "key-of-ann"}
        running = asyncio.create_task(self.client.post(f"{PATH}/agent/repeating/run", json=asked, headers=shown))
        try:
            await self.agent.waits.wait()
            yield
            await running
        finally:
            running.cancel()

    def body(self, person: str, text: str | None = None) -> dict[str, Any]:
        """A body from which each operation takes what it reads, all of it about the one thread."""
        return typed_body(text or f"secret-of-{person}", thread=self.thread, name=f"name-by-{person}")

    async def by_path(self, person: str, operation: str) -> httpx.Response:
        """Call an operation of AG-UI by its path."""
        method, path = place(operation, self.thread)
        body = None if method == "GET" else {} if operation == "stop" else self.body(person)
        query = f"?threadId={self.thread}&agentId=repeating&includeArchived=true&limit=200" if body is None else ""
        return await self.ask(person, method, path + query, body)

    async def by_envelope(self, person: str, operation: str) -> httpx.Response:
        """Call an operation of AG-UI on the shared URL."""
        body = {} if operation == "stop" else self.body(person)
        names = {"agentId": "repeating", "threadId": self.thread}
        for method, named in OPERATIONS.items():
            if named == operation:
                return await self.ask(person, "POST", "", {"method": method, "params": names, "body": body})
        method, path = place(operation, self.thread)
        asked = {"path": f"{path}?agentId=repeating&includeArchived=true", "httpMethod": method}
        return await self.ask(person, "POST", "", {"method": "resource/request", "params": asked, "body": body})

    async def by_field(self, person: str, field: str) -> httpx.Response:
        """Call an operation of GraphQL."""
        if field == "generateCopilotResponse":
            said = text_message(f"secret-of-{person}", id_=uuid4().hex)
            asked = generate(said, agent="repeating", threadId=self.thread)
            return await self.ask(person, "POST", "", asked, accept="multipart/mixed")
        document, variables = DOCUMENTS[field](self.thread)
        return await self.ask(person, "POST", "", {"query": document, "variables": {"d": variables}})

    async def by_rest(self, person: str, operation: str) -> httpx.Response:
        """Call an operation beside the contract."""
        method, path = operation.split()[0], "/agents/repeating/state"
        if method == "GET":
            return await self.ask(person, method, f"{path}?threadId={self.thread}")
        state = {"said": [f"secret-of-{person}"]}
        return await self.ask(person, method, path, {"threadId": self.thread, "state": state})


DOCUMENTS: Mapping[str, Callable[[str], tuple[str, Any]]] = {
    "hello": lambda _: ("{hello}", None),
    "availableAgents": lambda _: ("{availableAgents{agents{id name description}}}", None),
    "runtimeInfo": lambda _: ("{runtimeInfo{version agents{id name description}}}", None),
    "loadAgentState": lambda thread: (
        "query($d:LoadAgentStateInput!){loadAgentState(data:$d){threadExists state messages}}",
        {"threadId": thread, "agentName": "repeating"},
    ),
    "saveAgentState": lambda thread: (
        "mutation($d:SaveAgentStateInput!){saveAgentState(data:$d){threadId}}",
        {"threadId": thread, "agentName": "repeating", "state": {"said": ["overwritten"]}},
    ),
}


def typed_body(text: str = "hello", *, thread: str, name: str = "name") -> dict[str, Any]:
    """A body from which each operation takes what it reads."""
    return run_input(
        user(text, uuid4().hex),
        thread=thread,
        run="r-of-ann",
        agentId="repeating",
        name=name,
        archived=True,
        type="thumbs",
        audio="YXVkaW8=",
        mimeType="audio/webm",
    )


def place(operation: str, thread: str) -> tuple[str, str]:
    """Return the method and the path of an operation, from the wire's own table."""
    named = {"agent": "repeating", "thread": thread}
    for pattern, operations in PATHS:
        for method, name in operations.items():
            if name == operation:
                return method, re.sub(r"\(\?P<(\w+)>[^)]*\)", lambda match: named[match[1]], pattern.pattern)
    raise LookupError(operation)


@asynccontextmanager
async def served(url: str, execution: str) -> AsyncIterator[World]:  # noqa: F811 - the fixture's name
    agent = Repeating()
    config = {"store": url, "extensions": True, "debug_events": True, "installed_providers": False}
    auth = ApiKeyAuth({"ann": "key-of-ann", "bob": "key-of-bob"})
    async with AsyncExitStack() as stack:
        web: list[AgentProvider] = [agent]
        if execution == "queue":
            config, web = {**config, "execution": "queue"}, []
            executing = CopilotRuntime([agent], config=RuntimeConfig(**config), transcribe=hear)
            executing.become_worker()
            await executing.start()
            stack.push_async_callback(executing.stop)
        runtime = CopilotRuntime(web, auth=auth, config=RuntimeConfig(**config), transcribe=hear)
        await stack.enter_async_context(runtime)
        transport = httpx.ASGITransport(runtime.create_app())
        client = httpx.AsyncClient(transport=transport, base_url="http://test")
        yield World(await stack.enter_async_context(client), agent)


def _operations() -> Iterable[str]:
    return [operation for _, operations in PATHS for operation in operations.values()]


def test_every_operation_that_the_wires_have_is_attacked() -> None:
    schema = build_schema(extensions=True)
    assert set(_operations()) == AGUI.keys()
    assert set(OPERATIONS.values()) <= AGUI.keys()
    assert schema.query_type is not None
    assert schema.mutation_type is not None
    assert schema.query_type.fields.keys() | schema.mutation_type.fields.keys() == FIELDS.keys()
    assert schema.subscription_type is None
    config = RuntimeConfig(extensions=True, debug_events=True, metrics=True, store="memory://")
    routes = CopilotRuntime(config=config).create_app().routes
    below = {str(getattr(route, "path", "")).removeprefix(PATH) for route in routes if isinstance(route, Route)}
    assert {path for path in below if path in OWN_PATHS} == OWN_PATHS
    own = {path for path in below if not path.startswith("/{p")} - OWN_PATHS - PUBLIC_PATHS
    assert own == {"/favicon.ico", "/docs"}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("url", "execution"), PLACES, indirect=["url"], ids=["-".join(place) for place in PLACES])
async def test_a_stranger_gets_nothing_by_any_operation_and_changes_nothing(
    url: str,  # noqa: F811 - the fixture
    execution: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "TAKE_SECONDS", 0.2)
    async with served(url, execution) as world, asyncio.timeout(300):
        await world.ask("ann", "POST", "/agent/repeating/run", world.body("ann"))
        async with world.going_on():
            before = await _seen_by_owner(world)
            assert SECRET in before
            await _attack(world)
            assert await _seen_by_owner(world) == before
            assert not world.agent.ended.is_set()
            assert (await world.by_path("ann", "stop")).json()["stopped"] is True
        assert await _read_by_owner(world) == _that_owners_read()
        for operation in LAST:
            assert (await world.by_path("ann", operation)).status_code == 200


async def _attack(world: World) -> None:
    """Have a stranger try everything."""
    for operation, given in AGUI.items():
        _check(await world.by_path("bob", operation), given.stranger, operation)
        if operation != ENDLESS:
            answer = await world.by_envelope("bob", operation)
            assert SECRET not in answer.text, operation
            assert answer.status_code < 500, operation
    for field, given in FIELDS.items():
        _check(await world.by_field("bob", field), given.stranger, field)
    for operation, given in REST.items():
        _check(await world.by_rest("bob", operation), given.stranger, operation)


def _check(answer: httpx.Response, status: int, operation: str) -> None:
    assert SECRET not in answer.text, operation
    assert answer.status_code == status, (operation, answer.text)


async def _seen_by_owner(world: World) -> str:
    answers = [await world.by_path("ann", operation) for operation in ("threads", "thread_messages", "thread_state")]
    return "\n".join([*(answer.text for answer in answers), (await world.by_rest("ann", "GET state")).text])


def _that_owners_read() -> set[str]:
    return {name for table in (AGUI, FIELDS, REST) for name, given in table.items() if given.owner_reads}


async def _read_by_owner(world: World) -> set[str]:
    """Return the operations by which the owner reads the thread: what a stranger is looked for in the answers of."""
    calls: dict[str, Callable[[str, str], Any]] = {
        **dict.fromkeys(REST, world.by_rest),
        **dict.fromkeys([name for name in AGUI if name not in (*LAST, ENDLESS)], world.by_path),
        **dict.fromkeys([name for name in FIELDS if name != "saveAgentState"], world.by_field),
    }
    calls = {name: call for name, call in calls.items() if name not in ("PUT state", "suggest")}
    return {name for name, call in calls.items() if SECRET in (await call("ann", name)).text}
