"""The agents of workers, as they are published, and as a process sees them that has none of their dependencies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeAlias, cast

import msgspec
from typing_extensions import override

from ..context import RunContext, RunInput
from ..errors import MisuseError
from ..events import Event
from ..provider import AgentDescriptor, AgentProvider
from ..stores.interface import AgentState

VERSION = 1
ASKED = ("load_state", "save_state", "keeps_thread", "delete_thread", "delete_owner", "compact_thread")
"""The methods of providers that are called where the provider is."""


class PublishedProvider(msgspec.Struct, kw_only=True, frozen=True):
    """A provider elsewhere, as its workers publish it. ``asked`` are the methods that it has of its own."""

    name: str
    kind: str
    agents: list[AgentDescriptor] = []
    keeps_state: bool = False
    reports_extensions: bool = False
    declares_config: bool = False
    takes: list[str] = []
    keeps_threads_elsewhere: bool = False
    deletes_threads: bool = True
    asked: list[str] = []


class WorkerCard(msgspec.Struct, kw_only=True, frozen=True):
    """What a worker publishes: the queues that it serves, and its providers."""

    queues: list[str]
    providers: list[PublishedProvider] = []
    model: PublishedProvider | None = None
    version: int = VERSION


class Call(msgspec.Struct, kw_only=True, frozen=True):
    """A method of a provider that is to be called. ``provider`` is None for the model."""

    method: str
    provider: str | None
    arguments: list[Any] = []
    state: AgentState | None = None


class Answer(msgspec.Struct, kw_only=True, frozen=True):
    """What a method has returned."""

    state: AgentState | None = None
    truth: bool = False


Ask: TypeAlias = Callable[[str, Call], Awaitable[Answer]]
"""Calls a provider's method by a worker of a queue."""


def published(provider: AgentProvider, agents: Iterable[AgentDescriptor]) -> PublishedProvider:
    """Describe a provider with those of its agents that a worker runs."""
    kind = type(provider)
    return PublishedProvider(
        name=provider.name,
        kind=kind.__name__,
        agents=list(agents),
        keeps_state=provider.keeps_state,
        reports_extensions=provider.reports_extensions,
        declares_config=provider.declares_config,
        takes=sorted(provider.takes),
        keeps_threads_elsewhere=provider.keeps_threads_elsewhere,
        deletes_threads=provider.deletes_threads,
        asked=[name for name in ASKED if getattr(kind, name) is not getattr(AgentProvider, name)],
    )


async def perform(provider: AgentProvider, call: Call) -> Answer:
    """Call the method of a provider of this process.

    Raises:
        MisuseError: The method is unknown.
    """
    if call.method not in ASKED:
        raise MisuseError(f"'{call.method[:100]}' is not a method that workers call.")
    given = [*call.arguments, *([call.state] if call.state is not None else [])]
    found = await getattr(provider, call.method)(*given)
    return Answer(state=found if isinstance(found, AgentState) else None, truth=found is True)


class RemoteProvider(AgentProvider):
    """A provider of workers. Its runs go through a queue.

    What it remembers of an agent is with the workers of that agent's queue, and what it remembers of a thread may be
    with all kinds of workers that have it. Make one with ``remote_provider``.
    """

    facts: PublishedProvider
    queues: list[str]
    ask: Ask
    is_model = False

    @property
    @override
    def keeps_threads_elsewhere(self) -> bool:
        return self.facts.keeps_threads_elsewhere

    @property
    @override
    def deletes_threads(self) -> bool:
        return self.facts.deletes_threads

    @override
    async def list_agents(self) -> list[AgentDescriptor]:
        return list(self.facts.agents)

    @override
    def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncIterator[Event]:
        raise MisuseError("The agents of workers are run by workers.")

    @override
    async def load_state(self, thread_id: str, agent_name: str) -> AgentState | None:
        if "load_state" not in self.facts.asked:
            return await super().load_state(thread_id, agent_name)
        return (await self._ask(self._queue_of(agent_name), "load_state", thread_id, agent_name)).state

    @override
    async def save_state(self, thread_id: str, agent_name: str, state: AgentState) -> None:
        if "save_state" in self.facts.asked:
            await self._ask(self._queue_of(agent_name), "save_state", thread_id, agent_name, state=state)
        else:
            await super().save_state(thread_id, agent_name, state)

    @override
    async def keeps_thread(self, thread_id: str) -> bool:
        return any(answer.truth for answer in await self._ask_all("keeps_thread", thread_id))

    @override
    async def delete_thread(self, thread_id: str) -> None:
        await self._ask_all("delete_thread", thread_id)

    @override
    async def delete_owner(self, owner: str) -> None:
        await self._ask_all("delete_owner", owner)

    @override
    async def compact_thread(self, thread_id: str) -> None:
        await self._ask_all("compact_thread", thread_id)

    def _queue_of(self, agent_name: str) -> str:
        queues = (agent.queue for agent in self.facts.agents if agent.name == agent_name)
        return next(queues, self.queues[0])

    async def _ask_all(self, method: str, argument: str) -> list[Answer]:
        if method not in self.facts.asked:
            return []
        return await asyncio.gather(*(self._ask(queue, method, argument) for queue in self.queues))

    async def _ask(self, queue: str, method: str, *arguments: str, state: AgentState | None = None) -> Answer:
        name = None if self.is_model else self.facts.name
        return await self.ask(queue, Call(method=method, provider=name, arguments=[*arguments], state=state))


def remote_provider(
    facts: PublishedProvider,
    queues: Sequence[str],
    ask: Ask,
    *,
    is_model: bool = False,
) -> RemoteProvider:
    """Return what stands for a provider of workers; clients see the kind and the abilities of that one.

    Args:
        facts: What is published of it.
        queues: A queue of every kind of worker that has it.
        ask: Calls its methods.
        is_model: Whether it is the model.
    """
    abilities = {
        "name": facts.name,
        "keeps_state": facts.keeps_state,
        "reports_extensions": facts.reports_extensions,
        "declares_config": facts.declares_config,
        "takes": frozenset(facts.takes),
    }
    provider = cast("RemoteProvider", type(facts.kind, (RemoteProvider,), abilities)())
    provider.facts, provider.queues, provider.ask = facts, list(queues), ask
    provider.is_model = is_model
    return provider
