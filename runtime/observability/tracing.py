"""OpenTelemetry: a span for each run, with children for its provider and the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from typing_extensions import override

from ..info import runtime_version
from ..optional import optional
from ..runs.observer import RunObserver
from .served_request import ServedRequest

if TYPE_CHECKING:
    from ..runs.run import Run

_SERVICE = "copilotkit-runtime"


class RunTracer(RunObserver):
    """Records spans with the process's tracer provider, if it has one, else with one of its own.

    Its own exports over OTLP and HTTP, as the variables ``OTEL_*`` say.

    Raises:
        MissingExtraError: The extra ``otel`` is not installed.
    """

    def __init__(self) -> None:
        with optional("OpenTelemetry traces", "otel"):
            from opentelemetry import context, propagate, trace
        self._trace = trace
        self._context = context
        self._propagate = propagate
        self._own: Any = None
        provider: Any = trace.get_tracer_provider()
        if isinstance(provider, trace.ProxyTracerProvider):
            provider = self._own = _exporting_provider()
        self._tracer = provider.get_tracer(_SERVICE, runtime_version())
        self._spans: WeakKeyDictionary[Run, Any] = WeakKeyDictionary()

    @contextmanager
    def request(self, served: ServedRequest) -> Iterator[None]:
        """Spans that begin in the block are children of the one that the request's ``traceparent`` names."""
        token = self._context.attach(self._propagate.extract(served.headers))
        try:
            yield
        finally:
            self._context.detach(token)

    @override
    @contextmanager
    def starting(self, run: Run) -> Iterator[None]:
        attributes = {
            "copilotkit.thread_id": run.input.thread_id,
            "copilotkit.run_id": run.input.run_id,
            "copilotkit.agent": run.agent_name,
        }
        if run.context.identity is not None:
            attributes["enduser.id"] = run.context.identity
        span = self._tracer.start_span("copilotkit.run", attributes=attributes)
        self._spans[run] = span
        with self._trace.use_span(span, end_on_exit=False):
            yield

    @override
    def providing(self, run: Run) -> AbstractContextManager[object]:
        attributes = {"copilotkit.provider": run.provider.name}
        # What an agent's errors say is not for everybody who sees traces; the log has it.
        return self._span("copilotkit.provider", attributes)

    @override
    def ended(self, run: Run) -> None:
        span = self._spans.pop(run)
        span.set_attribute("copilotkit.outcome", run.status.value)
        span.set_attribute("copilotkit.tokens", run.transcript.pieces)
        if run.error is not None:
            span.set_status(self._trace.StatusCode.ERROR, str(run.error.code))
        span.end()

    def store(self, operation: str) -> AbstractContextManager[object]:
        """Return a span for an operation of the store in the block."""
        return self._span("copilotkit.store", {"copilotkit.store.operation": operation})

    def close(self) -> None:
        """Send what has not been sent. It may block for some seconds."""
        if self._own is not None:
            self._own.shutdown()

    def _span(self, name: str, attributes: dict[str, str]) -> AbstractContextManager[object]:
        span: AbstractContextManager[object] = self._tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        )
        return span


def _exporting_provider() -> Any:
    with optional("OpenTelemetry traces", "otel"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    resource = Resource({SERVICE_NAME: _SERVICE}).merge(Resource.create())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
