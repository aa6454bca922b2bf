"""The registry of providers: whose agent is whose, also while a provider does not answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, RunContext, RunInput, errors, events
from copilotkit_runtime.runtime.registry import ProviderRegistry


class Listed(AgentProvider):
    """Has the agents it is given, or fails."""

    def __init__(self, name: str, *agents: str) -> None:
        self.name = name
        self.agents = list(agents)
        self.failure: Exception | None = None
        self.asked = 0

    async def list_agents(self) -> list[AgentDescriptor]:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return [AgentDescriptor(name=name) for name in self.agents]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        silence: list[events.Event] = []
        for event in silence:
            yield event


def registry(*providers: AgentProvider) -> ProviderRegistry:
    registry = ProviderRegistry()
    for provider in providers:
        registry.add(provider)
    return registry


async def test_an_agent_belongs_to_the_provider_that_lists_it() -> None:
    one, two = Listed("one", "a"), Listed("two", "b")
    assert await registry(one, two).owner_of("b") is two


async def test_an_unknown_agent_is_reported_with_those_there_are() -> None:
    with pytest.raises(errors.AgentNotFoundError, match="Available agents are: a, b"):
        await registry(Listed("one", "a", "b")).owner_of("c")


async def test_two_agents_of_one_name_are_refused_with_both_owners_named() -> None:
    with pytest.raises(errors.ConfigurationError, match="'a': 'one' and 'two'"):
        await registry(Listed("one", "a"), Listed("two", "a")).agents()


def test_two_providers_of_one_name_are_refused() -> None:
    with pytest.raises(errors.ConfigurationError, match="Two providers are named 'one'"):
        registry(Listed("one"), Listed("one"))


async def test_a_provider_that_fails_does_not_hide_the_others() -> None:
    broken, sound = Listed("broken"), Listed("sound", "a")
    broken.failure = errors.NetworkError("It is away.")
    both = registry(broken, sound)
    assert list(await both.agents()) == ["a"]
    assert await both.owner_of("a") is sound
    with pytest.raises(errors.NetworkError, match="away"):
        await both.owner_of("b")


async def test_what_was_listed_is_listed_again_only_after_a_change() -> None:
    one = Listed("one", "a")
    known = registry(one)
    for _ in range(3):
        await known.owner_of("a")
    assert one.asked == 1
    one.agents.append("b")
    assert await known.owner_of("b") is one
    known.add(Listed("two", "c"))
    assert set(await known.agents()) == {"a", "b", "c"}
    known.remove("two")
    assert set(await known.agents()) == {"a", "b"}


async def test_an_unknown_agent_lists_the_providers_once_at_most() -> None:
    one = Listed("one", "a")
    known = registry(one)
    for asked in (1, 2):
        with pytest.raises(errors.AgentNotFoundError):
            await known.owner_of("nobody")
        assert one.asked == asked


def test_an_unknown_provider_cannot_be_removed() -> None:
    with pytest.raises(errors.ConfigurationError, match="No provider is named 'x'"):
        registry().remove("x")
