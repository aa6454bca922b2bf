"""Metrics, traces and logs of a runtime; disabled ones add no cost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

from ..config import RuntimeConfig
from ..runs.observer import Observers
from ..stores.interface import StateStore
from .logs import RunLog
from .metrics import RuntimeMetrics
from .served_request import ServedRequest
from .store import ObservedStore
from .tracing import RunTracer


class Instruments:
    """The log, metrics and traces that the settings ask for.

    Args:
        config: The settings.

    Raises:
        MissingExtraError: What they ask for is not installed.
    """

    def __init__(self, config: RuntimeConfig) -> None:
        self.metrics = RuntimeMetrics() if config.metrics else None
        self._tracer = RunTracer() if config.tracing else None

    def watch_runs(self, observers: Observers) -> None:
        """Register with those who watch runs."""
        for observer in (self._tracer, RunLog(), self.metrics):
            if observer is not None:
                observers.add(observer)

    def watch_store(self, store: StateStore) -> StateStore:
        """Return the store, observed if metrics or traces are on."""
        if self.metrics is None and self._tracer is None:
            return store
        return ObservedStore(store, self._store_operation)

    def request(self, served: ServedRequest) -> AbstractContextManager[object]:
        """Watch the handling of a request in the block."""
        if self.metrics is None and self._tracer is None:
            return nullcontext()
        return self._watched(served)

    @contextmanager
    def _watched(self, served: ServedRequest) -> Iterator[None]:
        with self._tracer.request(served) if self._tracer is not None else nullcontext():
            try:
                yield
            finally:
                if self.metrics is not None:
                    self.metrics.answered(served.method, served.status)

    def streaming(self) -> AbstractContextManager[object]:
        """Watch the streaming of an answer in the block."""
        return self.metrics.streaming() if self.metrics is not None else nullcontext()

    def refused(self, status: int) -> None:
        """Note that a request was refused."""
        if self.metrics is not None:
            self.metrics.refused(status)

    def store_failed(self) -> None:
        """Note that the store did not answer a probe, which is all that it gets once no requests come here for that."""
        if self.metrics is not None:
            self.metrics.store_failed("health")

    def blocked(self) -> None:
        """Note that a task blocked the event loop; called from a thread."""
        if self.metrics is not None:
            self.metrics.blocked()

    async def close(self) -> None:
        """Clean up; called once, after the last run."""
        if self._tracer is not None:
            await asyncio.to_thread(self._tracer.close)

    @contextmanager
    def _store_operation(self, operation: str) -> Iterator[None]:
        with ExitStack() as stack:
            if self.metrics is not None:
                stack.enter_context(self.metrics.store(operation))
            if self._tracer is not None:
                stack.enter_context(self._tracer.store(operation))
            yield
