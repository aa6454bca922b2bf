"""Checkpoints make only types that are known again: whoever can write to the store runs no code by it."""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Annotated, Any, TypedDict
from uuid import uuid4

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, MessagesState, StateGraph
from pydantic import BaseModel

from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.providers.langgraph.savers import open_saver
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.integration.langgraph.scripted_model import Page
from tests.integration.stores.conftest import KINDS, SHARED


class Colour(Enum):
    RED = "red"


@dataclasses.dataclass
class Part:
    colour: Colour


class Order(BaseModel):
    parts: list[Part]


@dataclasses.dataclass
class Undeclared:
    number: int


class Nested(TypedDict):
    order: Order | None


class State(MessagesState):
    nested: Annotated[Nested, "declared"]
    anything: Any
    seen: str


def _answer(state: State) -> dict[str, Any]:
    order = Order(parts=[Part(Colour.RED)])
    seen = f"{state.get('nested')} {state.get('anything')}"
    return {"nested": {"order": order}, "anything": Undeclared(1), "seen": seen, "messages": [AIMessage("done")]}


async def _seen(url: str, settings: StoreSettings, **options: Any) -> str:
    """Run a turn with a provider of its own, and return what the graph found of the turn before."""
    graph = StateGraph(State).add_node("answer", _answer).add_edge(START, "answer").add_edge("answer", END)
    store = open_store(url, settings)
    await store.start()
    provider = LangGraphProvider({"agent": graph}, **options)
    provider.store = store
    await provider.start()
    try:
        await Page(provider).run(str(uuid4()))
        state = await provider.load_state("thread", "agent")
        assert state is not None
        return str(state.state["seen"])
    finally:
        await provider.stop()
        await store.stop()


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_what_a_state_declares_is_made_again_and_nothing_else(url: str, settings: StoreSettings) -> None:
    await _seen(url, settings)
    order = "{'order': Order(parts=[Part(colour=<Colour.RED: 'red'>)])}"

    assert await _seen(url, settings) == f"{order} {{'number': 1}}"
    assert await _seen(url, settings, checkpoint_types=[Undeclared]) == f"{order} Undeclared(number=1)"


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_nothing_is_imported_or_called_that_a_checkpoint_names(url: str, settings: StoreSettings) -> None:
    async with open_saver(url, settings) as saver:
        hostile = JsonPlusSerializer().dumps_typed({"x": Undeclared(1)})
        assert saver.serde.loads_typed(hostile) == {"x": {"number": 1}}


@pytest.mark.parametrize("url", KINDS, indirect=True)
async def test_half_a_character_is_stored_wherever_it_is(url: str, settings: StoreSettings) -> None:
    half = "half \ud83d"

    def broken(_: State) -> dict[str, Any]:
        return {"anything": {half: [{half: half}]}, "messages": [AIMessage(half)]}

    async with open_saver(url, settings) as saver:
        graph = StateGraph(State).add_node("answer", broken).add_edge(START, "answer").compile(checkpointer=saver)
        config: Any = {"configurable": {"thread_id": "thread"}}
        given: Any = {"messages": []}
        await graph.ainvoke(given, config)
        kept = (await graph.aget_state(config)).values["anything"]

    assert kept == {"half \ufffd": [{"half \ufffd": "half \ufffd"}]}
