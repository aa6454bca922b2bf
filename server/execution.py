"""Compose what executes runs: this process, the workers of a queue, or this process as one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..runtime.config import RuntimeConfig
from ..runtime.errors import AgentNotFoundError, ConfigurationError
from ..runtime.execution.directory import WorkerDirectory
from ..runtime.execution.engine import QueueEngine
from ..runtime.execution.queued import QueuedExecution, QueueLimits
from ..runtime.execution.worker import Worker
from ..runtime.optional import optional
from ..runtime.provider import AgentDescriptor, AgentProvider
from ..runtime.service import RuntimeService
from ..runtime.stores.redis_urls import is_cluster
from ..runtime.stores.urls import POSTGRES_SCHEMES, REDIS_SCHEMES, scheme_of

if TYPE_CHECKING:
    from collections.abc import Mapping


def queued_execution(service: RuntimeService, config: RuntimeConfig) -> QueuedExecution:
    """Return what hands the runs of a service to workers.

    Raises:
        ConfigurationError: The store is not one that several machines share.
        MissingExtraError: The extra ``queue`` is not installed.
    """
    engine = _engine(service)

    def use_model(model: AgentProvider | None) -> None:
        service.model = model

    own_model = service.model is not None
    directory = WorkerDirectory(engine, service.registry, (lambda _: None) if own_model else use_model, service.adopt)
    limits = QueueLimits(
        most=config.queue_limit,
        seconds=config.queue_timeout_seconds,
        when_full=config.queue_full,
        max_bytes=config.store_max_bytes,
    )
    service.registry.absent = directory.absent
    service.broken_runs.is_ours = lambda _: False
    queue_of = pinned_queues(config)

    async def queue_of_agent(name: str) -> str:
        agents = await service.registry.agents()
        if name not in agents:  # its last worker has gone since it was looked up
            raise AgentNotFoundError(name, list(agents))
        return queue_of(agents[name][0])

    return QueuedExecution(engine, service.archive, limits, directory, queue_of_agent, service.observers)


def queue_worker(service: RuntimeService, config: RuntimeConfig) -> Worker:
    """Return a worker that executes the runs of ``config.queues`` with a service.

    Raises:
        ConfigurationError: The store is not one that several machines share.
        MissingExtraError: The extra ``queue`` is not installed.
    """
    engine = _engine(service)
    return Worker(service, engine, config.queues, config.worker_concurrency, pinned_queues(config))


def pinned_queues(config: RuntimeConfig) -> Callable[[AgentDescriptor], str]:
    """Return the lookup of an agent's queue: the settings', or else the one that the agent names."""
    pins: Mapping[str, str] = dict(_pin(entry) for entry in config.agent_queues)
    return lambda agent: pins.get(agent.name, agent.queue)


def _pin(entry: str) -> tuple[str, str]:
    agent, _, queue = entry.rpartition("=")
    return agent, queue


def _engine(service: RuntimeService) -> QueueEngine:
    url = service.store.url or ""
    if scheme_of(url) not in (*REDIS_SCHEMES, *POSTGRES_SCHEMES):
        raise ConfigurationError(
            "execution: a queue needs a store that web processes and workers share: redis:// or postgresql://."
        )
    if scheme_of(url) in REDIS_SCHEMES and is_cluster(url):
        raise ConfigurationError(
            "execution: the engine of the queue keeps what is written at once in different slots, which a Redis Cluster"
            " refuses. Use one Redis server, with replicas, or PostgreSQL; execution = inline works with a cluster."
        )
    with optional("The execution of runs in a queue", "queue"):
        from ..runtime.execution.saq_engine import SaqEngine
    settings = service.archive.store.settings
    return SaqEngine(url, settings.prefix, settings)
