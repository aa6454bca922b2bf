"""What clients make of a state with delta channels, which came with LangGraph 1.2."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.graph.message import _messages_delta_reducer

from tests.integration.langgraph.scripted_model import Page, ScriptedModel, call_parts, result, states, text, thread


def concatenate(current: list[Any] | None, writes: Any) -> list[Any]:
    return [*(current or []), *[item for write in writes for item in write]]


def merge(current: dict[str, Any] | None, writes: Any) -> dict[str, Any]:
    merged = dict(current or {})
    for write in writes:
        merged.update(write)
    return merged


class Deltas(TypedDict, total=False):
    messages: Annotated[list[Any], DeltaChannel(_messages_delta_reducer)]
    items: Annotated[list[Any], DeltaChannel(concatenate)]
    files: Annotated[dict[str, Any], DeltaChannel(merge)]


@pytest.mark.parametrize("saver", [None, InMemorySaver()])
async def test_a_delta_channel_s_value_is_replaced_by_the_client_s(saver: Any) -> None:
    def work(state: Deltas) -> dict[str, Any]:
        seen = AIMessage(f"{state.get('items')} {state.get('files')}")
        return {"items": ["g"], "files": {"a": 1} if not state.get("files") else {}, "messages": [seen]}

    page = Page(StateGraph(Deltas).add_node("work", work).add_edge(START, "work").compile(checkpointer=saver))
    shown = states(await page.run("go"))[-1]
    assert shown == {"items": ["g"], "files": {"a": 1}}
    said = text(await page.run("go", "echoed", state=shown))
    assert said == "['g'] {'a': 1}"
    said = text(await page.run("go", "echoed", "edited", state={"items": ["mine"], "files": {"b": 2}}))
    assert said == "['mine'] {'b': 2}"


async def test_a_late_result_lies_behind_its_call_in_a_delta_channel_too() -> None:
    model = ScriptedModel(script=[call_parts("pick", "p1", "{}"), ["Fine."], ["Thanks."]])

    async def chat(state: Deltas) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    page = Page(StateGraph(Deltas).add_node("chat", chat).add_edge(START, "chat").compile())
    await page.run("go")
    await page.run("go", "never mind")
    events = await page.run("go", "never mind", result("p1", "pick", "red"))

    asked = model.seen[-1]
    assert [message.type for message in asked] == ["human", "ai", "tool", "human", "ai"]
    assert isinstance(asked[2], ToolMessage)
    assert asked[2].content == "red"
    assert thread(events)[2] == ("tool", "red")
