"""The tokens that a graph's model calls cost."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk
from langgraph.graph import START, MessagesState, StateGraph

from copilotkit_runtime import CopilotRuntime, events
from copilotkit_runtime.providers.langgraph import LangGraphProvider

from .scripted_model import ScriptedModel


def used(inputs: int, outputs: int, **details: Any) -> AIMessageChunk:
    counts: Any = {"input_tokens": inputs, "output_tokens": outputs, "total_tokens": inputs + outputs, **details}
    return AIMessageChunk(content="", usage_metadata=counts)


async def usage_of(graph: Any) -> list[events.RunUsage]:
    async with CopilotRuntime(providers=[LangGraphProvider({"agent": graph})]) as runtime:
        run = await runtime.start_run("agent", "Hi", thread_id="t")
        await run.join()
        return [event async for event in runtime.follow("t") if isinstance(event, events.RunUsage)]


@pytest.mark.parametrize("hidden", [False, True])
async def test_each_model_call_is_counted_once_whether_it_shows_or_not(hidden: bool) -> None:
    details = {"input_token_details": {"cache_read": 2}, "output_token_details": {"reasoning": 1}}
    model = ScriptedModel(script=[["one", used(5, 1), used(0, 2, **details)], ["two", used(7, 4)]])
    quiet = model.with_config(metadata={"copilotkit:emit-messages": False}) if hidden else model

    async def answer(state: MessagesState) -> dict[str, Any]:
        first = await quiet.ainvoke(state["messages"])
        return {"messages": [first, await model.ainvoke([*state["messages"], first])]}

    graph = StateGraph(MessagesState).add_node("answer", answer).add_edge(START, "answer").compile()
    found = await usage_of(graph)
    assert [(each.input_tokens, each.output_tokens) for each in found] == [(5, 3), (7, 4)]
    assert (found[0].cached_tokens, found[0].reasoning_tokens) == (2, 1)


async def test_a_model_that_reports_nothing_has_no_usage() -> None:
    model = ScriptedModel(script=[["one"]])

    async def answer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState).add_node("answer", answer).add_edge(START, "answer").compile()
    assert await usage_of(graph) == []
