"""What a client sends is repeated to it in part, however long it is: each text and each key of a request in turn."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.runtime.config import RuntimeConfig
from copilotkit_runtime.wires.agui.envelope import OPERATIONS
from copilotkit_runtime.wires.agui.routing import PATHS
from tests.integration.wires.test_every_operation import AGUI, DOCUMENTS, ENDLESS, place, typed_body
from tests.support.agui_client import PATH
from tests.support.request_bodies import CREATED_AT, action, generate, text_message

LONG = "Aq-" * 5_000
MOST = 8_000
"""Bytes of an answer: some texts of 2,000 characters, and what says in which form they are repeated."""
NAME = "Aq" * 10_000
DECLARED = ("query($%s:String){hello}", "query($a:%s){hello}", "fragment %s on Query{hello}{hello}")
NAMED = ("{%s}", "{hello %s}", "{hello @%s}", "{... on %s{hello}}", "{...%s}", "{%s:hello}", "{a(b:1%s)}")
VALUES = (
    '{loadAgentState(data:{%s:"x"}){threadId}}',
    '{loadAgentState(data:{threadId:"%s"}){threadId}}',
    "{loadAgentState(%s:1){threadId}}",
    '"%s',
)
Steps = tuple[Any, ...]


class Silent(AgentProvider):
    """Says nothing of what it was given."""

    name = "repeating"

    async def list_agents(self) -> list[AgentDescriptor]:
        """The one agent."""
        return [AgentDescriptor(name="repeating")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Say a word."""
        yield events.TextMessageStart(message_id=uuid4().hex)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a runtime with everything switched on."""

    async def hear(_audio: Any) -> str:
        return "heard"

    config = RuntimeConfig(store="memory://", extensions=True, debug_events=True, installed_providers=False)
    runtime = CopilotRuntime([Silent()], config=config, transcribe=hear)
    transport = httpx.ASGITransport(runtime.create_app())
    async with runtime, httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client:
        yield client


def steps_of(value: Any, steps: Steps = ()) -> Iterator[tuple[Steps, bool]]:
    """Return the way to each value and to each key, and whether the key is meant."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield (*steps, key), True
            yield from steps_of(each, (*steps, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from steps_of(each, (*steps, index))
    else:
        yield steps, False


def grown(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the body with each of its values and keys in turn made long."""
    for steps, is_key in steps_of(body):
        larger = copy.deepcopy(body)
        within = larger
        for step in steps[:-1]:
            within = within[step]
        if is_key:
            within[LONG] = within.pop(steps[-1])
        else:
            within[steps[-1]] = LONG
        yield f"{steps}{' (key)' if is_key else ''}", larger


async def assert_short(client: httpx.AsyncClient, what: str, path: str, body: Any, method: str = "POST") -> None:
    """Assert that the answer to a request is short, and no error of the server's own."""
    for accept in ("application/json", "multipart/mixed") if path == "" else ("*/*",):
        response = await client.request(method, f"{PATH}{path}", json=body, headers={"accept": accept})
        size = len(response.content) + sum(map(len, response.headers.values()))
        assert size < MOST, (what, accept, response.status_code, response.text[:300])
        assert response.status_code < 500, (what, response.text)


def thread_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return a run's body on a thread of its own, unless its thread is what is long."""
    body["threadId"] = body["threadId"] if body.get("threadId", "") == LONG else uuid4().hex
    return body


RUNS = [name for name in AGUI if name not in (ENDLESS, "threads", "info") and place(name, "t")[0] != "GET"]


@pytest.mark.parametrize("operation", RUNS)
async def test_no_text_of_a_body_over_agui_is_repeated_at_length(client: httpx.AsyncClient, operation: str) -> None:
    method, path = place(operation, "t")
    await assert_short(client, "begun", "/agent/repeating/run", typed_body(thread="t"))
    for what, body in grown({**typed_body(thread="t"), "parentRunId": "p"}):
        await assert_short(client, what, path, thread_of(body) if operation == "run" else body, method)


async def test_no_text_of_a_path_or_an_envelope_over_agui_is_repeated_at_length(client: httpx.AsyncClient) -> None:
    for _, operations in PATHS:
        for method, operation in operations.items():
            if operation != ENDLESS:
                body = None if method == "GET" else typed_body(thread="t")
                path = place(operation, LONG)[1].replace("repeating", LONG)
                await assert_short(client, operation, path, body, method)
                for name in ("threadId", "agentId", "cursor", "limit"):
                    asked = f"{place(operation, 't')[1]}?{name}={LONG}"
                    await assert_short(client, f"{operation} {name}", asked, body, method)
    for method in ("resource/request", *OPERATIONS):
        names = {"agentId": "repeating", "threadId": "t", "path": "/threads?agentId=a", "httpMethod": "GET"}
        for what, envelope in grown({"method": method, "params": names}):
            await assert_short(client, f"{method} {what}", "", {**envelope, "body": typed_body(thread="t")})


def generated() -> dict[str, Any]:
    """A request over GraphQL in which everything is filled in."""
    call = {"name": "n", "arguments": "{}", "parentMessageId": "p"}
    result = {"actionExecutionId": "a", "actionName": "n", "result": "r"}
    messages = [
        {"id": "a", "createdAt": CREATED_AT, "actionExecutionMessage": call},
        {"id": "r", "createdAt": CREATED_AT, "resultMessage": result},
        {"id": "i", "createdAt": CREATED_AT, "imageMessage": {"format": "png", "bytes": "aGk=", "role": "user"}},
        text_message("hello", id_="m"),
    ]
    body = generate(
        *messages,
        agent="repeating",
        threadId="t",
        runId="r",
        agentStates=[{"agentName": "repeating", "state": "{}", "configurable": "{}", "config": "{}"}],
        forwardedParameters={"model": "m", "toolChoice": "t", "stop": ["x"]},
        metaEvents=[{"name": "LangGraphInterruptEvent", "value": "v", "response": "r"}],
        context=[{"description": "d", "value": "v"}],
    )
    body["variables"]["data"]["frontend"]["actions"] = [action("n")]
    body["variables"]["properties"] = {"a": "b"}
    return body


async def test_no_text_of_a_request_over_graphql_is_repeated_at_length(client: httpx.AsyncClient) -> None:
    for what, body in grown(generated()):
        data = body.get("variables", {}).get("data")
        if isinstance(data, dict):
            thread_of(data)
        await assert_short(client, what, "", body)


@pytest.mark.parametrize("field", DOCUMENTS)
async def test_no_text_of_any_operation_over_graphql_is_repeated_at_length(
    client: httpx.AsyncClient, field: str
) -> None:
    document, variables = DOCUMENTS[field]("t")
    document = document.replace("{threadExists", "{threadId threadExists")
    for what, body in grown({"query": document, "variables": {"d": variables}, "operationName": None}):
        await assert_short(client, what, "", body)


@pytest.mark.parametrize("document", [*DECLARED, *NAMED, *VALUES])
async def test_no_name_or_value_of_a_document_is_repeated_at_length(client: httpx.AsyncClient, document: str) -> None:
    await assert_short(client, document, "", {"query": document % NAME})


async def test_a_state_beside_the_contract_is_not_repeated_at_length(client: httpx.AsyncClient) -> None:
    for agent, thread in (("repeating", LONG), (LONG, "t")):
        await assert_short(client, agent, f"/agents/{agent}/state?threadId={thread}", None, "GET")
    for what, body in grown({"threadId": "t", "state": {"a": "b"}, "c": "d"}):
        await assert_short(client, what, "/agents/repeating/state", body, "PUT")
