"""One run of an agent or model: a task of its own, with a deadline, one reader and one terminal status."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, nullcontext
from enum import Enum
from time import monotonic
from typing import Any, TypeAlias

import structlog

from .. import events
from ..context import RunContext, RunInput
from ..errors import GUARDRAILS_FAILED, CopilotKitError, GuardrailsDeniedError, RunTimeoutError, to_public_error
from ..messages import now
from ..provider import AgentProvider
from .foreign_events import converted
from .log import EventPipe
from .observer import RunObserver
from .stages import Emit, Flow, StageFactory
from .transcript import Transcript
from .verifier import EventVerifier, ForeignEventError

log = structlog.get_logger(__name__)

PIPE_BOUND = 256
FINISH_GRACE_SECONDS = 5.0
CANCEL_GRACE_SECONDS = 5.0

_ENDINGS = frozenset((events.RunFinished, events.RunError))
"""What the run tells itself, when its outcome is stored."""


class RunStatus(Enum):
    """How a run stands, or ended."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


Prepare: TypeAlias = "Callable[[Run], Awaitable[Sequence[StageFactory]]]"


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
        observer: Told of the run's life.
        prepare: Awaited before the provider is asked; it may raise, to end the run, and returns the stages that the
            run's events have to pass.
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
        observer: RunObserver | None = None,
        prepare: Prepare | None = None,
    ) -> None:
        self.provider = provider
        self.agent_name = agent_name
        self.input = run
        self.context = context
        self.status = RunStatus.RUNNING
        self.error: CopilotKitError | None = None
        self.cause: Exception | None = None
        """What ``error`` stands for: what was raised."""
        self.transcript = Transcript()
        self.started_at = monotonic()
        self.first_event_at: float | None = None
        self.resources = AsyncExitStack()
        """What the run holds until its outcome is stored."""
        self.provider_asked = False
        self.owns_thread = True
        """False once another run has the right to the thread."""
        self.asked_at = now()
        self._prepare = prepare
        self._observer = observer or RunObserver()
        self._stopped_by: CopilotKitError | None = None
        self._timeout = timeout
        self._on_end = on_end
        self._pipe = EventPipe(PIPE_BOUND)
        self._verifier = EventVerifier()
        self._told: events.RunFinished | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins the run, on the running loop."""
        with self._observer.starting(self):
            self._task = asyncio.create_task(self._execute(), name=f"run {self.input.run_id}")

    def arrival(self) -> asyncio.Future[None]:
        """Done once ``take`` has something to give, or the run has ended."""
        return self._pipe.arrival()

    def take(self) -> list[events.Event]:
        """The events since the last call; none, after an arrival, once the run has ended."""
        batch = self._pipe.take()
        if self.first_event_at is None and batch and type(batch[-1]) is not events.RunStarted:
            self.first_event_at = monotonic()
            self._observer.on_first_event(self)
        return batch

    async def read(self) -> list[events.Event]:
        """Waits for events and takes them: at least one; an empty list once the run has ended."""
        await self._pipe.arrival()
        return self.take()

    def leave(self) -> None:
        """Says that nobody will read any further, and lets the run go on."""
        self._pipe.abandon()

    async def cancel(self) -> None:
        """Stops the run if it still goes on, and waits until it has let go of the provider."""
        self._pipe.abandon()
        await self._interrupt()

    async def stop(self, error: CopilotKitError) -> None:
        """Ends the run with ``error`` if it still goes on; its reader is told."""
        self._stopped_by = error
        await self._interrupt()

    def fail(self, error: CopilotKitError) -> None:
        """As ``stop``, without waiting for it: for what works beside the run's own task."""
        if self._task is not None and self.status is RunStatus.RUNNING:
            self._stopped_by = error
            self._task.cancel()

    async def _interrupt(self) -> None:
        if self._task is None or self._task.done():
            return
        if self.status is RunStatus.RUNNING:
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
            await self._perform()
            await self._conclude(RunStatus.FINISHED, self._finished())
        except asyncio.CancelledError as error:
            if self._stopped_by is None and self._is_told_to_end():
                await self._conclude(RunStatus.CANCELLED)
                raise
            await self._conclude(RunStatus.FAILED, self._failed(self._stopped_by or _gave_up(error)))
        except Exception as error:  # noqa: BLE001 - whatever a provider raises ends its run, not the server
            await self._conclude(RunStatus.FAILED, self._failed(error))
        finally:
            self._pipe.close()

    def _is_told_to_end(self) -> bool:
        return self._task is None or self._task.cancelling() > 0

    async def _perform(self) -> None:
        try:
            async with asyncio.timeout(self._timeout) as limit:
                stages = () if self._prepare is None else await self._prepare(self)
                self.provider_asked = True
                with self._observer.providing(self):
                    await self._consume(Flow(stages, self._deliver) if stages else None)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise RunTimeoutError(self._timeout) from error

    async def _consume(self, flow: Flow | None) -> None:
        if flow is None:
            await self._read_provider(None)
            await self._close_what_is_open(self._deliver)
            return
        try:
            await self._feed(flow)
            await flow.finish()
        finally:
            await flow.close()

    async def _feed(self, flow: Flow) -> None:
        try:
            await self._read_provider(flow)
            await self._close_what_is_open(flow.feed)
        except Exception:
            # What was called is answered, even if the provider failed.
            await flow.finish()
            raise

    async def _read_provider(self, flow: Flow | None) -> None:
        stream = self.provider.execute_run(self.agent_name, self.input, self.context)
        try:
            async with asyncio.timeout(None) as grace, _closing(stream):
                items = aiter(stream)
                try:
                    await self._follow(items, flow, grace)
                except ForeignEventError as foreign:
                    async with aclosing(converted(foreign.item, items, self.provider.name)) as events_:
                        await self._follow(events_, flow, grace)
        except TimeoutError:
            if not grace.expired():
                raise

    async def _follow(self, items: AsyncIterator[events.Event], flow: Flow | None, grace: asyncio.Timeout) -> None:
        check, record, offer = self._verifier.check, self.transcript.record, self._pipe.offer
        async for event in items:
            kind = type(event)
            if kind is events.RunStarted:
                self._told_start(grace)
                continue
            check(event)
            if kind in _ENDINGS:
                self._told_end(event, grace)
                continue
            if flow is not None:
                await flow.feed(event)
                continue
            record(event)
            if not offer(event):
                await self._pipe.put(event)

    async def _close_what_is_open(self, feed: Emit) -> None:
        for event in self._verifier.closing():
            await feed(event)

    async def _deliver(self, event: events.Event) -> None:
        self.transcript.record(event)
        if not self._pipe.offer(event):
            await self._pipe.put(event)

    def _told_start(self, grace: asyncio.Timeout) -> None:
        """Goes on where one run follows another in the provider's stream, as AG-UI allows."""
        if self._told is not None:
            self._told = None
            self._verifier.begin_again()
            grace.reschedule(None)

    def _told_end(self, event: Any, grace: asyncio.Timeout) -> None:
        if isinstance(event, events.RunError):
            raise _told_error(event)
        self._told = event
        grace.reschedule(asyncio.get_running_loop().time() + FINISH_GRACE_SECONDS)

    def _finished(self) -> list[events.Event]:
        result = self._told.result if self._told is not None else None
        return [events.RunFinished(thread_id=self.input.thread_id, run_id=self.input.run_id, result=result)]

    def _failed(self, error: Exception) -> list[events.Event]:
        self.cause, self.error = error, to_public_error(error)
        if self.error is error:
            log.warning("run_failed", code=str(self.error.code), error=self.error.message, **self._log_fields())
        else:
            log.error("run_failed", exc_info=error, **self._log_fields(), **self.error.more)
        code = GUARDRAILS_FAILED if isinstance(self.error, GuardrailsDeniedError) else str(self.error.code)
        return [events.RunError(message=self.error.message, code=code, details=self.error.details)]

    async def _conclude(self, status: RunStatus, ending: list[events.Event] | None = None) -> None:
        self.status = status
        self._observer.ended(self)
        await self._on_end(self)
        await self.resources.aclose()
        for event in ending or ():
            self._pipe.force(event)

    def _log_fields(self) -> dict[str, Any]:
        return {"thread_id": self.input.thread_id, "run_id": self.input.run_id, "agent": self.agent_name}


def _closing(stream: AsyncIterator[events.Event]) -> AbstractAsyncContextManager[Any]:
    return aclosing(stream) if hasattr(stream, "aclose") else nullcontext()


def _gave_up(error: asyncio.CancelledError) -> RuntimeError:
    # What a provider awaited was cancelled, by its framework or itself: nobody asked the run to end.
    failure = RuntimeError("what the provider waited for was cancelled")
    failure.__cause__ = error
    return failure


def _told_error(event: events.RunError) -> CopilotKitError:
    return CopilotKitError(event.message, extensions={"agentCode": event.code} if event.code else None)
