"""The guests that the end-to-end tests talk to: agents of other frameworks, over one model that answers by rule.

What is behind a URL (the model, an AG-UI agent, a remote endpoint) is served by this process too, in a thread.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import warnings
from collections.abc import AsyncIterator
from typing import Annotated, Any, TypedDict
from uuid import uuid4

import uvicorn
from ag_ui.core import (
    EventType,
    RunAgentInput,
    RunFinishedEvent,
    RunStartedEvent,
    StateSnapshotEvent,
    TextMessageChunkEvent,
    ToolCallChunkEvent,
)
from fastapi import FastAPI
from langchain_core.load import dumps
from langchain_core.messages import AnyMessage
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph, add_messages
from openai import AsyncOpenAI
from pydantic import Field
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import ToolReturn
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.ui.ag_ui import AGUIAdapter
from starlette.requests import Request
from starlette.responses import Response

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.agui import AGUIProvider
from copilotkit_runtime.providers.crewai import (
    CopilotKitState,
    CrewAIProvider,
    copilotkit_emit_state,
    copilotkit_stream,
)
from copilotkit_runtime.providers.remote import RemoteEndpointProvider
from tests.e2e import guest_model

with warnings.catch_warnings(action="ignore"):
    from copilotkit import Agent as SdkAgent
    from copilotkit import CopilotKitRemoteEndpoint
    from copilotkit.integrations.fastapi import add_fastapi_endpoint
    from crewai import LLM, Agent, Crew, Task
    from crewai.flow import Flow, listen, start

TOOL_FIELDS = {"name", "description", "parameters"}
STEPS = ("Hear the question", "Answer it")
MODEL = "gpt-4o"
GO_ON = "go on "
LISTENING = socket.create_server(("127.0.0.1", 0))
URL = f"http://127.0.0.1:{LISTENING.getsockname()[1]}"
CLIENT = {"base_url": f"{URL}/v1", "api_key": "none", "max_retries": 0}

Plan = list[dict[str, Any]]


async def spoken(messages: list[Any], tools: list[Any]) -> Any:
    """The model's answer, as the stream that OpenAI's SDK gives."""
    return await AsyncOpenAI(**CLIENT).chat.completions.create(model=MODEL, messages=messages, tools=tools, stream=True)


def plan(*, done: int) -> Plan:
    """What the page shows of a guest's work."""
    return [{"title": title, "done": index < done} for index, title in enumerate(STEPS)]


def crew() -> Crew:
    """A crew of one. A crew has no state: it shows one from its callbacks."""
    llm = LLM(model=f"openai/{MODEL}", **CLIENT)
    clerk = Agent(role="Clerk", goal="answer", backstory="Likes it.", llm=llm, max_retry_limit=0)
    task = Task(description="{message}", expected_output="An answer", agent=clerk, callback=_show_the_end)
    return Crew(agents=[clerk], tasks=[task], before_kickoff_callbacks=[_show_the_beginning])


def _show_the_beginning(inputs: dict[str, Any]) -> dict[str, Any]:
    asyncio.run(copilotkit_emit_state({"plan": plan(done=1)}))
    return inputs


def _show_the_end(_output: Any) -> None:
    asyncio.run(copilotkit_emit_state({"plan": plan(done=2)}))


class PlannedState(CopilotKitState):
    """The thread, and a plan."""

    plan: Plan = Field(default_factory=list)


class Planned(Flow[PlannedState]):
    """Plans, answers, and ticks everything off."""

    @start()
    def begin(self) -> None:
        self.state.plan = plan(done=1)

    @listen(begin)
    async def answer(self) -> None:
        said = await copilotkit_stream(await spoken(self.state.messages, self.state.copilotkit.actions))
        self.state.messages.append(said.choices[0].message)

    @listen(answer)
    def finish(self) -> None:
        self.state.plan = plan(done=2)


async def in_process(asked: RunAgentInput) -> AsyncIterator[Any]:
    """An AG-UI agent without a framework."""
    run = {"thread_id": asked.thread_id, "run_id": asked.run_id}
    yield RunStartedEvent(type=EventType.RUN_STARTED, **run)
    yield StateSnapshotEvent(type=EventType.STATE_SNAPSHOT, snapshot={"plan": plan(done=1)})
    tools = [{"type": "function", "function": tool.model_dump(include=TOOL_FIELDS)} for tool in asked.tools or ()]
    messages = [message.model_dump(by_alias=False, exclude_none=True) for message in asked.messages]
    message_id = str(uuid4())
    async with await spoken(messages, tools) as stream:
        async for chunk in stream:
            for event in _agui(chunk.choices[0].delta, message_id):
                yield event
    yield StateSnapshotEvent(type=EventType.STATE_SNAPSHOT, snapshot={"plan": plan(done=2)})
    yield RunFinishedEvent(type=EventType.RUN_FINISHED, **run)


