from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from functools import reduce
from typing import Any
from uuid import UUID

import pytest
from copilotkit import CopilotKitState
from copilotkit.langgraph import copilotkit_customize_config, copilotkit_emit_message, copilotkit_emit_state
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.providers.langgraph.deployment import DeploymentError, server_thread_id
from copilotkit_runtime.providers.langgraph.platform import Deployment, LangGraphPlatformProvider
from copilotkit_runtime.runtime import events as ev
from copilotkit_runtime.runtime.context import Resume, RunContext, Tool
from copilotkit_runtime.runtime.errors import ConfigurationError
from copilotkit_runtime.runtime.provider import AgentDescriptor
from copilotkit_runtime.runtime.stores.interface import AgentState
from tests.integration.langgraph.langgraph_server import URL, LangGraphServer
from tests.integration.langgraph.scripted_model import Page, ScriptedModel, call_parts, of, states, text, thread, user


class DocState(CopilotKitState):
    doc: Any


def writing() -> StateGraph[Any, Any, Any, Any]:
    """An agent that does a little of everything: predicted and emitted state, messages, tools, an interrupt."""
    model = ScriptedModel(script=[["Writing.", *call_parts("write", "w1", '{"text": "Once', ' upon"}')]])

    async def draft(state: DocState, config: RunnableConfig) -> dict[str, Any]:
        await copilotkit_emit_state(config, {"doc": "emitted"})
        predicted = [{"state_key": "doc", "tool": "write", "tool_argument": "text"}]
        policy = copilotkit_customize_config(config, emit_intermediate_state=predicted)
        answer = await model.ainvoke(state["messages"], policy)
        await copilotkit_emit_message(config, "by hand")
        return {"messages": [answer, ToolMessage("ok", id="t1", tool_call_id="w1")], "doc": "Once upon"}

    def ask(state: DocState) -> dict[str, Any]:
        return {"doc": [state["doc"], interrupt("Sure?")]}

    graph = StateGraph(DocState).add_node(draft).add_node(ask)
    return graph.add_edge(START, "draft").add_edge("draft", "ask")


def deployed(**graphs: Any) -> tuple[LangGraphPlatformProvider, LangGraphServer]:
    server = LangGraphServer(**graphs)
    deployments = {name: Deployment(url=URL, graph_id=name) for name in graphs}
    return LangGraphPlatformProvider(deployments, clients={URL: server.client()}), server


def anonymous(events: list[ev.Event]) -> str:
    """The events with numbers for the ids that differ from run to run."""
    told = "\n".join(map(str, events))
    ids = list(dict.fromkeys(re.findall(r"(?:lc_run--)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", told)))
    return reduce(lambda text, id_: text.replace(id_, f"id {ids.index(id_)}"), ids, told)


@pytest.fixture
async def pages() -> AsyncIterator[Callable[[Any], tuple[Page, Page]]]:
    """The same graph here and on a server."""
    opened: list[LangGraphPlatformProvider] = []

    def build(graph: Callable[[], Any]) -> tuple[Page, Page]:
        provider, _ = deployed(agent=graph())
        opened.append(provider)
        return Page(LangGraphProvider({"agent": graph()})), Page(provider)

    yield build
    for provider in opened:
        await provider.stop()


async def test_a_deployed_graph_behaves_as_the_same_graph_here(pages: Any) -> None:
    here, there = pages(writing)
    tools = [Tool(name="paint", description="", parameters={})]
    for given in (
        {"state": {"doc": "start"}, "tools": tools},
        {},
        {"state": {"doc": "from the page"}, "resume": [Resume(name=ev.INTERRUPT, value="Sure?", response="null")]},
        {"resume": [Resume(name=ev.INTERRUPT, value="Sure?", response="again")]},
    ):
        assert anonymous(await there.run("go", **given)) == anonymous(await here.run("go", **given))
    assert states(await there.run("go", resume=[Resume(name="", value="")]))[-1] == {"doc": ["from the page", None]}


async def test_its_state_is_loaded_and_saved(pages: Any) -> None:
    _, page = pages(writing)
    assert await page.state() is None
    await page.run("go")
    loaded = await page.state()
    assert loaded is not None
    assert loaded.state == {"doc": "Once upon"}
    assert [message.id for message in loaded.messages][::3] == ["id of go", "t1"]

    await page.provider.save_state("thread", "agent", AgentState(state={"doc": "saved"}, messages=[user("only")]))
    loaded = await page.state()
    assert loaded is not None
    assert loaded.state == {"doc": "saved"}
    assert [message.id for message in loaded.messages] == ["id of only"]


