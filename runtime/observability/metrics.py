"""Prometheus metrics of runs, streams, requests and the store, named by Prometheus's conventions."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from ..config import EMULATED_VERSION
from ..errors import RunHandedOverError
from ..info import runtime_version
from ..optional import optional
from ..runs.observer import RunObserver
from ..runs.usage import OTHER_MODELS, TokenUsage
from ..stores.errors import StoreUnavailableError
from .process_metrics import MULTIPROCESS_VARIABLE, register_process

if TYPE_CHECKING:
    from ..runs.run import Run

_RUN_SECONDS = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_FIRST_EVENT_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_QUEUE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_STORE_SECONDS = (0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)
_MODEL = "(model)"
_UNKNOWN_MODEL = "(unknown)"
_HANDED_OVER = "handed_over"
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_MOST_MODELS = 200
_LONGEST_MODEL = 100


class RuntimeMetrics(RunObserver):
    """The metrics of one runtime. A run is counted when it starts and when it ends, never per event.

    Raises:
        MissingExtraError: The extra ``metrics`` is not installed.
    """

    def __init__(self) -> None:
        with optional("Prometheus metrics", "metrics"):
            import prometheus_client
        self._client = prometheus_client
        self._registry = prometheus_client.CollectorRegistry()
        self._models = {OTHER_MODELS}
        self._declare_runs()
        self._declare_tokens()
        self._declare_service()

    def _declare_runs(self) -> None:
        self._runs = self._counter("runs", "Runs that ended.", "agent", "outcome")
        self._abandoned = self._counter(
            "runs_abandoned", "Runs that ended without their agent, which ignored that it was cancelled.", "agent"
        )
        self._active = self._gauge("active_runs", "Runs that go on.", "agent")
        self._seconds = self._histogram("run_duration_seconds", "How long runs took.", _RUN_SECONDS, "agent")
        self._first = self._histogram(
            "run_first_event_duration_seconds",
            "From a run's start until its agent's first event was read.",
            _FIRST_EVENT_SECONDS,
            "agent",
        )

        self._queued = self._histogram(
            "run_queue_duration_seconds", "How long runs waited for a worker.", _QUEUE_SECONDS, "queue"
        )

    def _declare_tokens(self) -> None:
        self._pieces = self._counter("pieces", "Pieces of text and arguments that agents sent.", "agent")
        self._tokens = self._counter("tokens", "Tokens that vendors reported.", "agent", "model", "type")
        self._cached = self._counter("cached_tokens", "Input tokens that were read from a cache.", "agent", "model")
        self._reasoning = self._counter("reasoning_tokens", "Output tokens that were reasoning.", "agent", "model")
        self._calls = self._counter("model_calls", "Model calls whose tokens were reported.", "agent", "model")

    def _declare_service(self) -> None:
        self._streams = self._gauge("active_streams", "Answers that are being streamed.")
        self._requests = self._counter("http_requests", "Requests that were answered.", "method", "status")
        self._refused = self._counter("requests_refused", "Requests refused.", "status")
        self._store = self._histogram(
            "store_operation_duration_seconds", "How long the state store took.", _STORE_SECONDS, "operation"
        )
        self._store_failures = self._counter(
            "store_failures", "Operations that the state store did not answer.", "operation"
        )
        self._blocked = self._counter("event_loop_blocked", "How often a task blocked the event loop.")
        build: Any = self._client.Gauge
        labels = ["version", "contract_version", "python_version"]
        info = build(
            "copilotkit_build_info", "What is running.", labels, registry=self._registry, multiprocess_mode="max"
        )
        info.labels(runtime_version(), EMULATED_VERSION, platform.python_version()).set(1)

    def _counter(self, name: str, help_: str, *labels: str) -> Any:
        return self._client.Counter(f"copilotkit_{name}", help_, labels, registry=self._registry)

    def _gauge(self, name: str, help_: str, *labels: str) -> Any:
        gauge: Any = self._client.Gauge
        return gauge(f"copilotkit_{name}", help_, labels, registry=self._registry, multiprocess_mode="livesum")

    def _histogram(self, name: str, help_: str, buckets: tuple[float, ...], *labels: str) -> Any:
        histogram: Any = self._client.Histogram
        return histogram(f"copilotkit_{name}", help_, labels, buckets=buckets, registry=self._registry)

    @override
    @contextmanager
    def starting(self, run: Run) -> Iterator[None]:
        self._active.labels(_agent(run)).inc()
        yield

    @override
    def on_first_event(self, run: Run) -> None:
        self._first.labels(_agent(run)).observe(monotonic() - run.started_at)

    @override
    def abandoned(self, run: Run) -> None:
        self._abandoned.labels(_agent(run)).inc()

    @override
    def waited(self, queue: str, seconds: float) -> None:
        self._queued.labels(queue).observe(seconds)

    @override
    def ended(self, run: Run) -> None:
        agent = _agent(run)
        self._active.labels(agent).dec()
        if isinstance(run.error, RunHandedOverError):
            # The process that goes on with the run counts all of it.
            self._runs.labels(agent, _HANDED_OVER).inc()
            return
        self._runs.labels(agent, run.status.value).inc()
        self._seconds.labels(agent).observe(monotonic() - run.started_at)
        self._pieces.labels(agent).inc(run.log.pieces)
        for model, usage in run.transcript.usage.models.items():
            self._spent(agent, self._model(model), usage)

    def _spent(self, agent: str, model: str, usage: TokenUsage) -> None:
        self._calls.labels(agent, model).inc(usage.calls)
        self._tokens.labels(agent, model, "input").inc(usage.input)
        self._tokens.labels(agent, model, "output").inc(usage.output)
        self._cached.labels(agent, model).inc(usage.cached)
        self._reasoning.labels(agent, model).inc(usage.reasoning)

    def _model(self, name: str) -> str:
        """Return a model's name as a label. Clients may choose models, and must not make any number of series."""
        label = name[:_LONGEST_MODEL] or _UNKNOWN_MODEL
        if label not in self._models and len(self._models) > _MOST_MODELS:
            return OTHER_MODELS
        self._models.add(label)
        return label

    def streaming(self) -> AbstractContextManager[object]:
        """Count an answer that is streamed in the block."""
        context: AbstractContextManager[object] = self._streams.track_inprogress()
        return context

    def answered(self, method: str, status: int) -> None:
        """Count a request that was answered; its status is 0 if the client left before."""
        self._requests.labels(method if method in _METHODS else "other", str(status)).inc()

    def refused(self, status: int) -> None:
        """Count a request that was refused."""
        self._refused.labels(str(status)).inc()

    def blocked(self) -> None:
        """Count a task that blocked the event loop. It may be called from any thread."""
        self._blocked.inc()

    @contextmanager
    def store(self, operation: str) -> Iterator[None]:
        """Time an operation of the store in the block."""
        with self._store.labels(operation).time():
            try:
                yield
            except StoreUnavailableError:
                self.store_failed(operation)
                raise

    def store_failed(self, operation: str) -> None:
        """Count an operation that the store did not answer."""
        self._store_failures.labels(operation).inc()

    def page(self) -> tuple[bytes, str]:
        """Return all metrics as Prometheus reads them, and their content type; of all workers if there are several."""
        registry = self._client.CollectorRegistry()
        register_process(registry)
        if MULTIPROCESS_VARIABLE in os.environ:
            from prometheus_client import multiprocess

            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        else:
            registry.register(self._registry)
        return self._client.generate_latest(registry), self._client.CONTENT_TYPE_LATEST


def _agent(run: Run) -> str:
    return run.agent_name or _MODEL
