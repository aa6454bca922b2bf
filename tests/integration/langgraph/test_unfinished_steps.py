"""A step of which one task is done and another failed, asked or was stopped; then the person writes on."""

from __future__ import annotations

import asyncio
import operator
from contextlib import aclosing
from typing import Annotated, Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt

from copilotkit_runtime.providers.langgraph import Deployment, LangGraphPlatformProvider
from copilotkit_runtime.runtime import events as ev
from copilotkit_runtime.runtime.context import Resume, RunContext, RunInput
from tests.integration.langgraph.langgraph_server import URL, LangGraphServer
from tests.integration.langgraph.scripted_model import (
    Page,
    ScriptedModel,
    call_parts,
    of,
    states,
    text,
    thread,
    user,
)


def strict(messages: list[BaseMessage]) -> list[str]:
    """Refuses calls without a result, as vendors do."""
    results = {getattr(message, "tool_call_id", None) for message in messages}
    calls = [call["id"] for message in messages if isinstance(message, AIMessage) for call in message.tool_calls]
    assert set(calls) <= results, f"400: no result for {set(calls) - results}"
    return [f"Fine, {len(messages)}."]


def agent(end: str) -> tuple[Any, ScriptedModel]:
    @tool
    async def quick() -> str:
        """Is done at once."""
        return "quick result"

    @tool
    async def other() -> str:
        """Does not end well."""
        await asyncio.sleep(0)
        if end == "asks":
            return str(interrupt("May I?"))
        if end == "hangs":
            await asyncio.Event().wait()
        raise ConnectionError("gone")

    calls = [*call_parts("quick", "q", "{}", index=0), *call_parts("other", "o", "{}", index=1)]
    model = ScriptedModel(script=[calls, strict])
    return create_agent(model, [quick, other]), model


async def stopped(page: Page, *said: Any) -> list[ev.Event]:
    """Runs until the quick tool's result shows and its task's writes are kept; then stops."""
    events: list[ev.Event] = []
    run = RunInput(thread_id=page.thread_id, run_id="run", messages=[user(each) for each in said])
    async with aclosing(page.provider.execute_run(page.agent, run, RunContext())) as stream:
        async for event in stream:
            events.append(event)
            if isinstance(event, ev.ToolCallResult):
                return events
    raise AssertionError("the run ended")


@pytest.mark.parametrize("end", ["fails", "asks", "hangs"])
async def test_the_result_of_a_finished_call_is_not_lost_when_its_neighbour_is(end: str) -> None:
    graph, model = agent(end)
    page = Page(graph)
    if end == "fails":
        with pytest.raises(ConnectionError):
            await page.run("go")
    elif end == "hangs":
        await stopped(page, "go")
    else:
        await page.run("go")

    assert text(await page.run("go", "and now")) == "Fine, 5."
    results = {m.tool_call_id: m.content for m in model.seen[-1] if m.type == "tool"}  # type: ignore[attr-defined]
    assert results == {"q": "quick result", "o": "The person went on without answering."}
    assert text(await page.run("go", "and now", "and again")) == "Fine, 7."


class Report(MessagesState):
    found: Annotated[list[str], operator.add]
    title: str


async def finish(page: Page) -> tuple[Any, Any]:
    """Parallel nodes of which one asks; then something new: what showed before and after."""
    before = states(await page.run("go"))[-1]
    after = await page.run("go", "something else", state=before)
    return before, states(after)


def searching() -> Any:
    asked = [True]

    def search(state: Report) -> dict[str, Any]:
        return {"found": [f"page {len(state['messages'])}"], "title": "Found", "messages": [AIMessage("Searched.")]}

    def approve(_: Report) -> dict[str, Any]:
        if asked:
            asked.pop()
            interrupt("Go on?")
        return {}

    graph = StateGraph(Report).add_node("search", search).add_node("approve", approve)
    return graph.add_edge(START, "search").add_edge(START, "approve")


async def test_what_a_finished_node_showed_stays_when_the_person_sends_something_new() -> None:
    before, after = await finish(Page(searching().compile()))
    assert before == {"found": ["page 1"], "title": "Found"}
    assert after[0] == before
    assert after[-1] == {"found": ["page 1", "page 3"], "title": "Found"}


async def test_a_server_s_finished_tasks_stay_too() -> None:
    server = LangGraphServer(agent=searching())
    deployments = {"agent": Deployment(url=URL, graph_id="agent")}
    provider = LangGraphPlatformProvider(deployments, clients={URL: server.client()})
    _, after = await finish(Page(provider))
    assert after[-1]["title"] == "Found"
    assert "page 1" in after[-1]["found"]


async def test_a_reload_commits_nothing() -> None:
    page = Page(searching().compile())
    await page.run("go")
    events = await page.run("go")
    assert [event.value for event in of(ev.Custom, events)] == ["Go on?"]
    assert thread(events) == [("user", "go"), ("assistant", "Searched.")]
    resumed = await page.run("go", resume=[Resume(name=ev.INTERRUPT, value="Go on?", response="yes")])
    assert states(resumed)[-1]["found"] == ["page 1"]
