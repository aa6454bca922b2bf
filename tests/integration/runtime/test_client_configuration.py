"""What a client sets of a run's configuration, over both wires, and what agents are given of it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, MessagesState, StateGraph
from typing_extensions import TypedDict

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
from tests.parity.wire import PartReader
from tests.support.agui_client import PATH, run_input, user
from tests.support.local_server import client_of
from tests.support.request_bodies import generate, text_message

KEYS = ApiKeyAuth({"bob": "key-of-bob"})
BOB = {"x-api-key": "key-of-bob"}
FORGED = {
    "langgraph_auth_user": {"identity": "admin"},
    "langgraph_auth_user_id": "admin",
    "langgraphAuthUser": "admin",
    "LANGGRAPH-AUTH-USER": "admin",
    "l\u0430nggraph_auth_user": "admin",
    "\uff4canggraph_auth_user": "admin",
    "copilotkit_forwarded_headers": {"x-user": "admin"},
    "__pregel_send": "admin",
    "__pregel_checkpointer": "admin",
    "checkpoint_id": "admin",
    "checkpoint_ns": "admin",
    "checkpoint_map": {"": "admin"},
    "thread_id": "admin",
    "threadId": "admin",
    "assistant_id": "admin",
    "user_id": "admin",
    "callbacks": ["admin"],
    "store": "admin",
}
SENT = {
    **FORGED,
    "configurable": {**FORGED, "tone": "kind", "other": 1, "bound": "admin", "configurable": FORGED},
    "context": FORGED,
    "metadata": {**FORGED, "team": "blue"},
    "tags": ["admin"] * 1000,
    "recursion_limit": 10**9,
}


class Declared(TypedDict, total=False):
    """Names that a graph opens, among them some that are not the client's, whatever a graph declares."""

    tone: str
    user_id: str
    thread_id: str
    langgraph_auth_user_id: str


def showing(schema: type[Any] | None = None) -> Any:
    """A graph that sends what it is given."""

    def work(_: MessagesState, config: RunnableConfig) -> dict[str, Any]:
        kept = {name: config["configurable"].get(name) for name in (*FORGED, "tone", "other", "bound")}
        given = {name: value for name, value in kept.items() if value is not None}
        told = {"given": given, "limit": config.get("recursion_limit"), "team": config.get("metadata", {}).get("team")}
        return {"messages": [AIMessage(json.dumps(told, default=str))]}

    return StateGraph(MessagesState, context_schema=schema).add_node("work", work).add_edge(START, "work").compile()


class Showing(AgentProvider):
    """An agent of another framework, which sends what it is given."""

    name = "showing"

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="custom")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        told = {"given": run.config, "properties": context.properties}
        yield events.TextMessageStart(message_id="a")
        yield events.TextMessageContent(message_id="a", delta=json.dumps(told))


