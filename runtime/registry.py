"""Which providers there are, and which of them has an agent."""

from __future__ import annotations

import structlog

from .errors import AgentNotFoundError, ConfigurationError
from .provider import AgentDescriptor, AgentProvider

log = structlog.get_logger(__name__)


class ProviderRegistry:
    """The providers of one runtime, by name, in the order of their registration."""

    def __init__(self) -> None:
        self._providers: dict[str, AgentProvider] = {}

    def add(self, provider: AgentProvider) -> None:
        """Registers a provider.

        Raises:
            ConfigurationError: Another one has its name.
        """
        if provider.name in self._providers:
            raise ConfigurationError(f"Two providers are named '{provider.name}'. Give one of them another name.")
        self._providers[provider.name] = provider

    def remove(self, name: str) -> AgentProvider:
        """Takes a provider out; runs that it executes go on.

        Raises:
            ConfigurationError: There is none of that name.
        """
        provider = self._providers.pop(name, None)
        if provider is None:
            raise ConfigurationError(f"There is no provider named '{name}'.")
        return provider

    def get(self, name: str) -> AgentProvider | None:
        """The provider of that name, if there is one."""
        return self._providers.get(name)

    def all(self) -> list[AgentProvider]:
        """All providers, as they are now."""
        return list(self._providers.values())

    async def agents(self) -> dict[str, tuple[AgentDescriptor, AgentProvider]]:
        """All agents by name, with their providers.

        Raises:
            ConfigurationError: Two providers have an agent of the same name.
        """
        found: dict[str, tuple[AgentDescriptor, AgentProvider]] = {}
        for provider in self.all():
            for agent in await provider.list_agents():
                if agent.name in found:
                    owner = found[agent.name][1].name
                    raise ConfigurationError(
                        f"Two providers have an agent named '{agent.name}': '{owner}' and '{provider.name}'."
                    )
                found[agent.name] = (agent, provider)
        return found

    async def owner_of(self, agent_name: str) -> AgentProvider:
        """The provider that has the agent.

        Raises:
            AgentNotFoundError: None has it.
        """
        agents = await self.agents()
        if agent_name not in agents:
            raise AgentNotFoundError(agent_name, list(agents))
        return agents[agent_name][1]
