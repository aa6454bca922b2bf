"""One run of an agent or model: a task of its own, with a deadline, one reader and one terminal status."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from enum import Enum
from typing import Any

import structlog

from . import events
from .context import RunContext, RunInput
from .errors import CopilotKitError, RunTimeoutError, structured
from .pipe import EventPipe
from .provider import AgentProvider
from .transcript import Transcript
from .verifier import EventVerifier

log = structlog.get_logger(__name__)

PIPE_BOUND = 256
FINISH_GRACE_SECONDS = 5.0
CANCEL_GRACE_SECONDS = 5.0


class RunStatus(Enum):
    """How a run stands, or ended."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Run:
    """Executes one run of a provider and keeps the rules of its event stream.

    The stream begins with RunStarted and ends with exactly one RunFinished or RunError, whatever the provider does:
    raise, stop early, break the rules, or never end. A cancelled run has no reader any more, and no terminal event.

    Args:
        provider: Who executes the run.
        agent_name: The provider's agent, or "" for a model.
        run: The run's input.
        context: The request's context.
        timeout: Seconds the run may take.
        on_end: Awaited with the run when its outcome is known and before its reader is told; it must not raise.
    """

    def __init__(
        self,
        provider: AgentProvider,
        agent_name: str,
        run: RunInput,
        context: RunContext,
        *,
        timeout: float,
        on_end: Callable[[Run], Awaitable[None]],
    ) -> None:
        self.provider = provider
        self.agent_name = agent_name
        self.input = run
        self.context = context
        self.status = RunStatus.RUNNING
        self.error: CopilotKitError | None = None
        self.transcript = Transcript()
        self._timeout = timeout
        self._on_end = on_end
        self._pipe = EventPipe(PIPE_BOUND)
        self._verifier = EventVerifier()
        self._told: events.RunFinished | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins the run, on the running loop."""
        self._task = asyncio.create_task(self._execute(), name=f"run {self.input.run_id}")

    async def read(self) -> list[events.Event]:
        """The events since the last call, at least one; an empty list once the run has ended."""
        return await self._pipe.read()

    def leave(self) -> None:
        """Says that nobody will read any further, and lets the run go on."""
        self._pipe.abandon()

    async def cancel(self) -> None:
        """Stops the run if it still goes on, and waits until it has let go of the provider."""
        self._pipe.abandon()
        if self._task is None or self._task.done():
            return
        self._task.cancel()
        _, pending = await asyncio.wait([self._task], timeout=CANCEL_GRACE_SECONDS)
        if pending:
            log.error("run_ignores_cancellation", **self._log_fields())

    async def join(self) -> None:
        """Waits until the run has ended."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _execute(self) -> None:
        try:
            self._pipe.force(events.RunStarted(thread_id=self.input.thread_id, run_id=self.input.run_id))
            await self._consume()
            await self._conclude(RunStatus.FINISHED, self._finished())
        except asyncio.CancelledError:
            await self._conclude(RunStatus.CANCELLED)
            raise
        except Exception as error:  # noqa: BLE001 - whatever a provider raises ends its run, not the server
            await self._conclude(RunStatus.FAILED, self._failed(error))
        finally:
            self._pipe.close()

    async def _consume(self) -> None:
        stream = self.provider.execute_run(self.agent_name, self.input, self.context)
        try:
            async with asyncio.timeout(self._timeout) as limit, _closing(stream):
                async for event in stream:
                    if not self._take(event, limit):
                        continue
                    if not self._pipe.offer(event):
                        await self._pipe.put(event)
        except TimeoutError as error:
            if not limit.expired():
                raise
            if self._told is None:
                raise RunTimeoutError(self._timeout) from error

    def _take(self, event: events.Event, limit: asyncio.Timeout) -> bool:
        """Admits an event; true if the reader is to see it now, false if the run tells it itself."""
        kind = type(event)
        if kind is events.RunStarted:
            return False
        self._verifier.check(event)
        if kind is events.RunFinished:
            self._told = event  # type: ignore[assignment]  # narrowed by its exact type, which is cheaper
            limit.reschedule(asyncio.get_running_loop().time() + FINISH_GRACE_SECONDS)
            return False
        if kind is events.RunError:
            raise _told_error(event)  # type: ignore[arg-type]
        self.transcript.record(event)
        return True

    def _finished(self) -> list[events.Event]:
        closing = self._verifier.closing()
        result = self._told.result if self._told is not None else None
        return [
            *closing,
            events.RunFinished(thread_id=self.input.thread_id, run_id=self.input.run_id, result=result),
        ]

    def _failed(self, error: Exception) -> list[events.Event]:
        self.error = structured(error)
        if self.error is error:
            log.warning("run_failed", code=str(self.error.code), error=self.error.message, **self._log_fields())
        else:
            log.error("run_failed", exc_info=error, **self._log_fields(), **self.error.more)
        return [events.RunError(message=self.error.message, code=str(self.error.code), details=self.error.details)]

    async def _conclude(self, status: RunStatus, ending: list[events.Event] | None = None) -> None:
        self.status = status
        await self._on_end(self)
        for event in ending or ():
            self._pipe.force(event)

    def _log_fields(self) -> dict[str, Any]:
        return {"thread_id": self.input.thread_id, "run_id": self.input.run_id, "agent": self.agent_name}


def _closing(stream: AsyncIterator[events.Event]) -> AbstractAsyncContextManager[Any]:
    return aclosing(stream) if hasattr(stream, "aclose") else nullcontext()  # type: ignore[type-var]


def _told_error(event: events.RunError) -> CopilotKitError:
    return CopilotKitError(event.message, extensions={"agentCode": event.code} if event.code else None)
