"""A thread's checkpoint as the runtime's ``AgentState``, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from langchain_core.runnables import RunnableConfig
from langgraph.types import StateSnapshot

from ...runtime.events import Custom
from ...runtime.stores.interface import AgentState
from .encoding import Encoder
from .history import CheckpointMessages, messages_update
from .interrupts import interrupt_events
from .messages import as_langchain, from_langchain, to_langchain
from .schema import OWN_KEYS, Graph, GraphSchema

log = structlog.get_logger(__name__)


async def read_thread(graph: Graph, schema: GraphSchema, config: RunnableConfig) -> AgentState | None:
    """Return what the thread's latest checkpoint holds, as the client may see it, or None."""
    return agent_state(schema, await graph.aget_state(config)) if graph.checkpointer else None


def agent_state(schema: GraphSchema, snapshot: StateSnapshot) -> AgentState | None:
    """Return a checkpoint as the client may see it; None if it is none."""
    if snapshot.created_at is None or not isinstance(snapshot.values, Mapping):
        return None
    values = snapshot.values
    messages = from_langchain(CheckpointMessages(as_langchain(values.get("messages"))).messages)
    interrupts = [event for event in interrupt_events(snapshot.interrupts) if isinstance(event, Custom)]
    return AgentState(state=_shown(schema, values), messages=messages, interrupts=interrupts)


def _shown(schema: GraphSchema, values: Mapping[str, Any]) -> dict[str, Any]:
    encoder = Encoder()
    state = {key: encoder.encode(values[key], key) for key in values if schema.shows(key)}
    for failure in encoder.failures.values():
        log.warning("langgraph_state_not_encodable", failure=failure)
    return state


async def write_thread(graph: Graph, schema: GraphSchema, config: RunnableConfig, state: AgentState) -> None:
    """Write a checkpoint in which the thread's state and messages are those given."""
    snapshot = await graph.aget_state(config)
    first = snapshot.created_at is None
    update = state_update(schema, snapshot, state)
    written = await graph.aupdate_state(config, update, as_node="__start__" if first else None)
    if first:
        await graph.aupdate_state(written, None, as_node="__end__")


def state_update(schema: GraphSchema, snapshot: StateSnapshot, state: AgentState) -> dict[str, Any]:
    """Return what to write over ``snapshot``, so that the thread's state and messages become those given."""
    values = snapshot.values if isinstance(snapshot.values, Mapping) else {}
    update = {
        key: schema.replacement(key, value, values)
        for key, value in state.state.items()
        if schema.writes(key) and key not in OWN_KEYS
    }
    if schema.writes("messages"):
        checkpoint = CheckpointMessages(as_langchain(values.get("messages")))
        update["messages"] = messages_update(schema, checkpoint, to_langchain(state.messages))
    return update
