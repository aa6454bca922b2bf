"""Keeps the agents of workers in the registry of a process that has none of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import structlog

from ..errors import NoWorkerError
from ..provider import AgentDescriptor, AgentProvider
from ..repeated_failures import RepeatedFailures
from ..sweeper import Sweeper
from .engine import DEFAULT_QUEUE, Card, QueueEngine
from .published import Answer, Call, PublishedProvider, RemoteProvider, WorkerCard, remote_provider

if TYPE_CHECKING:
    from ..registry import ProviderRegistry

LOOK_SECONDS = 1.0
"""How often a process looks which workers are there."""
START_SECONDS = 30.0
"""How long a process that starts waits for the first worker, which may start with it."""
_FIRST_LOOKS_SECONDS = 0.25
CALL_SECONDS = 10.0
FORGET_SECONDS = 30.0
"""For how long an agent is shown that no worker has any longer: others may come back for it."""
_MODEL = _NONE = ""
"""In the place of a provider's name the workers' model, in that of an agent's no agent."""

log = structlog.get_logger(__name__)


class WorkerDirectory:
    """Reads what workers publish.

    Args:
        engine: Where they publish it.
        registry: The providers of this process, to which theirs are added.
        use_model: Called with what stands for the workers' model; None once no worker has one.
        adopt: Called with each new provider before it is registered.
    """

    def __init__(
        self,
        engine: QueueEngine,
        registry: ProviderRegistry,
        use_model: Callable[[AgentProvider | None], None],
        adopt: Callable[[AgentProvider], None],
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._use_model = use_model
        self._adopt = adopt
        self._own = {provider.name for provider in registry.all()}
        self._known: dict[str, RemoteProvider] = {}
        self._seen: dict[tuple[str, str], float] = {}
        """When a provider, with no agent's name, or one of its agents was last published."""
        self._gone: dict[str, str] = {}
        """The queues of agents that are published no longer, by their names."""
        self._served: frozenset[str] = frozenset()
        self._unreadable = RepeatedFailures()
        self._sweeper = Sweeper("worker-directory", self.look, lambda: LOOK_SECONDS)

    async def start(self) -> None:
        """Look until a worker is there, for a limited time, and then again and again."""
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        await self.look()
        while not self._known and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_FIRST_LOOKS_SECONDS)
            await self.look()
        if not self._known:
            log.warning("no_workers", reason="No worker is there. Runs wait until one is.")
        self.keep_looking()

    def keep_looking(self) -> None:
        """Look again and again, on the running loop."""
        self._sweeper.start()

    async def stop(self) -> None:
        """End what ``start`` began."""
        await self._sweeper.stop()

    async def look(self) -> None:
        """Read what workers publish now."""
        workers = self._readable(await self._engine.cards())
        found = _facts(workers)
        self._served = frozenset(queue for worker in workers for queue in worker.queues)
        self._note(found)
        for key, known in list(self._known.items()):
            if key in found or (key, _NONE) in self._seen:
                facts, queues = found.get(key, (known.facts, known.queues))
                lately = self._lately(key, found)
                agents = [*(facts.agents if key in found else ()), *lately]
                asked = sorted({*queues, *(agent.queue for agent in lately)})
                found[key] = (msgspec.structs.replace(facts, agents=agents), asked)
            else:
                self._replace(key, None)
        for key, (facts, queues) in found.items():
            before = self._known.get(key)
            if before is None or (before.facts, before.queues) != (facts, queues):
                self._replace(key, remote_provider(facts, queues, self._ask, is_model=key == _MODEL))

    def absent(self, agent_name: str | None) -> NoWorkerError | None:
        """Return why an agent that is not listed is only away, and None if it does not exist; for None, the model."""
        queue = self._gone.get(_MODEL if agent_name is None else agent_name)
        is_away = queue is not None and queue not in self._served
        return NoWorkerError() if is_away or not self._known else None

    def _readable(self, cards: Sequence[Card]) -> list[WorkerCard]:
        """Return what can be read of what workers publish."""
        self._unreadable.keep({card.worker for card in cards})
        workers = []
        for card in sorted(cards):
            try:
                workers.append(msgspec.json.decode(card.body, type=WorkerCard))
                self._unreadable.are_over(card.worker)
            except msgspec.DecodeError as error:
                if self._unreadable.is_news(card.worker, error):
                    log.warning("worker_not_readable", worker=card.worker, reason=str(error))
        return workers

    def _note(self, found: Mapping[str, tuple[PublishedProvider, list[str]]]) -> None:
        present = asyncio.get_running_loop().time()
        for key, (facts, _) in found.items():
            for name in (_NONE, *(agent.name for agent in facts.agents)):
                self._seen[key, name] = present
        self._seen = {place: seen for place, seen in self._seen.items() if present - seen <= FORGET_SECONDS}

    def _lately(self, key: str, found: Mapping[str, tuple[PublishedProvider, list[str]]]) -> list[AgentDescriptor]:
        """Return those of a provider's agents whose last worker has only just gone."""
        published = {agent.name for others, _ in found.values() for agent in others.agents}
        before = [agent for agent in self._known[key].facts.agents if agent.name not in published]
        return [agent for agent in before if agent.queue not in self._served and (key, agent.name) in self._seen]

    def _replace(self, key: str, provider: RemoteProvider | None) -> None:
        before = self._known.pop(key, None)
        if provider is not None:
            self._known[key] = provider
            self._adopt(provider)
        self._gone.update(_names(key, before))
        for name in _names(key, provider):
            self._gone.pop(name, None)
        if key == _MODEL:
            self._use_model(provider)
            return
        if before is not None:
            self._registry.remove(before.name)
        if provider is not None and provider.name not in self._own:
            self._registry.add(provider)

    async def _ask(self, queue: str, call: Call) -> Answer:
        body = msgspec.json.encode(call).decode()
        answer = await self._engine.call(queue, body, CALL_SECONDS)
        return msgspec.json.decode(answer, type=Answer)


