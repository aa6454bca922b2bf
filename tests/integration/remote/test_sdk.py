from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from fastapi import FastAPI
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.load import dumps
from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph

from copilotkit_runtime.providers.remote import RemoteEndpointProvider
from copilotkit_runtime.runtime import events
from copilotkit_runtime.runtime.context import Resume, RunContext, RunInput, Tool
from copilotkit_runtime.runtime.errors import AgentNotFoundError, CopilotKitError, MisuseError
from copilotkit_runtime.runtime.messages import TextMessage, ToolCallMessage, ToolResultMessage

with warnings.catch_warnings(action="ignore"):
    from copilotkit import Action, CopilotKitRemoteEndpoint, LangGraphAGUIAgent
    from copilotkit import protocol as sdk
    from copilotkit.agent import Agent
    from copilotkit.integrations.fastapi import add_fastapi_endpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RUN = RunInput(
    thread_id="t",
    run_id="r",
    messages=[TextMessage(id="u", role="user", content="hi")],
    tools=[Tool(name="paint", description="d", parameters={"type": "object"})],
    state={"k": 1},
    config={"recursion_limit": 5},
    node_name="n",
    resume=[Resume(name="LangGraphInterruptEvent", value="?", response="yes")],
)


class SdkAgent(Agent):  # type: ignore[misc]
    kind = "crewai"

    def __init__(self, name: str) -> None:
        super().__init__(name=name, description=f"The {name}")
        self.received: dict[str, Any] = {}

    def dict_repr(self) -> Any:
        return {**super().dict_repr(), "type": self.kind}

    async def get_state(self, *, thread_id: str) -> Any:
        if thread_id != "known":
            return await super().get_state(thread_id=thread_id)
        messages = [
            {"role": "user", "content": "hi", "id": "u"},
            {"id": "c", "name": "f", "arguments": {"x": 1}, "parentMessageId": "a"},
            {"actionExecutionId": "c", "actionName": "f", "result": "ok", "id": "r"},
        ]
        return {"threadId": thread_id, "threadExists": True, "state": {"k": 2, "messages": []}, "messages": messages}


class CrewLike(SdkAgent):
    async def execute(self, **received: Any) -> AsyncIterator[str]:
        self.received = received
        yield sdk.emit_runtime_events(
            sdk.text_message_start(message_id="m"),
            sdk.text_message_content(message_id="m", content="hé\n"),
            sdk.text_message_end(message_id="m"),
            sdk.action_execution_start(action_execution_id="c", action_name="paint", parent_message_id="m"),
            sdk.action_execution_args(action_execution_id="c", args="{}"),
            sdk.action_execution_end(action_execution_id="c"),
            sdk.action_execution_result(action_name="paint", action_execution_id="c", result="done"),
        )
        state = '{"k": 2, "messages": [{"role": "user", "content": "hi", "id": "u"}]}'
        for active in (True, False):
            yield sdk.emit_runtime_event(
                sdk.agent_state_message(
                    thread_id="t",
                    agent_name="crew",
                    node_name="n",
                    run_id="r",
                    active=active,
                    role="assistant",
                    state=state,
                    running=active,
                )
            )


