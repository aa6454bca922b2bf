"""What clients make of a graph's state, and what the graph gets of it."""

from __future__ import annotations

import json
import operator
from decimal import Decimal
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from pydantic import BaseModel

from tests.integration.langgraph.scripted_model import Page, states, text


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
