"""Checkpoints make only types that are known again: whoever can write to the store runs no code by it."""

from __future__ import annotations

import dataclasses
import json
import pickle
import sys
from contextlib import suppress
from enum import Enum
from typing import Annotated, Any, ClassVar, TypedDict
from uuid import uuid4

import ormsgpack
import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.serde import jsonplus
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


class Armed:
    """Writes down who makes it, however that is done."""

    made: ClassVar[list[str]] = []

    def __init__(self, *given: Any, **named: Any) -> None:
        self.made.append(f"made of {given} {named}")

    def __reduce__(self) -> Any:
        return Armed, ("unpickled",)

    @classmethod
    def construct(cls, *given: Any, **named: Any) -> Armed:
        return cls(*given, **named)

    model_construct = model_validate_json = parse_raw = construct


UNLOADED = "antigravity"
"""A module that does something when it is imported."""


def _extensions(module: str, name: str) -> dict[str, tuple[str, bytes]]:
    """Return values of each kind of extension that LangGraph's serializer has, as what is stored of them."""
    given = {
        jsonplus.EXT_CONSTRUCTOR_SINGLE_ARG: (module, name, "hostile"),
        jsonplus.EXT_CONSTRUCTOR_POS_ARGS: (module, name, ("hostile",)),
        jsonplus.EXT_CONSTRUCTOR_KW_ARGS: (module, name, {"hostile": 1}),
        jsonplus.EXT_METHOD_SINGLE_ARG: (module, name, "hostile", "construct"),
        jsonplus.EXT_PYDANTIC_V1: (module, name, {"hostile": 1}, "construct"),
        jsonplus.EXT_PYDANTIC_V2: (module, name, {"hostile": 1}, "model_construct"),
    }
    packed = {str(code): ormsgpack.Ext(code, ormsgpack.packb(value)) for code, value in given.items()}
    return {
        code: ("msgpack", ormsgpack.packb({"x": value}, option=ormsgpack.OPT_PASSTHROUGH_TUPLE))
        for code, value in packed.items()
    }


def _hostile(module: str, name: str) -> dict[str, tuple[str, bytes]]:
    named = {"lc": 2, "type": "constructor", "id": [*module.split("."), name], "kwargs": {"hostile": 1}}
    return {
        **_extensions(module, name),
        "json": ("json", json.dumps({"x": named}).encode()),
        "json of a method": ("json", json.dumps({"x": {**named, "method": "construct"}}).encode()),
        "json of LangChain": ("json", json.dumps({"x": {**named, "lc": 1}}).encode()),
        "pickle": ("pickle", pickle.dumps({"x": Armed()})),
    }


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_nothing_is_imported_or_called_that_a_checkpoint_names(url: str, settings: StoreSettings) -> None:
    async with open_saver(url, settings) as saver:
        for module, name in ((__name__, "Armed"), (UNLOADED, "fly"), ("os", "system"), ("builtins", "eval")):
            for kind, stored in _hostile(module, name).items():
                Armed.made.clear()
                with suppress(Exception):  # what is refused is not called
                    saver.serde.loads_typed(stored)
                assert (kind, Armed.made) == (kind, [])
                assert UNLOADED not in sys.modules, kind
        harmless = JsonPlusSerializer().dumps_typed({"x": Undeclared(1)})
        assert saver.serde.loads_typed(harmless) == {"x": {"number": 1}}


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
