"""What a request costs grows with its size and not with its square, whichever part of it grows.

Calls of Python functions on the event loop's thread are counted, never seconds: they come out alike on every machine.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from types import FrameType
from typing import Annotated, Any, TypedDict

import httpx
import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from tests.support import agui_client
from tests.support.agui_client import events_of, run_input, user
from tests.support.local_server import PATH, client_of
from tests.support.request_bodies import CREATED_AT, action, generate, text_message

DOCUMENT = """
mutation generateCopilotResponse($data: GenerateCopilotResponseInput!) {
  generateCopilotResponse(data: $data) { status { ... on BaseResponseStatus { code } } messages { __typename } }
}
"""
TWICE = 2.3
SMALL = 100
STEPS = 6
"""Turns of the loop after which what has come is written."""
NOISE = 2_000
"""What two requests of one size may differ by: work of the background, which the loop does between their steps."""

Request = tuple[str, dict[str, Any], dict[str, str]]


class Kept(AgentProvider):
    """Answers with a word, as an agent or as the model; the runtime's store keeps its threads."""

    name = "kept"

    async def list_agents(self) -> list[AgentDescriptor]:
        """The one agent."""
        return [AgentDescriptor(name="kept")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Answer with a word."""
        yield events.TextMessageStart(message_id=f"answer-{run.run_id}")
        yield events.TextMessageContent(message_id=f"answer-{run.run_id}", delta="hello")
        yield events.TextMessageEnd(message_id=f"answer-{run.run_id}")


STREAMED = """
mutation generateCopilotResponse($data: GenerateCopilotResponseInput!) {
  generateCopilotResponse(data: $data) {
    ... @defer { status { ... on BaseResponseStatus { code } } }
    messages @stream {
      __typename
      ... on BaseMessageOutput @defer { status { ... on SuccessMessageStatus { code } } }
      ... on TextMessageOutput { content @stream }
      ... on ActionExecutionMessageOutput { arguments @stream }
    }
  }
}
"""


def texts(number: int) -> Iterator[events.Event]:
    """Texts that are all open at once, each going on in turn."""
    yield from (events.TextMessageStart(message_id=f"m{n}") for n in range(number))
    yield from (events.TextMessageContent(message_id=f"m{n}", delta="x") for n in range(number))


def beside(other: Callable[[int], events.Event]) -> Callable[[int], Iterator[events.Event]]:
    """Open texts, and as many other events, one after another."""

    def sent(number: int) -> Iterator[events.Event]:
        yield from (events.TextMessageStart(message_id=f"m{n}") for n in range(number))
        yield from map(other, range(number))

    return sent


def open_calls(number: int) -> Iterator[events.Event]:
    """Calls that are all open at once, and end one after another."""
    yield from (events.ToolCallStart(tool_call_id=f"c{n}", tool_call_name="t") for n in range(number))
    yield from (events.ToolCallArgs(tool_call_id=f"c{n}", delta="{}") for n in range(number))
    yield from (events.ToolCallEnd(tool_call_id=f"c{n}") for n in range(number))


SENT: dict[str, Callable[[int], Iterator[events.Event]]] = {
    "open texts": texts,
    "open calls": open_calls,
    "open texts and states": beside(lambda n: events.StateSnapshot(snapshot={"n": n})),
    "open texts and snapshots of the thread": beside(lambda _: events.MessagesSnapshot(messages=[])),
    "open texts and steps": beside(lambda n: events.StepStarted(step_name=f"s{n}")),
    "open texts and what the contract has no place for": beside(lambda _: events.Custom(name="x", value=None)),
}
"""What fills one dimension of what an agent sends."""


class Sending(AgentProvider):
    """Sends what the last message names, event by event: the client has each before the next one comes."""

    name = "sending"

    async def list_agents(self) -> list[AgentDescriptor]:
        """The one agent."""
        return [AgentDescriptor(name="sending")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Send."""
        dimension, size = json.loads(getattr(run.messages[-1], "content", ""))
        for event in SENT[dimension](size):
            yield event
            for _ in range(STEPS):
                await asyncio.sleep(0)


class Talk(TypedDict):
    """The state of the graph."""

    messages: Annotated[list[Any], add_messages]


def graph() -> Any:
    """A graph that answers with a word."""
    builder = StateGraph(Talk)
    builder.add_node("answer", lambda _state: {"messages": [("ai", "hello")]})
    builder.add_edge(START, "answer")
    builder.add_edge("answer", END)
    return builder.compile()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a runtime with an agent of its own, a graph and a model."""
    runtime = CopilotRuntime(providers=[Kept(), Sending(), LangGraphProvider({"graph": graph()})], model=Kept())
    async with client_of(runtime) as client:
        yield client


def called(number: int, id_: str = "c") -> dict[str, Any]:
    """A call over GraphQL, in a message of its own."""
    call = {"name": "t", "arguments": "{}", "parentMessageId": f"p{number}"}
    return {"id": f"{id_}{number}", "createdAt": CREATED_AT, "actionExecutionMessage": call}


def result(number: int, id_: str = "c") -> dict[str, Any]:
    """A call's result over GraphQL."""
    fields = {"actionExecutionId": f"{id_}{number}", "actionName": "t", "result": "r"}
    return {"id": f"r{number}", "createdAt": CREATED_AT, "resultMessage": fields}


def state_message(number: int) -> dict[str, Any]:
    """An agent's state over GraphQL."""
    fields = {"threadId": "t", "agentName": "a", "runId": "r", "nodeName": "n", "role": "assistant"}
    more = {"active": False, "running": False, "state": "{}"}
    return {"id": f"s{number}", "createdAt": CREATED_AT, "agentStateMessage": {**fields, **more}}


def image(number: int) -> dict[str, Any]:
    """An image over GraphQL."""
    return {
        "id": f"i{number}",
        "createdAt": CREATED_AT,
        "imageMessage": {"format": "png", "bytes": "aGk=", "role": "user"},
    }


def answer(number: int) -> dict[str, Any]:
    """An answer to an interrupt over GraphQL."""
    return {"name": "LangGraphInterruptEvent", "value": f"v{number}", "response": "r"}


IMAGE = {"type": "image", "source": {"type": "data", "value": "aGk=", "mimeType": "image/png"}}
"""An image over AG-UI."""


def nested(depth: int) -> dict[str, Any]:
    """A state of that depth."""
    state: dict[str, Any] = {}
    for _ in range(depth):
        state = {"a": state}
    return state


def of_one_message(size: int) -> list[dict[str, Any]]:
    """Calls over GraphQL that belong to one message, and their results."""
    calls = [called(n) for n in range(size)]
    for call in calls:
        call["actionExecutionMessage"]["parentMessageId"] = "p"
    return [*calls, *(result(n) for n in range(size))]


GRAPHQL: dict[str, Callable[[int], dict[str, Any]]] = {
    "messages": lambda size: {
        "messages": [text_message("hi", "user" if n % 2 else "assistant", f"m{n}") for n in range(size)]
    },
    "results": lambda size: {"messages": [result(n) for n in range(size)]},
    "calls": lambda size: {"messages": [each for n in range(size) for each in (called(n), result(n))]},
    "calls of one message": lambda size: {"messages": of_one_message(size)},
    "agent states": lambda size: {"messages": [state_message(n) for n in range(size)]},
    "tools": lambda size: {"frontend": {"actions": [action(f"tool_{n}") for n in range(size)]}},
    "context": lambda size: {"context": [{"description": f"d{n}", "value": "v"} for n in range(size)]},
    "state keys": lambda size: {"agentStates": [agent_state({f"k{n}": n for n in range(size)})]},
    "states": lambda size: {"agentStates": [agent_state({}) for _ in range(size)]},
    "images": lambda size: {"messages": [image(n) for n in range(size)]},
    "answers": lambda size: {"metaEvents": [answer(n) for n in range(size)]},
    "state depth": lambda size: {"agentStates": [agent_state(nested(size // 4))]},
    "headers": lambda _size: {},
    "document": lambda _size: {},
    "ids": lambda size: {"threadId": "i" * size, "messages": [text_message("hi", "user", "i" * size)]},
}
"""What fills one dimension of a request over GraphQL."""


def agent_state(state: dict[str, Any]) -> dict[str, Any]:
    """An agent's state, as a client sends it back."""
    return {"agentName": "kept", "state": json.dumps(state), "configurable": "{}"}


def graphql(dimension: str, size: int, agent: str | None) -> Request:
    """A request over GraphQL, of which one dimension has that size."""
    data = {"threadId": f"{dimension}-{size}-{agent}", "messages": [], **GRAPHQL[dimension](size)}
    for state in data.get("agentStates", ()):
        state["agentName"] = agent or "kept"
    messages = data.pop("messages")
    body = generate(*messages, text_message("hello", id_="last"), agent=agent, **data)
    body["query"] = DOCUMENT + "# comment\n" * (size if dimension == "document" else 0)
    return PATH, body, {"accept": "application/json", **headers_of(dimension, size)}


def headers_of(dimension: str, size: int) -> dict[str, str]:
    """The headers of a request, of which one dimension has that size."""
    return {f"x-h{n}": "v" for n in range(size if dimension == "headers" else 0)}


def agui_call(number: int) -> dict[str, Any]:
    """A call over AG-UI."""
    return {"id": f"c{number}", "type": "function", "function": {"name": "t", "arguments": "{}"}}


def agui_result(number: int) -> dict[str, Any]:
    """A call's result over AG-UI."""
    return {"id": f"r{number}", "role": "tool", "toolCallId": f"c{number}", "content": "r"}


def agui_calls(size: int) -> list[dict[str, Any]]:
    """Calls over AG-UI, each in a message of its own and with its result."""
    asked = [{"id": f"p{n}", "role": "assistant", "toolCalls": [agui_call(n)]} for n in range(size)]
    return [each for n in range(size) for each in (asked[n], agui_result(n))]


def agui_calls_of_one_message(size: int) -> list[dict[str, Any]]:
    """Calls over AG-UI that belong to one message, and their results."""
    asked = {"id": "p", "role": "assistant", "toolCalls": [agui_call(n) for n in range(size)]}
    return [asked, *(agui_result(n) for n in range(size))]


AGUI: dict[str, Callable[[int], dict[str, Any]]] = {
    "messages": lambda size: {"messages": [user("hi", f"m{n}") for n in range(size)]},
    "results": lambda size: {"messages": [agui_result(n) for n in range(size)]},
    "calls": lambda size: {"messages": agui_calls(size)},
    "calls of one message": lambda size: {"messages": agui_calls_of_one_message(size)},
    "tools": lambda size: {"tools": [{"name": f"tool_{n}", "description": "", "parameters": {}} for n in range(size)]},
    "context": lambda size: {"context": [{"description": f"d{n}", "value": "v"} for n in range(size)]},
    "state keys": lambda size: {"state": {f"k{n}": n for n in range(size)}},
    "state depth": lambda size: {"state": nested(size // 4)},
    "images": lambda size: {"messages": [{"id": "i", "role": "user", "content": [IMAGE] * size}]},
    "answers": lambda size: {"resume": [{"interruptId": f"i{n}", "status": "resolved"} for n in range(size)]},
    "properties": lambda size: {"forwardedProps": {f"p{n}": {"q": n} for n in range(size)}},
    "headers": lambda _size: {},
    "ids": lambda size: {"thread": "i" * size, "messages": [user("hi", "i" * size)]},
}
"""What fills one dimension of a request over AG-UI."""


def agui(dimension: str, size: int, agent: str | None) -> Request:
    """A request over AG-UI, of which one dimension has that size."""
    parts = {"thread": f"{dimension}-{size}-{agent}", "messages": [], **AGUI[dimension](size)}
    body = run_input(*parts.pop("messages"), user("hello", "last"), **parts)
    return f"{agui_client.PATH}/agent/{agent}/run", body, headers_of(dimension, size)


async def calls_of(client: httpx.AsyncClient, request: Request) -> int:
    """Send a request; return how many calls the loop's thread made for it."""
    path, body, headers = request
    counted = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event == "call"

    sys.setprofile(count)
    try:
        response = await client.post(path, json=body, headers=headers)
    finally:
        sys.setprofile(None)
    assert response.status_code == 200, response.text
    if "multipart" in response.headers["content-type"]:
        assert '"code":"Success"' in response.text, response.text[-500:]
    elif path == PATH:
        assert response.json()["data"]["generateCopilotResponse"]["status"]["code"] == "Success", response.text
    else:
        assert events_of(response.text)[-1]["type"] == "RUN_FINISHED", response.text[-500:]
    return counted


CASES = [
    *((graphql, dimension, agent) for agent in ("kept", "graph", None) for dimension in GRAPHQL),
    *((agui, dimension, agent) for agent in ("kept", "graph") for dimension in AGUI),
]


def assert_linear(least: int, small: int, large: int) -> None:
    """Assert that what was added to the least request costs about twice as much when it is twice as much."""
    assert large - least <= TWICE * max(small - least, 0) + NOISE, (least, small, large)


@pytest.mark.parametrize(("wire", "dimension", "agent"), CASES)
async def test_twice_the_request_costs_twice_the_calls(
    client: httpx.AsyncClient, wire: Any, dimension: str, agent: str | None
) -> None:
    await calls_of(client, wire(dimension, 4, agent))
    least, small, large = [await calls_of(client, wire(dimension, size, agent)) for size in (5, SMALL, 2 * SMALL)]
    assert_linear(least, small, large)


@pytest.mark.parametrize("agent", ["kept", "graph"])
@pytest.mark.parametrize("wire", [graphql, agui])
@pytest.mark.parametrize("dimension", ["messages", "calls"])
async def test_a_thread_twice_as_long_costs_twice_the_calls(
    client: httpx.AsyncClient, wire: Any, dimension: str, agent: str
) -> None:
    counts = []
    for size in (4, 5, SMALL, 2 * SMALL):
        path, body, headers = wire(dimension, size, agent)
        await calls_of(client, (path, body, headers))
        messages = body["messages"] if wire is agui else body["variables"]["data"]["messages"]
        messages.append(user("more", "more") if wire is agui else text_message("more", id_="more"))
        counts.append(await calls_of(client, (path, body, headers)))
    assert_linear(*counts[1:])


def streamed(dimension: str, size: int, agent: str | None) -> Request:
    """A request over GraphQL whose answer comes in parts."""
    path, body, _ = graphql(dimension, size, agent)
    return path, {**body, "query": STREAMED}, {"accept": "multipart/mixed"}


@pytest.mark.parametrize("wire", [graphql, streamed, agui])
@pytest.mark.parametrize("dimension", SENT)
async def test_twice_the_events_cost_twice_the_calls(client: httpx.AsyncClient, wire: Any, dimension: str) -> None:
    counts = []
    for size in (4, 5, SMALL, 2 * SMALL):
        path, body, headers = wire("headers", 0, "sending")
        order = json.dumps([dimension, size])
        if wire is agui:
            body["threadId"], body["messages"] = f"{dimension}-{size}", [user(order, "order")]
        else:
            data = body["variables"]["data"]
            data["threadId"], data["messages"] = f"{dimension}-{size}", [text_message(order, id_="order")]
        counts.append(await calls_of(client, (path, body, headers)))
    assert_linear(*counts[1:])
