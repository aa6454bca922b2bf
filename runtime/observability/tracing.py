"""OpenTelemetry: spans of requests, runs, agents, tools, model calls and the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from typing_extensions import override

from ..info import runtime_version
from ..optional import optional
from ..runs.observer import RunObserver
from ..runs.stages import StageFactory
from .served_request import ServedRequest
from .span_attributes import (
    Attributes,
    answer_attributes,
    invocation_attributes,
    invocation_name,
    is_failure,
    outcome_attributes,
    queue_attributes,
    run_attributes,
    server_attributes,
    server_name,
)
from .span_stage import SpanStage

if TYPE_CHECKING:
    from ..runs.run import Run

_SERVICE = "copilotkit-runtime"
_TRACEPARENT = "traceparent"


class RunTracer(RunObserver):
    """Records spans with the process's tracer provider, if it has one, else with one of its own.

    Its own exports over OTLP and HTTP, as the variables ``OTEL_*`` configure.

    Raises:
        MissingExtraError: The extra ``otel`` is not installed.
    """

    def __init__(self) -> None:
        with optional("OpenTelemetry traces", "otel"):
            from opentelemetry import context, propagate, trace
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        self._trace = trace
        self._context = context
        self._propagate = propagate
        self._traceparent = TraceContextTextMapPropagator()
        self._own: Any = None
        provider: Any = trace.get_tracer_provider()
        if isinstance(provider, trace.ProxyTracerProvider):
            provider = self._own = _exporting_provider()
        self._tracer = provider.get_tracer(_SERVICE, runtime_version())
        self._spans: WeakKeyDictionary[Run, Any] = WeakKeyDictionary()

    @contextmanager
    def request(self, served: ServedRequest) -> Iterator[None]:
        """Record a request, as a child of the span that its ``traceparent`` names.

        Runs that it starts are children of its span; to those that it joins, its span is linked.
        """
        if served.is_probe:
            yield
            return
        span = self._tracer.start_span(
            server_name(served),
            context=self._propagate.extract(served.headers),
            kind=self._trace.SpanKind.SERVER,
            attributes=server_attributes(served),
        )
        try:
            with self._trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield
        finally:
            self._end_request(span, served)

    def _end_request(self, span: Any, served: ServedRequest) -> None:
        for handle in served.joined:
            followed = self._span_context(handle.run.trace)
            if followed is not None:
                span.add_link(followed, {"copilotkit.run_id": handle.run_id})
        span.set_attributes(answer_attributes(served.status))
        if is_failure(served.status):
            span.set_status(self._trace.StatusCode.ERROR)
        span.end()

    @override
    @contextmanager
    def starting(self, run: Run) -> Iterator[None]:
        before = self._span_context(run.follows)
        links = [self._trace.Link(before)] if before is not None else []
        span = self._tracer.start_span("copilotkit.run", attributes=run_attributes(run), links=links)
        self._spans[run] = span
        with self._trace.use_span(span, end_on_exit=False):
            run.trace = self._written()
            yield

    @override
    @contextmanager
    def providing(self, run: Run) -> Iterator[None]:
        with self._span(invocation_name(run), invocation_attributes(run)) as span:
            try:
                yield
            except Exception as error:
                # The text of an agent's errors is not for everybody who sees traces; the log has it.
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(self._trace.StatusCode.ERROR)
                raise

    @override
    def stages(self, run: Run) -> Sequence[StageFactory]:
        return [partial(SpanStage, tracer=self._tracer, provider=run.provider.name)]

    @override
    def ended(self, run: Run) -> None:
        span = self._spans.pop(run)
        span.set_attributes(outcome_attributes(run))
        if run.error is not None:
            span.set_status(self._trace.StatusCode.ERROR, str(run.error.code))
        span.end()

    @override
    def handing_over(self, queue: str) -> AbstractContextManager[object]:
        return self._span(f"send {queue}", queue_attributes(queue), kind=self._trace.SpanKind.PRODUCER)

    @override
    def carrier(self) -> Mapping[str, str]:
        headers: dict[str, str] = {}
        self._propagate.inject(headers)
        return headers

    @override
    @contextmanager
    def carried(self, carrier: Mapping[str, str]) -> Iterator[None]:
        token = self._context.attach(self._propagate.extract(carrier))
        try:
            yield
        finally:
            self._context.detach(token)

    def store(self, operation: str) -> AbstractContextManager[object]:
        """Return a span for an operation of the store in the block."""
        return self._span("copilotkit.store", {"copilotkit.store.operation": operation})

    def close(self) -> None:
        """Send what has not been sent. It may block for some seconds."""
        if self._own is not None:
            self._own.shutdown()

    def _span(self, name: str, attributes: Attributes, **more: Any) -> AbstractContextManager[Any]:
        span: AbstractContextManager[Any] = self._tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False, **more
        )
        return span

    def _written(self) -> str | None:
        """Return the current span as a ``traceparent`` header."""
        carrier: dict[str, str] = {}
        self._traceparent.inject(carrier)
        return carrier.get(_TRACEPARENT)

    def _span_context(self, traceparent: str | None) -> Any:
        """Return the span that a ``traceparent`` header names, or None."""
        if traceparent is None:
            return None
        found = self._traceparent.extract({_TRACEPARENT: traceparent}, context=self._context.Context())
        context = self._trace.get_current_span(found).get_span_context()
        return context if context.is_valid else None


def _exporting_provider() -> Any:
    with optional("OpenTelemetry traces", "otel"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    resource = Resource({SERVICE_NAME: _SERVICE, SERVICE_VERSION: runtime_version()}).merge(Resource.create())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
