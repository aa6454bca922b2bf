"""Records a run's tool calls and model calls as spans, from the events that report them."""

from __future__ import annotations

import re
from collections.abc import Callable
from time import time_ns
from typing import Any

from typing_extensions import override

from .. import events
from ..runs.stages import Emit, Stage
from ..runs.usage import TokenUsage
from .span_attributes import Attributes, chat_attributes, tool_attributes

_FAILURE = re.compile(r'\{"error":\{"code":"(\w{1,100})"')
"""How the result of a failed server-side action begins (``actions.results.error_result``)."""


class SpanStage(Stage):
    """Passes all events on; there is one only while traces are on.

    A tool's span goes from the end of its call to its result; calls that the client answers have none. A model call's
    goes from where the model could begin, at the start or behind the last result, to the report of its tokens.

    Args:
        emit: Where events go on to.
        tracer: Makes the spans, as children of the one that is current now.
        provider: The provider's name.
    """

    def __init__(self, emit: Emit, tracer: Any, provider: str) -> None:
        from opentelemetry import context

        super().__init__(emit)
        self._tracer = tracer
        self._provider = provider
        self._parent = context.get_current()
        self._names: dict[str, str] = {}
        self._called: dict[str, int] = {}
        self._since = time_ns()
        self._followers: dict[type, Callable[[Any], None]] = {
            events.ToolCallStart: self._start,
            events.ToolCallEnd: self._end,
            events.ToolCallResult: self._result,
            events.RunUsage: self._usage,
        }

    @override
    async def feed(self, event: events.Event) -> None:
        """Take the next event."""
        follower = self._followers.get(type(event))
        if follower is not None:
            follower(event)
        await self.emit(event)

    def _start(self, event: events.ToolCallStart) -> None:
        self._names[event.tool_call_id] = event.tool_call_name

    def _end(self, event: events.ToolCallEnd) -> None:
        if not event.broken:
            self._called[event.tool_call_id] = time_ns()

    def _result(self, event: events.ToolCallResult) -> None:
        id_ = event.tool_call_id
        name = self._names.pop(id_, None) or event.tool_call_name
        began = self._called.pop(id_, None)
        if name is not None and began is not None:
            span = self._record(f"execute_tool {name}", tool_attributes(name, id_), began, internal=True)
            self._mark_failure(span, event.content)
            span.end()
        self._since = time_ns()

    def _usage(self, event: events.RunUsage) -> None:
        usage = TokenUsage()
        usage.add(event)
        name = f"chat {event.model}" if event.model else "chat"
        self._record(name, chat_attributes(self._provider, event.model, usage), self._since, internal=False).end()
        self._since = time_ns()

    def _record(self, name: str, attributes: Attributes, began: int, *, internal: bool) -> Any:
        from opentelemetry.trace import SpanKind

        kind = SpanKind.INTERNAL if internal else SpanKind.CLIENT
        return self._tracer.start_span(name, context=self._parent, kind=kind, attributes=attributes, start_time=began)

    def _mark_failure(self, span: Any, content: str) -> None:
        from opentelemetry.trace import StatusCode

        failure = _FAILURE.match(content)
        if failure is not None:
            span.set_attribute("error.type", failure[1])
            span.set_status(StatusCode.ERROR)
