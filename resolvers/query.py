"""Query: ``hello``, ``availableAgents``, ``loadAgentState``."""

from __future__ import annotations

from typing import Any

import msgspec
from ariadne import QueryType

from ..runtime.shown_state import shown_state
from ..runtime.stores.interface import AgentState
from ..wires.graphql.context import Info
from ..wires.graphql.state_messages import state_messages

query = QueryType()


@query.field("hello")
def hello(_root: object, _info: Info) -> str:
    """Return the contract's sign of life."""
    return "Hello World"


@query.field("availableAgents")
async def available_agents(_root: object, info: Info) -> dict[str, Any]:
    """Return all agents; an agent's id is its name."""
    agents = await info.context.service.available_agents()
    return {"agents": [{"id": a.name, "name": a.name, "description": a.description} for a in agents]}


@query.field("loadAgentState")
async def load_agent_state(_root: object, info: Info, data: dict[str, str]) -> dict[str, Any]:
    """Return an agent's state on a thread; one that has none there is empty."""
    context = info.context
    kept = await context.service.load_agent_state(**data, identity=context.client.identity)
    state = kept or AgentState()
    return {
        "thread_id": data["thread_id"],
        "thread_exists": kept is not None,
        "state": msgspec.json.encode(shown_state(state.state)).decode(),
        "messages": msgspec.json.encode(state_messages(state.messages)).decode(),
    }
