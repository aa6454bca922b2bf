"""The registry of providers: whose agent is whose, also while a provider does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, RunContext, RunInput, errors, events
from copilotkit_runtime.runtime import registry as registry_module
from copilotkit_runtime.runtime.registry import ProviderRegistry


class Listed(AgentProvider):
    """Has the agents it is given, or fails."""

    def __init__(self, name: str, *agents: str) -> None:
        self.name = name
        self.agents = list(agents)
        self.failure: Exception | None = None
        self.asked = 0
        self.called = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()

    async def list_agents(self) -> list[AgentDescriptor]:
        self.asked += 1
        self.called.set()
        await self.answers.wait()
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
    with pytest.raises(errors.ConfigurationError, match=r"Two providers are named 'one'.*as in Listed.…, name="):
        registry(Listed("one"), Listed("one"))


async def test_a_provider_that_fails_does_not_hide_the_others() -> None:
    broken, sound = Listed("broken"), Listed("sound", "a")
    broken.failure = errors.NetworkError("It is away.")
    both = registry(broken, sound)
    assert list(await both.agents()) == ["a"]
    assert await both.owner_of("a") is sound
    with pytest.raises(errors.NetworkError, match="away"):
        await both.owner_of("b")


async def test_what_was_listed_is_listed_again_only_after_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Listed("one", "a")
    known = registry(one)
    for _ in range(3):
        await known.owner_of("a")
    assert one.asked == 1
    known.add(Listed("two", "c"))
    assert set(await known.agents()) == {"a", "c"}
    known.remove("two")
    assert set(await known.agents()) == {"a"}
    monkeypatch.setattr(registry_module, "RELIST_SECONDS", 0.0)
    one.agents.append("b")
    assert await known.owner_of("b") is one


async def test_agents_that_do_not_exist_have_no_provider_listed_for_each_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry_module, "RELIST_SECONDS", 60.0)
    one = Listed("one", "a")
    known = registry(one)
    for _ in range(50):
        with pytest.raises(errors.AgentNotFoundError):
            await known.owner_of("nobody")
        assert await known.find("nobody either") is None
    assert one.asked == 1
    monkeypatch.setattr(registry_module, "RELIST_SECONDS", 0.0)
    one.agents.append("nobody")
    assert await known.owner_of("nobody") is one


async def test_all_who_wait_for_a_list_share_it() -> None:
    one = Listed("one", "a")
    known = registry(one)
    one.answers.clear()
    impatient, *waiting = [asyncio.create_task(known.find(name)) for name in ("a", "a", "nobody", "a", "nobody")]
    await one.called.wait()
    impatient.cancel()
    one.answers.set()
    async with asyncio.timeout(10):
        assert await asyncio.gather(*waiting) == [one, None, one, None]
        await asyncio.gather(impatient, return_exceptions=True)
    assert one.asked == 2  # once more for those who waited for whoever left


async def test_a_provider_that_fails_is_not_listed_with_each_request_and_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry_module, "RELIST_SECONDS", 60.0)
    broken, sound = Listed("broken", "b"), Listed("sound", "a")
    broken.failure = errors.NetworkError("It is away.")
    known = registry(broken, sound)
    for _ in range(20):
        with pytest.raises(errors.NetworkError, match="away"):
            await known.owner_of("b")
        assert list(await known.agents()) == ["a"]
    assert broken.asked == 1
    monkeypatch.setattr(registry_module, "RELIST_SECONDS", 0.0)
    assert await known.owner_of("a") is sound
    assert broken.asked == 1
    broken.failure = None
    assert await known.owner_of("b") is broken


async def test_a_conflict_of_names_is_reported_to_everybody_from_one_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "RELIST_SECONDS", 60.0)
    one, two = Listed("one", "a"), Listed("two", "a")
    known = registry(one, two)
    for _ in range(20):
        with pytest.raises(errors.ConfigurationError, match="'a': 'one' and 'two'"):
            await known.agents()
    assert one.asked == 1
    monkeypatch.setattr(registry_module, "RELIST_SECONDS", 0.0)
    two.agents = ["b"]
    assert set(await known.agents()) == {"a", "b"}


async def test_a_provider_that_comes_while_others_are_listed_is_not_forgotten() -> None:
    one = Listed("one", "a")
    known = registry(one)
    one.answers.clear()
    before = asyncio.create_task(known.agents())
    await one.called.wait()
    known.add(Listed("two", "b"))
    one.answers.set()
    async with asyncio.timeout(10):
        assert set(await before) == {"a"}
        assert set(await known.agents()) == {"a", "b"}


def test_an_unknown_provider_cannot_be_removed() -> None:
    with pytest.raises(errors.ConfigurationError, match="No provider is named 'x'"):
        registry().remove("x")
