"""What clients make of a graph's state, and what the graph gets of it."""

from __future__ import annotations

import json
import operator
from decimal import Decimal
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.graph.message import _messages_delta_reducer, add_messages
from pydantic import BaseModel

from tests.integration.langgraph.scripted_model import Page, ScriptedModel, call_parts, result, states, text, thread


class Plan(BaseModel):
    tags: set[str]
    budget: Decimal = Decimal("9.90")


class Tagged(TypedDict, total=False):
    messages: Annotated[list[Any], add_messages]
    tags: Annotated[set[str], operator.or_]
    plan: Plan
    big: int


def tagging() -> Any:
    def tag(state: Tagged) -> dict[str, Any]:
        seen = {"tags": state.get("tags", set()), "plan": state.get("plan"), "big": state.get("big")}
        grown = {"tags": {f"t{len(state['messages'])}"}}
        first = {"plan": Plan(tags={"x", "y"}), "big": 2**53 + 1} if state.get("plan") is None else {}
        return {**grown, **first, "messages": [AIMessage(repr(seen))]}

    return StateGraph(Tagged).add_node("tag", tag).add_edge(START, "tag").compile()


async def test_a_state_that_is_only_echoed_never_changes() -> None:
    page = Page(tagging())
    shown: Any = {}
    for turn in range(3):
        shown = states(await page.run("go", f"turn {turn}", state=shown))[-1]
    assert shown["tags"] == ["t2", "t4", "t6"]
    assert "Plan(tags=" in text(await page.run("go", "last", state=json.loads(json.dumps(shown))))


async def test_a_set_that_the_client_edits_is_still_a_set() -> None:
    page = Page(tagging())
    await page.run("go")
    shown = states(await page.run("go", "on"))[-1]
    edited = {**shown, "tags": ["mine"], "big": float(2**53), "plan": {**shown["plan"], "tags": ["z"]}}
    said = text(await page.run("go", "on", "edited", state=edited))

    assert "'tags': {'mine'}" in said
    assert "Plan(tags={'z'}, budget=Decimal('9.90'))" in said
    assert str(2**53 + 1) in said


async def test_the_first_state_of_a_client_may_hold_a_list_where_the_graph_has_a_set() -> None:
    said = await Page(tagging()).run("go", state={"tags": ["mine"]})
    assert states(said)[-1]["tags"] == ["mine", "t1"]


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