async def test_an_edited_turn_is_forked_there(pages: Any) -> None:
    _, page = pages(writing)
    await page.run(user("go", "first"))
    events = await page.run(user("stop", "first"))
    assert [said for role, said in thread(events) if role == "user"] == ["stop"]
    assert text(events) == "Writing.by hand"


async def test_a_breakpoint_there_goes_on_at_the_client_s_node() -> None:
    def send(state: DocState) -> dict[str, Any]:
        return {"doc": f"sent {state['messages'][-1].content}"}

    graph = StateGraph(DocState).add_node("draft", lambda _: {"messages": [AIMessage("Draft", id="d")]})
    graph.add_node(send).add_edge(START, "draft").add_edge("draft", "send")
    provider, server = deployed(agent=graph)
    ((name, compiled),) = server.graphs.items()
    server.graphs[name] = compiled.copy({"interrupt_after_nodes": ["draft"]})
    page = Page(provider)
    await page.run("go")
    loaded = await page.state()
    assert loaded is not None

    events = await page.run(*loaded.messages, "ok", node_name="draft")
    assert [event.step_name for event in of(ev.StepStarted, events)] == ["send"]
    assert states(events)[-1] == {"doc": "sent ok"}


async def test_the_client_s_headers_properties_and_configuration_reach_the_server() -> None:
    provider, server = deployed(agent=writing())
    request = RunContext(headers={"x-tenant": "t1", "accept": "*"}, properties={"authorization": "token"})
    await Page(provider).run("go", request=request, config={"configurable": {"tone": "kind", "thread_id": "no"}})

    (headers,) = server.headers
    assert (headers["x-tenant"], headers["authorization"]) == ("t1", "Bearer token")
    (_, body) = server.requests[0]
    assert body["config"]["configurable"]["tone"] == "kind"
    assert body["on_disconnect"] == "cancel"


class Declared(TypedDict, total=False):
    tone: str
    thread_id: str
    langgraph_auth_user_id: str


async def test_a_graph_that_declares_its_configuration_there_is_given_nothing_else() -> None:
    graph = StateGraph(DocState, context_schema=Declared).add_node("write", lambda _: {}).add_edge(START, "write")
    provider, server = deployed(agent=graph)
    forged = {"thread_id": "no", "langgraph_auth_user_id": "admin", "checkpoint_id": "no", "other": 1}
    config = {"configurable": {"tone": "kind", **forged}, "recursion_limit": 10**9, "metadata": {"team": "blue"}}
    await Page(provider).run("go", config=config)
    await Page(provider).run("go", config={"configurable": forged}, request=RunContext(identity="bob"))

    (_, first), (_, second) = server.requests
    own = {"copilotkit"}
    assert first["config"]["configurable"].keys() == own | {"tone"}
    assert first["config"]["recursion_limit"] == 500
    assert second["config"]["configurable"]["langgraph_auth_user_id"] == "bob"
    assert not second["config"]["configurable"].keys() & {"thread_id", "checkpoint_id", "other"}


async def test_a_graph_that_fails_there_fails_here() -> None:
    def fail(_: DocState) -> dict[str, Any]:
        raise ValueError("broken")

    provider, _ = deployed(agent=StateGraph(DocState).add_node(fail).add_edge(START, "fail"))
    with pytest.raises(DeploymentError, match="ValueError: broken"):
        await Page(provider).run("go")


async def test_a_graph_that_the_server_does_not_have_is_named() -> None:
    provider, server = deployed(agent=writing())
    missing = {
        "by graph": Deployment(url=URL, graph_id="missing"),
        "by id": Deployment(url=URL, graph_id="agent", assistant_id="missing"),
    }
    provider = LangGraphPlatformProvider(missing, clients={URL: server.client()})
    for name in missing:
        with pytest.raises(ConfigurationError, match="no assistant for 'missing'"):
            await Page(provider, name).run("go")


async def test_deployments_are_listed_without_asking_their_servers() -> None:
    deployments = {"a": Deployment(url="http://nowhere", graph_id="a")}
    provider = LangGraphPlatformProvider(deployments, descriptions={"a": "First"})
    assert await provider.list_agents() == [AgentDescriptor(name="a", description="First")]
    await provider.stop()


@pytest.mark.parametrize("prefix", ["", "ck-"])
def test_a_client_s_uuid_is_the_server_s(prefix: str) -> None:
    bare = "0b9c8b5e-29fb-4f43-a3c2-0f4c4e7f3f7a"
    assert server_thread_id(prefix + bare) == bare


def test_other_thread_ids_become_the_same_uuid_each_time() -> None:
    assert server_thread_id("thread-1") == server_thread_id("thread-1") != server_thread_id("thread-2")
    UUID(server_thread_id("thread-1"))
