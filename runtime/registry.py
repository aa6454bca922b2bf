"""The registry of providers and their agents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from time import monotonic

import structlog

from .descriptions import described
from .error_texts import to_public_error
from .errors import AgentNotFoundError, ConfigurationError, CopilotKitError, TryLaterError
from .per_loop import PerLoop
from .provider import AgentDescriptor, AgentProvider

log = structlog.get_logger(__name__)

CACHE_SECONDS = 10.0
RELIST_SECONDS = 1.0
"""How long it is believed that an agent is not there: whoever names agents that do not exist must not have all
providers listed with each request. So long are new agents hidden, and those of a provider that is back."""
DISCOVERY_SECONDS = 4.0
"""How long a provider may take to list its agents: clients wait for it, and not longer than five seconds."""


class Discovery:
    """The providers' answers when their agents were listed.

    Args:
        agents: The agents by name, with their providers.
        failures: The errors of the providers that did not answer.
        conflict: Why the lists of the providers cannot be used, if they cannot.
    """

    def __init__(
        self,
        agents: dict[str, tuple[AgentDescriptor, AgentProvider]],
        failures: list[CopilotKitError],
        conflict: ConfigurationError | None = None,
    ) -> None:
        self.agents = agents
        self.failures = failures
        self.conflict = conflict
        self._listed_at = monotonic()

    def is_believed(self, agent_name: str | None = None) -> bool:
        """Return whether it is young enough to be believed of an agent, or of all; what is missing is believed less."""
        whole = not (self.failures or self.conflict) if agent_name is None else agent_name in self.agents
        return monotonic() - self._listed_at < (CACHE_SECONDS if whole else RELIST_SECONDS)


class ProviderRegistry:
    """The providers of one runtime, by name, in the order of their registration.

    Which agents they have is remembered for ten seconds, until a provider comes or goes, or somebody asks anew. Those
    who wait for a list share one.
    """

    def __init__(self) -> None:
        self.absent: Callable[[str | None], TryLaterError | None] = lambda _: None
        """Returns why an agent that no provider has is only away, and None if it is unknown; for None, the model."""
        self._providers: dict[str, AgentProvider] = {}
        self._known: Discovery | None = None
        self._listing = PerLoop(asyncio.Lock)

    def add(self, provider: AgentProvider) -> None:
        """Register a provider.

        Raises:
            ConfigurationError: Another one has its name.
        """
        if provider.name in self._providers:
            raise ConfigurationError(
                f"Two providers are named '{provider.name}'. Give all agents to one of them, or the other one another"
                f' `name`, as in {type(provider).__name__}(…, name="another").'
            )
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
        return _usable(await self._list())

    async def agents(self) -> dict[str, tuple[AgentDescriptor, AgentProvider]]:
        """Return all agents by name, with their providers, as they were known lately.

        Raises:
            ConfigurationError: Two providers have an agent of the same name.
        """
        return (await self._lately()).agents

    async def find(self, agent_name: str) -> AgentProvider | None:
        """Return the provider that has the agent, or None.

        Raises:
            ConfigurationError: Two providers have an agent of the same name.
        """
        lately = await self._lately(agent_name)
        return lately.agents[agent_name][1] if agent_name in lately.agents else None

    async def owner_of(self, agent_name: str) -> AgentProvider:
        """Return the provider that has the agent.

        Raises:
            AgentNotFoundError: None has it.
            CopilotKitError: None has it of those that answer; the error is that of one that does not.
        """
        lately = await self._lately(agent_name)
        if agent_name in lately.agents:
            return lately.agents[agent_name][1]
        if lately.failures:
            raise lately.failures[0].with_traceback(None)
        raise self.absent(agent_name) or AgentNotFoundError(agent_name, list(lately.agents))

    async def check_present(self, agent_names: Iterable[str | None]) -> None:
        """Check that those are there that may remember something; None is the model.

        Raises:
            TryLaterError: An agent that no provider has is only away.
        """
        for name in agent_names:
            if (away := self.absent(name)) is not None and name not in await self.agents():
                raise away

    async def _lately(self, agent_name: str | None = None) -> Discovery:
        """Return what is known of an agent, or of all; list the agents anew if that is too old."""
        if self._known is None or not self._known.is_believed(agent_name):
            async with self._listing.here:
                # Whoever had the lock before may have listed them.
                if self._known is None or not self._known.is_believed(agent_name):
                    return _usable(await self._list())
        return _usable(self._known)

    async def _list(self) -> Discovery:
        providers = self.all()
        failures: list[CopilotKitError] = []
        lists = await asyncio.gather(*(_agents_of(provider, failures) for provider in providers))
        try:
            found = Discovery(_by_name(zip(providers, lists, strict=True)), failures)
        except ConfigurationError as conflict:
            found = Discovery({}, failures, conflict)
        if self.all() == providers:
            self._known = found
        return found


def _usable(found: Discovery) -> Discovery:
    if found.conflict is not None:
        raise found.conflict.with_traceback(None)
    return found


async def _agents_of(provider: AgentProvider, failures: list[CopilotKitError]) -> list[AgentDescriptor]:
    try:
        async with asyncio.timeout(DISCOVERY_SECONDS):
            return await provider.list_agents()
    except Exception as error:  # a provider that cannot answer must not hide the others
        log.warning("provider_does_not_answer", provider=provider.name, exc_info=error)
        failures.append(to_public_error(error))
        return []


def _by_name(
    lists: Iterable[tuple[AgentProvider, list[AgentDescriptor]]],
) -> dict[str, tuple[AgentDescriptor, AgentProvider]]:
    found: dict[str, tuple[AgentDescriptor, AgentProvider]] = {}
    for provider, agents in lists:
        for agent in _checked(provider, agents):
            if agent.name in found:
                raise ConfigurationError(_named_twice(agent.name, found[agent.name][1], provider))
            found[agent.name] = (agent, provider)
    return found


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
