"""A page returns the session that it was shown: whatever the provider, its agent answers the next turn too."""

from __future__ import annotations

import json
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import pytest
from ag_ui.encoder import EventEncoder
from ag_ui_langgraph import LangGraphAgent  # type: ignore[import-untyped]
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import MemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.providers.agui import AGUIProvider
from copilotkit_runtime.providers.crewai import CrewAIProvider, copilotkit_emit_message, copilotkit_emit_tool_call
from copilotkit_runtime.providers.crewai.framework import load
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.providers.langgraph.platform import Deployment, LangGraphPlatformProvider
from copilotkit_runtime.providers.remote import RemoteEndpointProvider
from copilotkit_runtime.runtime.messages import TextMessage, ToolResultMessage
from copilotkit_runtime.testing import Request, ScriptedService, head
from tests.integration.langgraph.langgraph_server import URL, LangGraphServer
from tests.support.local_server import client_of
from tests.support.react_page import ReactPage
from tests.support.request_bodies import action

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")

Source: TypeAlias = Callable[[], AbstractAsyncContextManager[AgentProvider]]


def paints(messages: list[Any]) -> bool:
    return bool(messages) and messages[-1].type == "human" and "paint" in messages[-1].content


def chat(state: MessagesState) -> dict[str, Any]:
    """Calls the client's tool when it is asked to paint; else repeats what it was sent."""
    messages = state["messages"]
    if paints(messages):
        call = {"id": f"call-{len(messages)}", "name": "paint", "args": {}}
        return {"messages": [AIMessage("", tool_calls=[call])]}
    last = messages[-1]
    assert isinstance(last, HumanMessage | ToolMessage)
    return {"messages": [AIMessage(f"echo {last.content}")]}


def graph() -> StateGraph[Any, Any, Any, Any]:
    return StateGraph(MessagesState).add_node(chat).add_edge(START, "chat")


@asynccontextmanager
async def langgraph() -> AsyncIterator[AgentProvider]:
    yield LangGraphProvider({"echo": graph().compile(checkpointer=MemorySaver())})


@asynccontextmanager
async def deployed() -> AsyncIterator[AgentProvider]:
    server = LangGraphServer(echo=graph())
    yield LangGraphPlatformProvider({"echo": Deployment(url=URL, graph_id="echo")}, clients={URL: server.client()})


def adapted() -> LangGraphAgent:
    return LangGraphAgent(name="echo", graph=graph().compile(checkpointer=MemorySaver()))


@asynccontextmanager
async def agui() -> AsyncIterator[AgentProvider]:
    yield AGUIProvider({"echo": adapted()})


@asynccontextmanager
async def agui_over_http() -> AsyncIterator[AgentProvider]:
    from ag_ui.core import RunAgentInput

    agent = adapted()

    async def script(request: Request) -> AsyncGenerator[bytes]:
        yield head("text/event-stream")
        async for event in agent.clone().run(RunAgentInput.model_validate(request.json)):
            yield EventEncoder().encode(event).encode()

    async with ScriptedService(script) as service:
        yield AGUIProvider({"echo": service.url})


def heard(messages: list[dict[str, Any]]) -> str:
    last = messages[-1]
    return str(last.get("content") or last.get("result"))


@asynccontextmanager
async def remote() -> AsyncIterator[AgentProvider]:
    """An endpoint whose agent continues behind a node that it is given, as the Python SDK's LangGraph agents do."""

    def line(**report: Any) -> bytes:
        return json.dumps(report).encode() + b"\n"

    def run(asked: dict[str, Any]) -> bytes:
        sync = {"event": "on_copilotkit_state_sync", "state": {}, "running": True, "active": True}
        if asked.get("nodeName") not in (None, "__end__"):
            return line(**sync, node_name="__end__")
        said = heard(asked["messages"])
        if "paint" in said:
            parts = [{"id": f"call-{len(asked['messages'])}", "name": "paint", "args": "{}", "index": 0}]
            chunk = {"id": f"m-{len(asked['messages'])}", "content": "", "tool_call_chunks": parts}
        else:
            chunk = {"id": f"m-{len(asked['messages'])}", "content": f"echo {said}"}
        ended = {**chunk, "content": "", "tool_call_chunks": [], "response_metadata": {"finish_reason": "stop"}}
        return b"".join(
            (
                line(**sync, node_name="chat"),
                line(event="on_chat_model_stream", data={"chunk": chunk}),
                line(event="on_chat_model_stream", data={"chunk": ended}),
                line(**sync, node_name="__end__"),
            )
        )

    async def script(request: Request) -> AsyncGenerator[bytes]:
        if request.path.endswith("/info"):
            body = json.dumps({"actions": [], "agents": [{"name": "echo", "type": "langgraph"}]}).encode()
        elif request.path.endswith("/state"):
            body = b'{"threadExists": false}'
        else:
            body = run(request.json)
        yield head("application/json", length=len(body)) + body

    async with ScriptedService(script) as service:
        yield RemoteEndpointProvider(service.url)


