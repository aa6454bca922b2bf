"""Operations beside the contract: ``runtimeInfo`` and ``saveAgentState``."""

from __future__ import annotations

from typing import Any

from ariadne import MutationType, QueryType

from ..runtime.info import runtime_info
from ..wires.graphql.context import Info

query_extensions = QueryType()
mutation_extensions = MutationType()


@query_extensions.field("runtimeInfo")
async def info_of_runtime(_root: object, info: Info) -> dict[str, Any]:
    """Return what the runtime is, and the agents it has."""
    about = runtime_info(await info.context.service.available_agents())
    agents = [{"id": agent.name, "name": agent.name, "description": agent.description} for agent in about.agents]
    return {"version": about.version, "contract_version": about.contract_version, "agents": agents}


@mutation_extensions.field("saveAgentState")
async def save_agent_state(_root: object, info: Info, data: dict[str, Any]) -> dict[str, Any]:
    """Replace an agent's state on a thread."""
    context = info.context
    await context.service.save_agent_state(**data, identity=context.client.identity)
    return {"thread_id": data["thread_id"]}