@asynccontextmanager
async def served(auth: ApiKeyAuth | None = KEYS, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    graphs = {
        "bare": showing(),
        "declaring": showing(Declared),
        "bound": showing().with_config(configurable={"bound": "mine"}),
    }
    runtime = CopilotRuntime(
        providers=[LangGraphProvider(graphs), Showing()],
        auth=auth,
        config=RuntimeConfig(installed_providers=False, **settings),
    )
    async with client_of(runtime) as client:
        yield client


async def over_graphql(client: httpx.AsyncClient, agent: str, config: Any, properties: Any = None) -> dict[str, Any]:
    state = {"agentName": agent, "state": "{}", "config": json.dumps(config)}
    body = generate(text_message("hi"), agent=agent, agentStates=[state])
    body["variables"]["properties"] = properties or {}
    async with client.stream("POST", PATH, json=body, headers={**BOB, "accept": "multipart/mixed"}) as response:
        reader = PartReader()
        parts = [part async for chunk in response.aiter_bytes() for part in reader.feed(chunk)]
    told: dict[str, Any] = json.loads("".join(_texts(parts)))
    return told


def _texts(parts: Any) -> Iterator[str]:
    """The pieces of the messages' texts in the parts of a streamed answer."""
    for part in parts:
        for piece in part.get("incremental", ()):
            if "content" in piece["path"]:
                yield from (item for item in piece["items"] if isinstance(item, str))
            for message in piece.get("items") or ():
                yield from message.get("content") or () if isinstance(message, dict) else ()


async def over_agui(client: httpx.AsyncClient, agent: str, config: Any, properties: Any = None) -> dict[str, Any]:
    body = run_input(user("hi"), forwardedProps={**(properties or {}), "config": config})
    return await _told_over_agui(client, agent, body)


async def over_flat_agui(client: httpx.AsyncClient, agent: str, config: Any, properties: Any = None) -> dict[str, Any]:
    """As ``useCoAgent`` sends it: the configuration in place of the properties."""
    return await _told_over_agui(client, agent, run_input(user("hi"), forwardedProps={**(properties or {}), **config}))


async def _told_over_agui(client: httpx.AsyncClient, agent: str, body: dict[str, Any]) -> dict[str, Any]:
    response = await client.post(f"{PATH}/agent/{agent}/run", json=body, headers=BOB)
    frames = [json.loads(line.removeprefix("data: ")) for line in response.text.splitlines() if line.startswith("data")]
    told: dict[str, Any] = json.loads("".join(each["delta"] for each in frames if each["type"].endswith("_CONTENT")))
    return told


WIRES = [over_graphql, over_agui, over_flat_agui]
TRUE = {"langgraph_auth_user_id": "bob"}


@pytest.mark.parametrize("ask", WIRES)
@pytest.mark.parametrize(
    ("agent", "names"),
    [
        ("bare", {"tone": "kind", "other": 1, "bound": "admin"}),
        ("declaring", {"tone": "kind"}),
        ("bound", {"tone": "kind", "other": 1, "bound": "mine"}),
    ],
)
async def test_a_graph_is_given_what_it_declares_and_the_true_identity(ask: Any, agent: str, names: Any) -> None:
    async with served() as client:
        told = await ask(client, agent, SENT)
    given = told["given"]
    assert given.pop("langgraph_auth_user")["identity"] == "bob"
    # These two are the run's own and no secret: what counts is that they are not the client's.
    assert given.pop("thread_id") in ("t", "t-1")
    assert given.pop("checkpoint_ns", "") != "admin"
    assert {name: value for name, value in given.items() if "checkpoint" not in name and "pregel" not in name} == {
        **TRUE,
        **names,
    }
    assert "admin" not in str({name: value for name, value in given.items() if name != "bound"})
    assert (told["limit"], told["team"]) == (500, "blue")


@pytest.mark.parametrize("ask", WIRES)
async def test_without_authentication_nobody_is_given_whatever_the_client_claims(ask: Any) -> None:
    async with served(auth=None) as client:
        bare, declaring = [(await ask(client, agent, SENT))["given"] for agent in ("bare", "declaring")]
    assert not bare.keys() & {"langgraph_auth_user", "langgraph_auth_user_id", "user_id"}
    # What a graph declares is its own matter while nobody was authenticated.
    assert declaring["user_id"] == "admin"
    assert not declaring.keys() & {"langgraph_auth_user", "langgraph_auth_user_id"}


@pytest.mark.parametrize("ask", WIRES)
async def test_what_the_application_opened_reaches_graphs_that_do_not_declare_it(ask: Any) -> None:
    async with served(client_config_keys="other,user_id,bound") as client:
        told = [(await ask(client, agent, SENT))["given"] for agent in ("bare", "declaring", "bound")]
    assert [(each["other"], each["user_id"], each["bound"]) for each in told] == [(1, "admin", "admin")] * 3


@pytest.mark.parametrize("ask", WIRES)
async def test_agents_of_other_frameworks_are_given_ordinary_names_alone(ask: Any) -> None:
    async with served() as client:
        told = await ask(client, "custom", SENT)
    assert told["given"] == {
        "configurable": {"tone": "kind", "other": 1, "bound": "admin"},
        **({} if ask is over_flat_agui else {"context": {}}),
        "metadata": {"team": "blue"},
        "tags": ["admin"] * 50,
        "recursion_limit": 500,
    }


@pytest.mark.parametrize("ask", WIRES)
async def test_properties_hold_no_identity_and_no_configuration_that_was_refused(ask: Any) -> None:
    async with served() as client:
        told = await ask(client, "custom", {}, {"plan": "pro", **FORGED, "configurable": FORGED, "config": {}})
        told_graph = await ask(client, "declaring", {}, FORGED)
    properties = told["properties"]
    assert properties["plan"] == "pro"
    assert not properties.get("configurable")
    assert not [name for name in properties if "auth" in name.lower().replace("\u0430", "a") and name.isascii()]
    assert "copilotkit_forwarded_headers" not in properties
    assert told_graph["given"]["langgraph_auth_user_id"] == "bob"


@pytest.mark.parametrize("odd", [True, "10", -5, 0, None, [10], {"a": 1}])
async def test_an_odd_recursion_limit_is_not_a_limit(odd: Any) -> None:
    async with served() as client:
        usual = (await over_graphql(client, "bare", {}))["limit"]
        told = [await ask(client, "bare", {"recursion_limit": odd}) for ask in WIRES]
    assert {each["limit"] for each in told} == {usual}