def _agui(delta: Any, message_id: str) -> list[Any]:
    if delta.content:
        return [TextMessageChunkEvent(type=EventType.TEXT_MESSAGE_CHUNK, message_id=message_id, delta=delta.content)]
    return [
        ToolCallChunkEvent(
            type=EventType.TOOL_CALL_CHUNK,
            tool_call_id=call.id,
            tool_call_name=call.function.name,
            delta=call.function.arguments,
        )
        for call in delta.tool_calls or ()
    ]


async def witness(asked: RunAgentInput) -> AsyncIterator[Any]:
    """Reports when the model was hung up on, in the endless answer that was asked for; lets a halting one go on."""
    question = str(asked.messages[-1].content)
    moment = guest_model.stopped_at.get(question)
    if question.startswith(GO_ON):
        guest_model.released[question.removeprefix(GO_ON)].set()
    said = "not cancelled" if moment is None else f"cancelled {moment:.0f}"
    run = {"thread_id": asked.thread_id, "run_id": asked.run_id}
    yield RunStartedEvent(type=EventType.RUN_STARTED, **run)
    yield TextMessageChunkEvent(type=EventType.TEXT_MESSAGE_CHUNK, message_id=str(uuid4()), delta=said)
    yield RunFinishedEvent(type=EventType.RUN_FINISHED, **run)


pydantic_agent = PydanticAgent(
    OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=AsyncOpenAI(**CLIENT))),
)


@pydantic_agent.tool_plain
def show_plan() -> ToolReturn:
    """Shows the plan."""
    snapshots = [
        StateSnapshotEvent(type=EventType.STATE_SNAPSHOT, snapshot={"plan": plan(done=done)}) for done in (1, 2)
    ]
    return ToolReturn(return_value="shown", metadata=snapshots)


async def over_http(request: Request) -> Response:
    """A pydantic-ai agent behind the endpoint of its own AG-UI adapter."""
    return await AGUIAdapter.dispatch_request(request, agent=pydantic_agent)


class GraphState(TypedDict, total=False):
    """The thread, a plan, and the page's tools."""

    messages: Annotated[list[AnyMessage], add_messages]
    plan: Plan
    tools: list[dict[str, Any]]


async def _answer(state: GraphState) -> GraphState:
    model = ChatOpenAI(model=MODEL, **CLIENT).bind_tools(state["tools"])
    return {"messages": [await model.ainvoke(state["messages"])]}


def _graph() -> Any:
    builder = StateGraph(GraphState)
    builder.add_node("begin", lambda _state: {"plan": plan(done=1)})
    builder.add_node("answer", _answer)
    builder.add_node("finish", lambda _state: {"plan": plan(done=2)})
    builder.add_edge(START, "begin")
    builder.add_edge("begin", "answer")
    builder.add_edge("answer", "finish")
    return builder.compile()


class RemoteGraph(SdkAgent):
    """A graph in the language of the SDK's ``LangGraphAgent``, which its current releases have no more."""

    graph = _graph()

    def dict_repr(self) -> Any:
        return {**super().dict_repr(), "type": "langgraph"}

    async def get_state(self, *, thread_id: str) -> Any:
        return await super().get_state(thread_id=thread_id)

    async def execute(self, **asked: Any) -> AsyncIterator[str]:
        tools = [{"type": "function", "function": action} for action in asked["actions"]]
        state = {"messages": [_openai(message) for message in asked["messages"]], "tools": tools}
        async for event in self.graph.astream_events(state, version="v2"):
            yield dumps(event) + "\n"
            if event["event"] == "on_chain_end" and event["name"] in ("begin", "finish"):
                yield self._report(event["name"], event["data"]["output"]) + "\n"

    def _report(self, node: str, state: GraphState) -> str:
        running = node != "finish"
        report = {"node_name": node, "active": running, "running": running, "state": state}
        return json.dumps({"event": "on_copilotkit_state_sync", "agent_name": self.name, **report})


def _openai(message: dict[str, Any]) -> dict[str, Any]:
    match message["type"]:
        case "ActionExecutionMessage":
            function = {"name": message["name"], "arguments": json.dumps(message["arguments"])}
            call = {"id": message["id"], "type": "function", "function": function}
            return {"role": "assistant", "content": "", "tool_calls": [call]}
        case "ResultMessage":
            return {"role": "tool", "content": message["result"], "tool_call_id": message["actionExecutionId"]}
        case _:
            return {"role": message["role"], "content": message["content"]}


def serve_beside() -> None:
    """Serves, in a thread of this process, what the guests reach by URL."""
    app = FastAPI()
    app.add_route("/v1/chat/completions", guest_model.complete, methods=["POST"])
    app.add_route("/agui", over_http, methods=["POST"])
    add_fastapi_endpoint(app, CopilotKitRemoteEndpoint(agents=[RemoteGraph(name="remote-endpoint")]), "/copilotkit")
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
    threading.Thread(target=server.run, kwargs={"sockets": [LISTENING]}, daemon=True).start()


serve_beside()
runtime = CopilotRuntime(
    providers=[
        CrewAIProvider({"crew": crew, "flow": Planned}),
        AGUIProvider({"agui-http": f"{URL}/agui", "agui-in-process": in_process, "witness": witness}),
        RemoteEndpointProvider(f"{URL}/copilotkit"),
    ]
)
