"""A LangGraph agent that calls a server-side action."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("langgraph")

from langchain_core.messages import AnyMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from tests.integration.langgraph.scripted_model import ScriptedModel, call_parts
from tests.parity.fold import fold
from tests.parity.wire import ask
from tests.support.local_server import PATH, client_of
from tests.support.request_bodies import CREATED_AT, generate, text_message
from tests.support.tool_calls import results


class State(MessagesState):
    copilotkit: dict[str, Any]


def agent(model: ScriptedModel) -> CompiledStateGraph[Any, Any, Any, Any]:
    async def answer(state: State) -> dict[str, list[AnyMessage]]:
        actions = state.get("copilotkit", {}).get("actions", [])
        return {"messages": [await model.bind_tools(actions).ainvoke(state["messages"])]}

    graph = StateGraph(State)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    return graph.compile()


async def greet(name: str) -> str:
    """Greets someone."""
    return f"hello {name}"


async def test_the_runtime_executes_what_the_agent_calls_and_the_agent_reads_the_result() -> None:
    model = ScriptedModel(script=[call_parts("greet", "c-1", '{"name":', '"Bo"}'), ["Greeted."]])
    provider = LangGraphProvider({"greeter": agent(model)})
    asked = text_message("Greet Bo", id_="u-1")
    call = {
        "id": "c-1",
        "createdAt": CREATED_AT,
        "actionExecutionMessage": {"name": "greet", "arguments": '{"name":"Bo"}'},
    }
    async with client_of(CopilotRuntime(providers=[provider], actions=[greet])) as client:
        first = fold((await ask(client, PATH, generate(asked, agent="greeter"))).parts)
        result = {
            "id": "result-c-1",
            "createdAt": CREATED_AT,
            "resultMessage": {"actionExecutionId": "c-1", "actionName": "greet", "result": results(first)["c-1"]},
        }
        second = fold((await ask(client, PATH, generate(asked, call, result, agent="greeter"))).parts)
    assert results(first) == {"c-1": "hello Bo"}
    assert first["status"]["code"] == second["status"]["code"] == "Success"
    assert [tool["function"]["name"] if "function" in tool else tool["name"] for tool in model.offered[0]] == ["greet"]
    assert model.seen[1][-1].content == "hello Bo"
    assert "Greeted." in ["".join(message.get("content", ())) for message in second["messages"]]
