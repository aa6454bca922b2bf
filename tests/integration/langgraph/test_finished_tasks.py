"""A question in a step of which other tasks are done: what they wrote comes again with the answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from tests.integration.langgraph.scripted_model import ScriptedModel, call_parts
from tests.support.agui_client import run, run_input, user
from tests.support.local_server import client_of

QUESTION = "Go on?"


@tool
async def look() -> str:
    """Is done at once."""
    return "found"


@tool
async def confirm() -> str:
    """Ask the person."""
    return str(interrupt(QUESTION))


def calling_tools() -> Any:
    calls = [*call_parts("look", "l", "{}", index=0), *call_parts("confirm", "c", "{}", index=1)]
    return create_agent(ScriptedModel(script=[calls, ["Done."]]), [look, confirm])


def two_nodes() -> Any:
    model = ScriptedModel(script=[["By ", "a model."]])

    async def write(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"]), AIMessage("By hand.")]}

    def ask(_: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(f"Got {interrupt(QUESTION)}.")]}

    nodes = StateGraph(MessagesState).add_node("write", write).add_node("ask", ask)
    return nodes.add_edge(START, "write").add_edge(START, "ask").compile()


def within(graph: Any) -> Any:
    return StateGraph(MessagesState).add_node("inner", graph).add_edge(START, "inner").compile()


def workflow() -> Any:
    model = ScriptedModel(script=[["By ", "a model."], call_parts("paint", "p", "{}")])

    @task
    async def write(messages: list[BaseMessage]) -> BaseMessage:
        return await model.ainvoke(messages)

    @task
    async def remark() -> AIMessage:
        return AIMessage("By hand.")

    @entrypoint()
    async def flow(inputs: dict[str, Any]) -> dict[str, Any]:
        messages = [*inputs["messages"], await write(inputs["messages"]), await write(inputs["messages"])]
        messages.append(await remark())
        answer = interrupt(QUESTION)
        messages.append(ToolMessage("painted", tool_call_id=messages[-2].tool_calls[0]["id"]))
        return {"messages": [*messages, AIMessage(f"Got {answer}.")]}

    return flow


def listed_workflow() -> Any:
    @task
    async def remark() -> AIMessage:
        return AIMessage("By hand.")

    @entrypoint()
    async def flow(messages: list[BaseMessage]) -> AIMessage:
        await asyncio.gather(remark(), remark())
        return AIMessage(f"{len(messages)} {interrupt(QUESTION)}")

    return flow


GRAPHS = {
    "tools": calling_tools,
    "tools of a subgraph": lambda: within(calling_tools()),
    "nodes": two_nodes,
    "nodes of a subgraph": lambda: within(two_nodes()),
    "nodes of a subgraph of a subgraph": lambda: within(within(two_nodes())),
    "a workflow": workflow,
    "a workflow that takes messages": listed_workflow,
}


class Screen:
    """What a client shows: messages by id, calls and results."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages = list(messages)
        self.opened: list[str] = []

    def take(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            match event["type"]:
                case "TEXT_MESSAGE_START":
                    self._open(event["messageId"])
                    self.messages.append({"id": event["messageId"], "role": "assistant", "content": ""})
                case "TEXT_MESSAGE_CONTENT":
                    self._message(event["messageId"])["content"] += event["delta"]
                case "TOOL_CALL_START":
                    self._open(event["toolCallId"])
                    function = {"name": event["toolCallName"], "arguments": "{}"}
                    call = {"id": event["toolCallId"], "type": "function", "function": function}
                    self._owner(event["parentMessageId"]).setdefault("toolCalls", []).append(call)
                case "TOOL_CALL_RESULT":
                    self._open(event["messageId"])
                    result = {"role": "tool", "content": event["content"], "toolCallId": event["toolCallId"]}
                    self.messages.append({"id": event["messageId"], **result})

    def _open(self, id_: str) -> None:
        self.opened.append(id_)

    def _message(self, id_: str) -> dict[str, Any]:
        return next(message for message in self.messages if message["id"] == id_)

    def _owner(self, id_: str) -> dict[str, Any]:
        if all(message["id"] != id_ for message in self.messages):
            self.messages.append({"id": id_, "role": "assistant", "content": ""})
        return self._message(id_)


@pytest.mark.parametrize("kind", GRAPHS)
async def test_what_finished_tasks_showed_is_not_shown_again_with_the_answer(kind: str) -> None:
    runtime = CopilotRuntime(providers=[LangGraphProvider({"asker": GRAPHS[kind]()})])
    async with client_of(runtime) as client:
        screen = Screen(user("go"))
        asked = await run(client, "asker", run_input(*screen.messages))
        assert [event["value"] for event in asked if event["type"] == "CUSTOM"] == [QUESTION]
        screen.take(asked)
        before = list(screen.opened)
        assert before
        answer = {"command": {"resume": "yes"}}
        screen.take(await run(client, "asker", run_input(*screen.messages, run="r2", forwardedProps=answer)))
        assert len(screen.opened) > len(before)
        assert len(set(screen.opened)) == len(screen.opened)