def graph_of(model: GenericFakeChatModel) -> Any:
    async def answer(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    return graph.compile()


class GraphLike(SdkAgent):
    kind = "langgraph"

    async def execute(self, **_received: Any) -> AsyncIterator[str]:
        call = {"id": "c", "name": "paint", "args": {"color": "red"}}
        model = GenericFakeChatModel(messages=iter([AIMessage(id="m", content="two words", tool_calls=[call])]))
        async for event in graph_of(model).astream_events({"messages": ["hi"]}, version="v2"):
            yield dumps(event) + "\n"


class Failing(SdkAgent):
    async def execute(self, **_received: Any) -> AsyncIterator[str]:
        yield sdk.emit_runtime_event(sdk.text_message_start(message_id="m"))
        raise ValueError("secret")


async def greet(name: str) -> dict[str, str]:
    return {"hello": name}


def refuse() -> None:
    raise ValueError("secret")


CREW = CrewLike("crew")


@pytest.fixture
async def url() -> AsyncIterator[str]:
    def agents(context: Any) -> list[Any]:
        hidden = [CrewLike("hidden")] if context["properties"].get("admin") else []
        other = LangGraphAGUIAgent(name="other", graph=graph_of(GenericFakeChatModel(messages=iter(()))))
        return [CREW, GraphLike("graph"), Failing("failing"), other, *hidden]

    parameter: Any = {"name": "name", "type": "string", "description": "Who", "required": True}
    actions = [
        Action(name="greet", handler=greet, description="Greets", parameters=[parameter]),
        Action(name="refuse", handler=refuse),
    ]
    app = FastAPI()
    add_fastapi_endpoint(app, CopilotKitRemoteEndpoint(agents=agents, actions=actions), "/copilotkit")
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws="none"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/copilotkit"
    server.should_exit = True
    await serving


@pytest.fixture
async def provider(url: str) -> AsyncIterator[RemoteEndpointProvider]:
    provider = RemoteEndpointProvider(url + "/", retry_wait=0)
    await provider.start()
    yield provider
    await provider.stop()


async def collect(
    provider: RemoteEndpointProvider, agent: str, context: RunContext | None = None
) -> list[events.Event]:
    return [event async for event in provider.execute_run(agent, RUN, context or RunContext())]


async def test_agents_are_listed(provider: RemoteEndpointProvider) -> None:
    listed = [(agent.name, agent.description) for agent in await provider.list_agents()]
    assert listed[:2] == [("crew", "The crew"), ("graph", "The graph")]


async def test_a_crews_runtime_events_arrive(provider: RemoteEndpointProvider) -> None:
    assert await collect(provider, "crew") == [
        events.TextMessageStart(message_id="m"),
        events.TextMessageContent(message_id="m", delta="hé\n"),
        events.TextMessageEnd(message_id="m"),
        events.ToolCallStart(tool_call_id="c", tool_call_name="paint", parent_message_id="m"),
        events.ToolCallArgs(tool_call_id="c", delta="{}"),
        events.ToolCallEnd(tool_call_id="c"),
        events.ToolCallResult(tool_call_id="c", content="done", tool_call_name="paint"),
        events.StepStarted(step_name="n"),
        events.StateSnapshot(snapshot={"k": 2}),
        events.Custom(name=events.EXIT, value=True),
        events.StateSnapshot(snapshot={"k": 2}),
        events.MessagesSnapshot(messages=[{"id": "u", "role": "user", "content": "hi"}]),
    ]


async def test_the_agent_receives_the_whole_run(provider: RemoteEndpointProvider) -> None:
    await collect(provider, "crew")
    received = CREW.received
    assert (received["thread_id"], received["node_name"], received["state"]) == ("t", "n", {"k": 1})
    assert received["config"] == {"recursion_limit": 5}
    assert received["actions"] == [{"name": "paint", "description": "d", "parameters": {"type": "object"}}]
    assert received["meta_events"] == [{"name": "LangGraphInterruptEvent", "value": "?", "response": "yes"}]
    (message,) = received["messages"]
    assert {key: message[key] for key in ("type", "id", "role", "content")} == {
        "type": "TextMessage",
        "id": "u",
        "role": "user",
        "content": "hi",
    }


async def test_a_real_graphs_events_arrive(provider: RemoteEndpointProvider) -> None:
    seen = await collect(provider, "graph")
    text = [event.delta for event in seen if isinstance(event, events.TextMessageContent)]
    assert "".join(text) == "two words"
    assert len(text) > 1
    started = [event for event in seen if isinstance(event, events.TextMessageStart)]
    assert [event.message_id for event in started] == ["m"]


async def test_an_agent_shown_only_to_some_is_found_for_them(provider: RemoteEndpointProvider) -> None:
    assert await collect(provider, "hidden", RunContext(properties={"admin": True}))
    with pytest.raises(AgentNotFoundError):
        await collect(provider, "hidden")


async def test_a_kind_of_agent_that_endpoints_cannot_run_is_refused_as_such(provider: RemoteEndpointProvider) -> None:
    with pytest.raises(MisuseError, match="langgraph_agui"):
        await collect(provider, "other")


async def test_an_agent_that_breaks_off_fails_the_run(provider: RemoteEndpointProvider) -> None:
    with pytest.raises(CopilotKitError) as caught:
        await collect(provider, "failing")
    assert "secret" not in caught.value.message


async def test_actions_are_listed_and_done(provider: RemoteEndpointProvider) -> None:
    greets, _ = await provider.list_actions()
    assert (greets.name, greets.description, greets.parameters[0]["name"]) == ("greet", "Greets", "name")
    assert await provider.execute_action("greet", {"name": "Ada"}, {}) == {"hello": "Ada"}


@pytest.mark.parametrize("action", ["refuse", "unknown"])
async def test_a_failing_action_is_a_typed_error(provider: RemoteEndpointProvider, action: str) -> None:
    with pytest.raises(CopilotKitError) as caught:
        await provider.execute_action(action, {}, {})
    assert "secret" not in caught.value.message


async def test_the_agents_state_is_loaded(provider: RemoteEndpointProvider) -> None:
    state = await provider.load_state("known", "crew")
    assert state is not None
    assert state.state == {"k": 2}
    user, call, result = state.messages
    assert isinstance(user, TextMessage)
    assert isinstance(call, ToolCallMessage)
    assert isinstance(result, ToolResultMessage)
    assert (call.arguments, result.tool_call_id) == ({"x": 1}, "c")
    assert await provider.load_state("unknown", "crew") is None
