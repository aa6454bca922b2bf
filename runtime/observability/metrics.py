"""Prometheus metrics of runs, streams, refusals and the store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from ..optional import optional
from ..runs.observer import RunObserver

if TYPE_CHECKING:
    from ..runs.run import Run

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_RUN_SECONDS = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_FIRST_EVENT_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_STORE_SECONDS = (0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)
_MODEL = "(model)"


class RuntimeMetrics(RunObserver):
    """The metrics of one runtime. A run is counted when it starts and when it ends, never per event.

    Raises:
        MissingExtraError: The extra ``metrics`` is not installed.
    """

    def __init__(self) -> None:
        with optional("Prometheus metrics", "metrics"):
            import prometheus_client
        self._client = prometheus_client
        self._registry = registry = prometheus_client.CollectorRegistry()
        gauge: Any = prometheus_client.Gauge
        counter: Any = prometheus_client.Counter
        histogram: Any = prometheus_client.Histogram
        live = {"multiprocess_mode": "livesum", "registry": registry}
        self._runs = counter("copilotkit_runs", "Runs that ended.", ["agent", "outcome"], registry=registry)
        self._active = gauge("copilotkit_active_runs", "Runs that go on.", ["agent"], **live)
        self._seconds = histogram(
            "copilotkit_run_seconds", "How long runs took.", ["agent"], buckets=_RUN_SECONDS, registry=registry
        )
        self._first = histogram(
            "copilotkit_first_event_seconds",
            "From a run's start until its agent's first event was read.",
            ["agent"],
            buckets=_FIRST_EVENT_SECONDS,
            registry=registry,
        )
        self._tokens = counter(
            "copilotkit_tokens", "Pieces of text and arguments that agents sent.", ["agent"], registry=registry
        )
        self._streams = gauge("copilotkit_active_streams", "Answers that are being streamed.", **live)
        self._refused = counter("copilotkit_requests_refused", "Requests refused.", ["status"], registry=registry)
        self._store = histogram(
            "copilotkit_store_seconds",
            "How long the state store took.",
            ["operation"],
            buckets=_STORE_SECONDS,
            registry=registry,
        )

    @override
    @contextmanager
    def starting(self, run: Run) -> Iterator[None]:
        self._active.labels(_agent(run)).inc()
        yield

    @override
    def on_first_event(self, run: Run) -> None:
        self._first.labels(_agent(run)).observe(monotonic() - run.started_at)

    @override
    def ended(self, run: Run) -> None:
        agent = _agent(run)
        self._active.labels(agent).dec()
        self._runs.labels(agent, run.status.value).inc()
        self._seconds.labels(agent).observe(monotonic() - run.started_at)
        self._tokens.labels(agent).inc(run.transcript.pieces)

    def streaming(self) -> AbstractContextManager[object]:
        """Count an answer that is streamed in the block."""
        context: AbstractContextManager[object] = self._streams.track_inprogress()
        return context

    def refused(self, status: int) -> None:
        """Count a request that was refused."""
        self._refused.labels(str(status)).inc()

    def store(self, operation: str) -> AbstractContextManager[object]:
        """Time an operation of the store in the block."""
        context: AbstractContextManager[object] = self._store.labels(operation).time()
        return context

    def page(self) -> tuple[bytes, str]:
        """All metrics as Prometheus reads them, and their content type; of all workers if there are several."""
        registry = self._registry
        if MULTIPROCESS_VARIABLE in os.environ:
            from prometheus_client import multiprocess

            registry = self._client.CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return self._client.generate_latest(registry), self._client.CONTENT_TYPE_LATEST


def forget_process(pid: int | None) -> None:
    """Lets the runs and streams of a process that has died no longer count as going on."""
    if MULTIPROCESS_VARIABLE in os.environ:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _agent(run: Run) -> str:
    return run.agent_name or _MODEL
