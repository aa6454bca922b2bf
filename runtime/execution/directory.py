"""Keeps the agents of workers in the registry of a process that has none of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec
import structlog

from ..cancellation import end_tasks
from ..errors import CopilotKitError
from ..provider import AgentProvider
from .engine import Card, QueueEngine
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
"""For how long the agents of workers are shown that are gone: others may come back for them."""

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
        self._seen: dict[str, float] = {}
        self._model: RemoteProvider | None = None
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look until a worker is there, for a limited time, and then again and again."""
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        await self.look()
        while not self._known and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_FIRST_LOOKS_SECONDS)
            await self.look()
        if not self._known:
            log.warning("no_workers", reason="No worker is there. Runs wait until one is.")
        self._looking = asyncio.create_task(self._keep_looking(), name="worker-directory")

    async def stop(self) -> None:
        """End what ``start`` began."""
        if self._looking is not None:
            await end_tasks(self._looking)
            self._looking = None

    async def look(self) -> None:
        """Read what workers publish now."""
        found = _facts(await self._engine.cards())
        present = asyncio.get_running_loop().time()
        for key, (facts, queues) in found.items():
            self._seen[key] = present
            known = self._known.get(key)
            if known is None or known.facts != facts:
                self._replace(key, remote_provider(facts, queues, self._ask, is_model=key == ""))
        for key, seen in list(self._seen.items()):
            if present - seen > FORGET_SECONDS:
                del self._seen[key]
                self._replace(key, None)

    def _replace(self, key: str, provider: RemoteProvider | None) -> None:
        before = self._known.pop(key, None)
        if provider is not None:
            self._known[key] = provider
            self._adopt(provider)
        if key == "":
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

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except CopilotKitError as error:
                log.warning("workers_not_listed", error=str(error))


def _facts(cards: Iterable[Card]) -> dict[str, tuple[PublishedProvider, list[str]]]:
    """Return the providers by name, the model under "", each with the queues of a worker that has it."""
    found: dict[str, tuple[PublishedProvider, list[str]]] = {}
    for card in sorted(cards):
        try:
            worker = msgspec.json.decode(card.body, type=WorkerCard)
        except msgspec.DecodeError as error:
            log.warning("worker_not_readable", worker=card.worker, reason=str(error))
            continue
        for provider in worker.providers:
            found[provider.name] = _joined(found.get(provider.name), provider, worker.queues)
        if worker.model is not None:
            found.setdefault("", (worker.model, worker.queues))
    return found


def _joined(
    before: tuple[PublishedProvider, list[str]] | None, provider: PublishedProvider, queues: list[str]
) -> tuple[PublishedProvider, list[str]]:
    """Join what workers of different queues publish of one provider: the agents of all of them."""
    if before is None:
        return provider, queues
    names = {agent.name for agent in before[0].agents}
    agents = [*before[0].agents, *(agent for agent in provider.agents if agent.name not in names)]
    return msgspec.structs.replace(before[0], agents=agents), before[1]
