"""Reports of one request to hooks, from its arrival to its end."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ..context import RunInput
from ..errors import GuardrailsDeniedError
from ..messages import Message, TextMessage
from ..request import RunRequest
from ..runs.run import Run, RunStatus
from ..runs.stages import StageFactory
from .calls import HookCalls
from .interface import (
    AfterRequest,
    AgentFacts,
    BeforeRequest,
    ErrorContext,
    ErrorEvent,
    Hook,
    Hooks,
    ObservedError,
    ObservedRequest,
    ObservedResponse,
    RequestFacts,
    ResponseFacts,
    Stopped,
    TechnicalFacts,
)
from .responses import ChunkStage, ResponseFeed

T = TypeVar("T")


class RequestReport:
    """Calls the hooks of one request.

    Args:
        hooks: The hooks.
        calls: Calls them.
        request: The request.
        environment: Where the runtime works: ``development`` or ``production``.
        began: When the request came, as a time stamp; None for now.
    """

    __slots__ = (
        "_asked",
        "_began",
        "_calls",
        "_environment",
        "_feed",
        "_hooks",
        "_input",
        "_observability",
        "_request",
        "provider",
    )

    def __init__(
        self, hooks: Hooks, calls: HookCalls, request: RunRequest, *, environment: str, began: float | None = None
    ) -> None:
        self._hooks = hooks
        self._observability = hooks.observability
        self._calls = calls
        self._request = request
        self._input = request.input
        self._asked = list(request.input.messages)
        self.provider = ""
        """The name of the provider that is asked, once it is known."""
        self._environment = environment
        self._began = time.time() if began is None else began
        on_response = self._observability.on_response
        self._feed = ResponseFeed(calls, on_response) if on_response is not None else None

    async def before_request(self) -> None:
        """Let the hook decide whether the request may go on.

        Raises:
            Exception: Whatever the hook refuses with.
        """
        if self._hooks.on_before_request is not None:
            report = BeforeRequest(**self._whose(), **self._context(), input_messages=self._asked)
            await self._calls.call(self._hooks.on_before_request, report)

    async def on_request(self, run_input: RunInput) -> None:
        """Call the hook for requests: the provider is about to be called with ``run_input``."""
        if self._observability.on_request is not None:
            report = ObservedRequest(
                **self._whose(),
                **self._observed(),
                messages=list(run_input.messages),
                actions=list(run_input.tools),
                forwarded_parameters=run_input.forwarded,
            )
            await self._calls.notify(self._observability.on_request, report)

    def stages(self) -> list[StageFactory]:
        """Return what a run needs for its chunks to be reported."""
        if self._feed is None or not self._observability.progressive:
            return []
        return [lambda emit: ChunkStage(emit, self._respond)]

    def ended(self, run: Run) -> None:
        """Report how the run ended."""
        if isinstance(run.error, GuardrailsDeniedError):
            self._after([TextMessage(role="assistant", content=run.error.message)])
        elif run.cause is not None:
            self.failed(run.cause)
        else:
            self._answered(run)
        self.close()

    def close(self) -> None:
        """Report nothing more of the run's response."""
        if self._feed is not None:
            self._feed.close()

    def failed(self, error: Exception) -> None:
        """Report an error that ended the request."""
        self._later(self._hooks.on_error, lambda: self._error_event(error))
        self._later(
            self._observability.on_error,
            lambda: ObservedError(**self._whose(), **self._observed(), latency=self._latency(), error=error),
        )

    def stopped(self) -> None:
        """Report that the client left too early."""
        last = self._asked[-1] if self._asked else None
        context = self._request.context
        self._later(
            self._hooks.on_stop,
            lambda: Stopped(**self._whose(), last_message=last, url=context.url, identity=context.identity),
        )

    def _answered(self, run: Run) -> None:
        if self._feed is not None:
            self._respond(run.transcript.messages(), is_final=True)
        if run.status is RunStatus.FINISHED:
            self._after(run.transcript.messages())

    def _after(self, output: Sequence[Message]) -> None:
        self._later(
            self._hooks.on_after_request,
            lambda: AfterRequest(
                **self._whose(), **self._context(), input_messages=self._asked, output_messages=output
            ),
        )

    def _respond(self, output: Sequence[Message] | str, *, is_final: bool = False) -> None:
        # Without the functions that other reports are made of: each chunk of a run passes here.
        if self._feed is None:
            return
        asked, now = self._input, time.time()
        response = ObservedResponse(
            thread_id=asked.thread_id,
            run_id=asked.run_id,
            agent_name=self._request.agent_name,
            node_name=asked.node_name,
            timestamp=int(now * 1000),
            provider=self.provider,
            model=asked.forwarded.model,
            latency=int((now - self._began) * 1000),
            output=output,
            is_progressive_chunk=not is_final,
            is_final_response=is_final,
        )
        self._feed.put(response)

    def _later(self, hook: Hook[T] | None, report: Callable[[], T]) -> None:
        if hook is not None:
            self._calls.notify_later(hook, report())

    def _whose(self) -> dict[str, Any]:
        return {
            "thread_id": self._input.thread_id,
            "run_id": self._input.run_id,
            "agent_name": self._request.agent_name,
            "node_name": self._input.node_name,
        }

    def _context(self) -> dict[str, Any]:
        context = self._request.context
        return {"properties": context.properties, "url": context.url, "identity": context.identity}

    def _observed(self) -> dict[str, Any]:
        model = self._input.forwarded.model
        return {"timestamp": _milliseconds(time.time()), "provider": self.provider, "model": model}

    def _latency(self) -> int:
        return _milliseconds(time.time() - self._began)

    def _error_event(self, error: BaseException) -> ErrorEvent:
        name = self._request.agent_name
        operation = "processRuntimeRequest" if name is None else "processAgentRequest"
        began = _milliseconds(self._began)
        context = ErrorContext(
            thread_id=self._input.thread_id,
            run_id=self._input.run_id,
            source="runtime" if name is None else "agent",
            request=RequestFacts(operation=operation, method="POST", start_time=began, url=self._request.context.url),
            response=ResponseFacts(end_time=_milliseconds(time.time()), latency=self._latency()),
            agent=None if name is None else AgentFacts(name=name, node_name=self._input.node_name),
            technical=TechnicalFacts(
                environment=self._environment, stack_trace="".join(traceback.format_exception(error))
            ),
        )
        return ErrorEvent(type="error", timestamp=_milliseconds(time.time()), context=context, error=error)


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
