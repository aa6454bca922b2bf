"""The agents that clients of this wire see, and which one an id means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...runtime.capabilities import capabilities_of
from ...runtime.provider import AgentDescriptor, AgentProvider
from ...runtime.service import RuntimeService
from ..http.refusal import Refusal, busy
from .refusals import agent_not_found

DEFAULT = "default"
_MODEL = AgentDescriptor(name=DEFAULT)


class Agent(NamedTuple):
    """What an id of an agent means: a name of the runtime's, None for the model, and who runs it."""

    name: str | None
    provider: AgentProvider

    @property
    def key(self) -> str:
        """The name under which threads keep the agent's part."""
        return self.name or ""


async def find_agent(service: RuntimeService, agent_id: str) -> Agent:
    """Find the agent that an id means.

    Raises:
        Refusal: No agent has it, or none for the moment.
    """
    if agent_id != DEFAULT:
        provider = await service.registry.find(agent_id)
        if provider is None:
            raise _not_there(service, agent_id)
        return Agent(agent_id, provider)
    agents = await service.registry.agents()
    name = _aliased(service, agents)
    if name is not None:
        return Agent(name, agents[name][1])
    if service.model is None:
        raise _not_there(service, agent_id)
    return Agent(None, service.model)


def _not_there(service: RuntimeService, agent_id: str) -> Refusal:
    away = service.registry.absent(None if agent_id == DEFAULT else agent_id)
    return agent_not_found(agent_id) if away is None else busy(away, away.retry_after)


def _aliased(service: RuntimeService, agents: Mapping[str, Any]) -> str | None:
    """Return what ``default`` means: an agent of that name, the only agent, or else the model."""
    if DEFAULT in agents:
        return DEFAULT
    return next(iter(agents)) if len(agents) == 1 else None


async def shown_agents(service: RuntimeService) -> dict[str, dict[str, Any]]:
    """Describe the agents to clients, by their ids."""
    agents = await service.registry.agents()
    shown = {name: _shown(descriptor, provider) for name, (descriptor, provider) in agents.items()}
    alias = _aliased(service, agents)
    if alias is not None:
        shown.setdefault(DEFAULT, {**shown[alias], "name": DEFAULT})
    elif service.model is not None:
        shown.setdefault(DEFAULT, _shown(_MODEL, service.model))
    return shown


def _shown(descriptor: AgentDescriptor, provider: AgentProvider) -> dict[str, Any]:
    return {
        "name": descriptor.name,
        "description": descriptor.description,
        "className": type(provider).__name__,
        "capabilities": capabilities_of(provider, descriptor),
    }