def _names(key: str, provider: RemoteProvider | None) -> dict[str, str]:
    """Return the queues of a provider's agents by their names."""
    if provider is None:
        return {}
    return {_MODEL: DEFAULT_QUEUE} if key == _MODEL else {agent.name: agent.queue for agent in provider.facts.agents}


def _facts(workers: Iterable[WorkerCard]) -> dict[str, tuple[PublishedProvider, list[str]]]:
    """Return the providers by name, the model under "", each with a queue of every kind of worker that has it.

    Workers that serve the same queues have the same agents. Of an agent that workers have by providers of different
    names, as while these are renamed, there is one. What is published for no queue is executed by nobody.
    """
    found: dict[str, tuple[PublishedProvider, list[str]]] = {}
    owners: dict[str, str] = {}
    for worker in (each for each in workers if each.queues):
        for provider in worker.providers:
            here = (each for each in provider.agents if owners.setdefault(each.name, provider.name) == provider.name)
            own = {agent.name: agent for agent in here}
            offered = msgspec.structs.replace(provider, agents=list(own.values()))
            found[provider.name] = _joined(found.get(provider.name), offered, worker.queues[0])
        if worker.model is not None:
            found.setdefault(_MODEL, (worker.model, [DEFAULT_QUEUE]))
    return found


def _joined(
    before: tuple[PublishedProvider, list[str]] | None, provider: PublishedProvider, queue: str
) -> tuple[PublishedProvider, list[str]]:
    """Join what workers of different queues publish of one provider: the agents and the methods of all of them."""
    if before is None:
        return provider, [queue]
    facts, queues = before
    names = {agent.name for agent in facts.agents}
    agents = [*facts.agents, *(agent for agent in provider.agents if agent.name not in names)]
    joined = msgspec.structs.replace(
        facts,
        agents=agents,
        asked=sorted({*facts.asked, *provider.asked}),
        keeps_threads_elsewhere=facts.keeps_threads_elsewhere or provider.keeps_threads_elsewhere,
        deletes_threads=facts.deletes_threads and provider.deletes_threads,
    )
    return joined, sorted({*queues, queue})
