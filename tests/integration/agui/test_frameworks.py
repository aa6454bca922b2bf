"""Agents of other frameworks through their own AG-UI adapters."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest

from copilotkit_runtime.providers.agui import AGUIProvider
from copilotkit_runtime.runtime import events
from copilotkit_runtime.runtime.context import RunContext, RunInput, Tool
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.runs.run import Run, RunStatus

from ..crewai.openai_service import OpenAIService, Reply, says

if TYPE_CHECKING:
    from ag_ui.core import RunAgentInput

PAINT = Tool(
    name="paint",
    description="Paints the page",
    parameters={"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]},
)


async def run_to_end(provider: AGUIProvider, tools: list[Tool] | None = None) -> tuple[RunStatus, list[Any]]:
    async def ended(_run: Run) -> None:
        pass

    message = TextMessage(role="user", content="hi")
    asked = RunInput(thread_id="t", run_id="r", messages=[message], tools=tools or [])
    run = Run(provider, "a", asked, RunContext(), timeout=30, on_end=ended)
    reader = run.log.subscribe()
    run.start()
    seen: list[Any] = []
    while batch := await reader.read():
        seen += batch
    await run.join()
    return run.status, seen


def said(seen: list[Any]) -> str:
    return "".join(event.delta for event in seen if isinstance(event, events.TextMessageContent))


def called(seen: list[Any]) -> list[tuple[str, str]]:
    starts = [event for event in seen if isinstance(event, events.ToolCallStart)]
    return [
        (start.tool_call_name, "".join(event.delta for event in seen if _belongs(event, start.tool_call_id)))
        for start in starts
    ]


def _belongs(event: Any, call_id: str) -> bool:
    return isinstance(event, events.ToolCallArgs) and event.tool_call_id == call_id


def pydantic_ai_agent(base_url: str) -> Any:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.ui.ag_ui import AGUIAdapter

    agent = Agent(OpenAIChatModel("gpt-4o", provider=OpenAIProvider(base_url=base_url, api_key="none")))

    def run(asked: RunAgentInput) -> Any:
        adapter = AGUIAdapter(agent=agent, run_input=asked)
        return adapter.encode_stream(adapter.run_stream())

    return run


def agno_agent(base_url: str) -> Any:
    from agno.agent import Agent
    from agno.models.openai import OpenAIChat
    from agno.os.interfaces.agui.router import run_entity

    agent = Agent(model=OpenAIChat(id="gpt-4o", base_url=base_url, api_key="none"), telemetry=False)

    def run(asked: RunAgentInput) -> Any:
        return run_entity(agent, asked)

    return run


async def test_a_pydantic_ai_agent_sends_text_and_calls_the_client() -> None:
    calls = (("c1", "paint", '{"color":"red"}'),)
    async with OpenAIService(lambda _: says("tea is a drink")) as model:
        spoken = await run_to_end(AGUIProvider({"a": pydantic_ai_agent(model.base_url)}))
    async with OpenAIService(lambda _: Reply(calls=calls)) as model:
        calling = await run_to_end(AGUIProvider({"a": pydantic_ai_agent(model.base_url)}), [PAINT])
    assert (spoken[0], said(spoken[1])) == (RunStatus.FINISHED, "tea is a drink")
    assert (calling[0], called(calling[1])) == (RunStatus.FINISHED, [("paint", '{"color":"red"}')])


async def test_an_agno_agent_sends_text() -> None:
    async with OpenAIService(lambda _: says("tea is a drink")) as model:
        with warnings.catch_warnings(action="ignore"):
            agent = agno_agent(model.base_url)
        status, seen = await run_to_end(AGUIProvider({"a": agent}))
    assert (status, said(seen)) == (RunStatus.FINISHED, "tea is a drink")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_the_langgraph_bridge_sends_text() -> None:
    from ag_ui_langgraph import LangGraphAgent  # type: ignore[import-untyped]
    from langchain_core.language_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph import START, MessagesState, StateGraph

    model = GenericFakeChatModel(messages=iter([AIMessage(content="tea is a drink")]))

    async def answer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    agent = LangGraphAgent(name="a", graph=graph.compile(checkpointer=InMemorySaver()))
    status, seen = await run_to_end(AGUIProvider({"a": agent}))
    assert (status, said(seen)) == (RunStatus.FINISHED, "tea is a drink")
    assert any(isinstance(event, events.MessagesSnapshot) for event in seen)
