from __future__ import annotations

import asyncio
from typing import Any

from copilotkit.langgraph import copilotkit_emit_message, copilotkit_emit_state
from langchain_core.callbacks import adispatch_custom_event
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, MessagesState, StateGraph

from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.runtime import events as ev
from copilotkit_runtime.runtime.context import RunContext, Tool
from tests.integration.langgraph.scripted_model import Page, ScriptedModel, of, states, text, thread

RUNS, AGENTS = 200, 5


class Private(MessagesState):
    mine: str
    seen: dict[str, Any]
    copilotkit: dict[str, Any]


def agent(name: str) -> Any:
    model = ScriptedModel(script=[lambda messages: [name, " ", "to ", messages[-1].text]])

    async def work(state: Private, config: RunnableConfig) -> dict[str, Any]:
        mark = state["mine"]
        await copilotkit_emit_state(config, {"mine": f"{mark} at work"})
        answer = await model.ainvoke(state["messages"], config)
        await adispatch_custom_event("mark", mark, config=config)
        await copilotkit_emit_message(config, f" {mark}")
        configurable = config["configurable"]
        seen = {
            "headers": configurable["copilotkit_forwarded_headers"],
            "user": configurable["copilotkit"]["properties"]["user"],
            "tool": state["copilotkit"]["actions"][0]["name"],
            "thread": configurable["thread_id"],
        }
        return {"messages": [answer], "mine": f"{mark} done by {name}", "seen": seen}

    return StateGraph(Private).add_node("work", work).add_edge(START, "work").compile()


async def one_run(provider: LangGraphProvider, number: int) -> None:
    name, mark = f"agent{number % AGENTS}", f"run{number}"
    # Threads are shared by the agents on purpose: state is kept for each agent on each thread.
    page = Page(provider, name, thread_id=f"thread{number // AGENTS}")
    request = RunContext(headers={"x-run": mark}, properties={"user": mark})
    tools = [Tool(name=f"tool-{mark}", description="", parameters={})]
    events = await page.run(mark, state={"mine": mark}, request=request, tools=tools)

    assert text(events) == f"{name} to {mark} {mark}"
    assert of(ev.Custom, events) == [ev.Custom(name="mark", value=mark)]
    assert [state["mine"] for state in states(events)] == [mark, f"{mark} at work", f"{mark} done by {name}"]
    seen = {"headers": {"x-run": mark}, "user": mark, "tool": f"tool-{mark}", "thread": page.thread_id}
    assert states(events)[-1]["seen"] == seen
    assert thread(events) == [("user", mark), ("assistant", f"{name} to {mark}")]
    loaded = await page.state()
    assert loaded is not None
    assert loaded.state == states(events)[-1]


async def test_two_hundred_runs_of_five_agents_at_once_do_not_cross() -> None:
    provider = LangGraphProvider({f"agent{n}": agent(f"agent{n}") for n in range(AGENTS)})
    await asyncio.gather(*(one_run(provider, number) for number in range(RUNS)))