@asynccontextmanager
async def crewai() -> AsyncIterator[AgentProvider]:
    with warnings.catch_warnings(action="ignore"):
        load()
    from crewai.flow import Flow, start

    from copilotkit_runtime.providers.crewai import CopilotKitState

    class Echo(Flow[CopilotKitState]):
        @start()
        async def speak(self) -> None:
            said = heard(self.state.messages)
            if "paint" in said:
                await copilotkit_emit_tool_call(name="paint", args={})
            else:
                await copilotkit_emit_message(f"echo {said}")

    provider = CrewAIProvider({"echo": Echo})
    # CrewAI imports much of itself with the first flow: no request need wait for that.
    first = RunInput(thread_id="first", run_id="r", messages=[TextMessage(role="user", content="hi")])
    async for _ in provider.execute_run("echo", first, RunContext()):
        pass
    yield provider


class OwnAgent(AgentProvider):
    name = "own"

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="echo")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        last = run.messages[-1]
        said = last.result if isinstance(last, ToolResultMessage) else ""
        if isinstance(last, TextMessage):
            said = last.content
        id_ = f"m-{len(run.messages)}"
        yield events.StepStarted(step_name="chat")
        if "paint" in said:
            yield events.ToolCallStart(tool_call_id=id_, tool_call_name="paint")
            yield events.ToolCallArgs(tool_call_id=id_, delta="{}")
        else:
            yield events.TextMessageStart(message_id=id_)
            yield events.TextMessageContent(message_id=id_, delta=f"echo {said}")
        yield events.StateSnapshot(snapshot={"turns": len(run.messages)})


@asynccontextmanager
async def own() -> AsyncIterator[AgentProvider]:
    yield OwnAgent()


SOURCES = [langgraph, deployed, agui, agui_over_http, remote, crewai, own]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
async def test_an_agent_answers_every_turn_of_a_client_that_returns_its_session(source: Source) -> None:
    async with source() as provider, client_of(CopilotRuntime(providers=[provider])) as client:
        page = ReactPage(client, "echo")
        for turn in ("one", "two", "three"):
            response = await page.say(turn)
            assert response["status"]["code"] == "Success"
            assert page.texts()[-1] == f"echo {turn}"
        assert page.texts() == ["one", "echo one", "two", "echo two", "three", "echo three"]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
async def test_an_agent_goes_on_after_each_frontend_tool_of_such_a_client(source: Source) -> None:
    async with source() as provider, client_of(CopilotRuntime(providers=[provider])) as client:
        page = ReactPage(client, "echo", tools=[action("paint")])
        for turn in ("first", "second"):
            await page.say(f"please paint, {turn}")
            assert "actionExecutionMessage" in page.messages[-1]
            await page.give_result(f"done {turn}")
            assert page.texts()[-1] == f"echo done {turn}"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
async def test_instructions_of_the_client_do_not_pile_up_in_a_thread(source: Source) -> None:
    async with source() as provider, client_of(CopilotRuntime(providers=[provider])) as client:
        page = ReactPage(client, "echo")
        for turn in ("one", "two", "three"):
            await page.say(turn)
            loaded = await page.reload()
            assert "system" not in [message.get("role") for message in loaded]
            assert loaded[-1]["content"] == f"echo {turn}"
