"""The registry of providers and their agents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from time import monotonic

import structlog

from .descriptions import described
from .error_texts import to_public_error
from .errors import AgentNotFoundError, ConfigurationError, CopilotKitError, TryLaterError
from .provider import AgentDescriptor, AgentProvider

log = structlog.get_logger(__name__)

CACHE_SECONDS = 10.0
DISCOVERY_SECONDS = 4.0
"""How long a provider may take to list its agents: clients wait for it, and not longer than five seconds."""


class Discovery:
    """The providers' answers when their agents were listed.

    Args:
        agents: The agents by name, with their providers.
        failures: The errors of the providers that did not answer.
    """

    def __init__(
        self, agents: dict[str, tuple[AgentDescriptor, AgentProvider]], failures: list[CopilotKitError]
    ) -> None:
        self.agents = agents
        self.failures = failures
        self._asked_at = monotonic()

    @property
    def fresh(self) -> bool:
        """Whether it is young enough to be believed. One with failures never is."""
        return not self.failures and monotonic() - self._asked_at < CACHE_SECONDS


class ProviderRegistry:
    """The providers of one runtime, by name, in the order of their registration.

    Which agents they have is remembered for ten seconds, until a provider comes or goes, or somebody asks anew.
    """

    def __init__(self) -> None:
        self.absent: Callable[[str | None], TryLaterError | None] = lambda _: None
        """Returns why an agent that no provider has is only away, and None if it is unknown; for None, the model."""
        self._providers: dict[str, AgentProvider] = {}
        self._known: Discovery | None = None

    def add(self, provider: AgentProvider) -> None:
        """Register a provider.

        Raises:
            ConfigurationError: Another one has its name.
        """
        if provider.name in self._providers:
            raise ConfigurationError(f"Two providers are named '{provider.name}'. Give one of them another `name`.")
        self._providers[provider.name] = provider
        self._known = None

    def remove(self, name: str) -> AgentProvider:
        """Take a provider out; runs that it executes go on.

        Raises:
            ConfigurationError: No provider has that name.
        """
        provider = self._providers.pop(name, None)
        if provider is None:
            raise ConfigurationError(f"No provider is named '{name}'.")
        self._known = None
        return provider

    def get(self, name: str) -> AgentProvider | None:
        """Return the provider of that name, if there is one."""
        return self._providers.get(name)

    def all(self) -> list[AgentProvider]:
        """Return all providers, as they are now."""
        return list(self._providers.values())

    async def discover(self) -> Discovery:
        """List the agents of all providers. One that does not answer is logged, and left out.

        Raises:
            ConfigurationError: Two agents have the same name, or a provider lists what are not agents.
        """
        found = Discovery({}, [])
        providers = self.all()
        lists = await asyncio.gather(*(self._agents_of(provider, found) for provider in providers))
        for provider, agents in zip(providers, lists, strict=True):
            for agent in _checked(provider, agents):
                if agent.name in found.agents:
                    raise ConfigurationError(_named_twice(agent.name, found.agents[agent.name][1], provider))
                found.agents[agent.name] = (agent, provider)
        self._known = found
        return found

    async def agents(self) -> dict[str, tuple[AgentDescriptor, AgentProvider]]:
        """Return all agents by name, with their providers, as they were known lately.

        Raises:
            ConfigurationError: Two providers have an agent of the same name.
        """
        return (await self._lately()).agents

    async def owner_of(self, agent_name: str) -> AgentProvider:
        """Return the provider that has the agent.

        Raises:
            AgentNotFoundError: None has it.
            CopilotKitError: None has it of those that answer; the error is that of one that does not.
        """
        before = self._known
        lately = await self._lately()
        if agent_name not in lately.agents and lately is before:
            lately = await self.discover()
        if agent_name in lately.agents:
            return lately.agents[agent_name][1]
        if lately.failures:
            raise lately.failures[0]
        raise self.absent(agent_name) or AgentNotFoundError(agent_name, list(lately.agents))

    async def check_present(self, agent_names: Iterable[str | None]) -> None:
        """Check that those are there that may remember something; None is the model.

        Raises:
            TryLaterError: An agent that no provider has is only away.
        """
        for name in agent_names:
            if (away := self.absent(name)) is not None and name not in await self.agents():
                raise away

    async def _lately(self) -> Discovery:
        return self._known if self._known is not None and self._known.fresh else await self.discover()

    async def _agents_of(self, provider: AgentProvider, found: Discovery) -> list[AgentDescriptor]:
        try:
            async with asyncio.timeout(DISCOVERY_SECONDS):
                return await provider.list_agents()
        except Exception as error:  # a provider that cannot answer must not hide the others
            log.warning("provider_does_not_answer", provider=provider.name, exc_info=error)
            found.failures.append(to_public_error(error))
            return []


def _checked(provider: AgentProvider, agents: object) -> Iterable[AgentDescriptor]:
    if isinstance(agents, str) or not isinstance(agents, Iterable):
        raise _not_agents(provider, described(agents))
    listed = list(agents)
    if (wrong := next((each for each in listed if not isinstance(each, AgentDescriptor)), _NONE)) is not _NONE:
        raise _not_agents(provider, f"a list with {described(wrong)}")
    return listed


_NONE = object()


def _not_agents(provider: AgentProvider, returned: str) -> ConfigurationError:
    return ConfigurationError(
        f'{type(provider).__name__}.list_agents returns {returned}. Return [AgentDescriptor(name="my_agent")] there.'
    )


def _named_twice(agent_name: str, first: AgentProvider, second: AgentProvider) -> str:
    if first is second:
        return f"{type(first).__name__}.list_agents returns two agents named '{agent_name}'."
    return f"Two providers have an agent named '{agent_name}': '{first.name}' and '{second.name}'. Rename one agent."
