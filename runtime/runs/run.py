"""One run of an agent or model: a task of its own, with a deadline, one log and one terminal status."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import dataclass
from enum import Enum
from time import monotonic
from typing import Any, TypeAlias

import msgspec
import structlog

from .. import events
from ..context import RunContext, RunInput
from ..deadlines import Deadlines
from ..error_texts import missing_key, to_public_error
from ..errors import (
    GUARDRAILS_FAILED,
    AgentExitedError,
    CopilotKitError,
    GuardrailsDeniedError,
    MissingVariableError,
    ProtocolError,
    RunHandedOverError,
    RunTimeoutError,
    ThreadBusyError,
)
from ..media import messages_for
from ..messages import now
from ..own_code import own_part
from ..provider import AgentProvider
from ..signals import Signal
from .continuation import Continuation
from .fence import Fence
from .foreign_events import check_stream, converted
from .given_state import STATES, GivenState
from .log import RunLog, Subscription
from .observer import RunObserver
from .plain_text import PlainText, is_clean
from .sanitizer import EventSanitizer
from .stages import Emit, Flow, StageFactory
from .thread_lock import ThreadLock
from .transcript import Transcript
from .turn import BROKEN_OFF_RESULT
from .verifier import EventVerifier, ForeignEventError

log = structlog.get_logger(__name__)

LOG_BOUND = 256
"""By how many events the fastest reader may lag before the provider waits."""
FINISH_GRACE_SECONDS = 5.0
CANCEL_GRACE_SECONDS = 5.0
CANCEL_AGAIN_SECONDS = 0.6
"""When a run that goes on is cancelled again: early enough to end it within a second."""

_ENDINGS = frozenset((events.RunFinished, events.RunError))
"""What the run adds itself, when its outcome is stored; a provider's own are left out."""

_CODES: dict[type[CopilotKitError], str] = {
    GuardrailsDeniedError: GUARDRAILS_FAILED,
    ThreadBusyError: "THREAD_BUSY",
    RunHandedOverError: "RUN_HANDED_OVER",
}
"""The errors that clients know by a code of their own."""


class RunStatus(Enum):
    """How a run stands, or ended."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(kw_only=True, slots=True)
class PreparedRun:
    """What a run needs to call its provider: its input, the stages of its events, and its right to the thread."""

    input: RunInput
    stages: Sequence[StageFactory] = ()
    lock: ThreadLock | None = None
    client_tools: frozenset[str] = frozenset()
    """The tools whose results a later request brings."""

    async def release(self) -> None:
        """Give the thread to the next run."""
        if self.lock is not None:
            await self.lock.release()


Prepare: TypeAlias = Callable[[], Awaitable[PreparedRun]]


class Run:
    """Executes one run of a provider and keeps the rules of its event stream.

    The log begins with RunStarted and ends with exactly one RunFinished or RunError, whatever the provider does:
    raise, stop early, break the rules, or never end. A cancelled run ends with RunFinished.

    Args:
        provider: Who executes the run.
        agent_name: The provider's agent, or "" for a model.
        run: The run's input.
        context: The request's context.
        timeout: Seconds the run may take.
        deadlines: Ends it then, together with others of the same timeout; None for a timer of its own.
        on_end: Awaited with the run when its outcome is known and before its readers learn of it; it must not raise.
        observer: Informed of the run's life.
        prepare: Awaited before the provider is asked, with a function that ends the run with an error; it may raise,
            to end the run.
        ephemeral: Whether nothing of the run is kept.
        past: What another process has done of the run, if this one goes on with it.
        shows_errors: Whether clients see the class and the text of what the provider raises.
    """

    __slots__ = (  # a process has thousands of runs, and more than thirty attributes take a dict of their own
        "__weakref__",
        "_deadlines",
        "_fence",
        "_given_state",
        "_interruption",
        "_observer",
        "_on_end",
        "_over",
        "_past",
        "_prepare",
        "_prepared",
        "_reported_end",
        "_results",
        "_sanitizer",
        "_shown",
        "_shows_errors",
        "_stopped_by",
        "_task",
        "_timeout",
        "_verifier",
        "agent_name",
        "asked_at",
        "cause",
        "context",
        "ending",
        "ephemeral",
        "error",
        "first_event_at",
        "follows",
        "input",
        "log",
        "provider",
        "provider_asked",
        "started_at",
        "status",
        "trace",
        "transcript",
    )

    def __init__(
        self,
        provider: AgentProvider,
        agent_name: str,
        run: RunInput,
        context: RunContext,
        *,
        timeout: float,
        deadlines: Deadlines | None = None,
        on_end: Callable[[Run], Awaitable[None]],
        observer: RunObserver | None = None,
        prepare: Prepare | None = None,
        ephemeral: bool = False,
        past: Continuation | None = None,
        shows_errors: bool = False,
    ) -> None:
        self.provider = provider
        self.agent_name = agent_name
        self.input = run
        self.context = context
        self.ephemeral = ephemeral
        self.log = RunLog(LOG_BOUND)
        self.transcript = Transcript(self.log)
        self.status = RunStatus.RUNNING
        self.ending: events.RunFinished | events.RunError | None = None
        """The run's last event, once its outcome is known."""
        self.error: CopilotKitError | None = None
        self.cause: Exception | None = None
        """What was raised, for which ``error`` stands."""
        self.started_at = monotonic()
        self.first_event_at: float | None = None
        self.provider_asked = False
        self.trace: str | None = None
        """The run's span as a ``traceparent`` header, for those who join the run,"""
        self.follows: str | None = None
        """and that of the same run in the process that went before."""
        self.asked_at = now()
        self._shows_errors = shows_errors
        self._prepare = prepare
        self._prepared = PreparedRun(input=run)
        self._observer = observer or RunObserver()
        self._stopped_by: CopilotKitError | None = None
        self._timeout = timeout
        self._deadlines = deadlines or Deadlines(timeout)
        self._on_end = on_end
        self._verifier = EventVerifier()
        self._sanitizer = EventSanitizer()
        self._reported_end: events.RunFinished | None = None
        self._results: list[events.ToolCallResult] = []
        self._task: asyncio.Task[None] | None = None
        self._interruption: asyncio.Task[None] | None = None
        self._over = Signal()
        self._past = past
        self._shown = self._verifier if past is None else EventVerifier()
        """Tracks what is open in the log, where that is not what is open in the provider's stream."""
        self._fence = Fence(self._may_write, self.confirm_thread)
        if past is not None:
            self._restore(past)
        self._given_state = GivenState(run, begun=self.transcript.state is not None)

    def _restore(self, past: Continuation) -> None:
        self.log.restore(past.history, past.last)
        for event in past.history:
            self._shown.check(event)
            self.transcript.record(event)

    @property
    def owns_thread(self) -> bool:
        """Whether the run may still write to its thread: no other run has got the right to it."""
        return self._prepared.lock is None or not self._prepared.lock.lost

    def _may_write(self) -> bool:
        return self._prepared.lock is None or not self._prepared.lock.is_over

    async def confirm_thread(self) -> bool:
        """Look in the store whether the run still has the right to its thread.

        Raises:
            StoreError: The store does not answer.
        """
        return self._prepared.lock is None or await self._prepared.lock.confirm()

    def start(self) -> None:
        """Begin the run, on the running loop."""
        self._deadlines.add(self)
        with self._observer.starting(self):
            self._task = asyncio.create_task(self._execute(), name=f"run {self.input.run_id}")

    def subscribe(self, after: int = 0, *, attached: bool = True) -> Subscription:
        """Follow the run's log (``RunLog.subscribe``)."""
        return self.log.subscribe(after, attached=attached)

    async def cancel(self) -> None:
        """Stop the run if it still goes on, and wait until it has let go of the provider."""
        await self._interrupt()

    async def stop(self, error: CopilotKitError) -> None:
        """End the run with ``error`` if it still goes on."""
        self._stopped_by = error
        await self._interrupt()

    def fail(self, error: CopilotKitError) -> None:
        """As ``stop``, without waiting for it: for what works beside the run's own task."""
        if self._task is not None and self.status is RunStatus.RUNNING:
            self._stopped_by = error
            self._begin_interruption(self._task)

    async def _interrupt(self) -> None:
        if self._task is not None and not self._task.done():
            await asyncio.shield(self._begin_interruption(self._task))

    def _begin_interruption(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        # A task of its own, for whoever waits for it may be cancelled, and the run has to end all the same.
        if self._interruption is None or self._interruption.done():
            self._interruption = asyncio.create_task(self._cancel_until_ended(task), name="stop run")
        return self._interruption

    async def _cancel_until_ended(self, task: asyncio.Task[None]) -> None:
        deadline = monotonic() + CANCEL_GRACE_SECONDS
        # What an agent awaits may swallow a cancellation, so that one may not be enough.
        while self.status is RunStatus.RUNNING and monotonic() < deadline:
            task.cancel()
            await asyncio.wait([task], timeout=CANCEL_AGAIN_SECONDS)
        if self.status is RunStatus.RUNNING:
            await self._abandon()
        elif not task.done():
            await asyncio.wait([task], timeout=CANCEL_GRACE_SECONDS)
        if task.done():
            self._task = None  # what it was cancelled in knows the run

    async def _abandon(self) -> None:
        """End the run without its provider, which ignores that it has been cancelled."""
        self._fence.close()
        log.error("run_ignores_cancellation", **self._log_fields())
        self._observer.abandoned(self)
        await self._conclude(RunStatus.FAILED if self._stopped_by else RunStatus.CANCELLED, self._stopped_by)

    def end_overdue(self) -> None:
        """End the run with an error: it has taken longer than it may."""
        if self.status is RunStatus.RUNNING:
            self.fail(RunTimeoutError(self._timeout))

    async def leave_thread(self) -> None:
        """Give the thread, and all else that was held for the run, to the next one."""
        self._fence.close()
        await self._prepared.release()

    @property
    def is_over(self) -> bool:
        """Whether the run has ended: its outcome is stored, and its thread is free."""
        return self._over.is_set()

    async def join(self) -> None:
        """Wait until the run has ended: its outcome is stored, and its thread is free."""
        await self._over.wait()

    async def _execute(self) -> None:
        self._fence.enter()
        try:
            if self._past is None:
                self.log.force(events.RunStarted(thread_id=self.input.thread_id, run_id=self.input.run_id))
            await self._get_ready()
            await self._provide()
            await self._conclude(RunStatus.FINISHED)
        except asyncio.CancelledError as error:
            if self._stopped_by is None and self._is_cancelled():
                await self._conclude(RunStatus.CANCELLED)
                raise
            await self._conclude(RunStatus.FAILED, self._stopped_by or _gave_up(error))
        except SystemExit:
            await self._conclude(RunStatus.FAILED, AgentExitedError())
        except Exception as error:  # noqa: BLE001 - whatever a provider raises ends its run, not the server
            await self._conclude(RunStatus.FAILED, error)

    def _is_cancelled(self) -> bool:
        return self._task is None or self._task.cancelling() > 0

    async def _get_ready(self) -> None:
        prepare, self._prepare = self._prepare, None
        if prepare is not None:
            self._prepared = await prepare()
            self.input = self._prepared.input
        if not self.provider.keeps_state:
            self._sanitizer.ids.know(self.input.messages)

    async def _catch_up(self, past: Continuation, flow: Flow) -> None:
        for event in past.settle():
            await self._deliver(event)
        for event in past.unanswered():
            await flow.feed(event)

    async def _provide(self) -> None:
        # No call more than needed is left waiting here: each token resumes all of them.
        self.provider_asked = True
        stages, self._prepared.stages = self._prepared.stages, ()  # they know the run
        with self._observer.providing(self):
            flow = Flow(stages, self._deliver) if stages else None  # in the agent's span, as what they begin
            async with flow or nullcontext():
                if flow is not None and self._past is not None:
                    await self._catch_up(self._past, flow)
                stream = self._ask()
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
                await self._close_what_is_open(self._deliver if flow is None else flow.feed)

    def _ask(self) -> AsyncIterator[events.Event]:
        ask = self.provider.execute_run if self._past is None else self.provider.resume_run
        stream = ask(self.agent_name, self._provider_input(), self.context)
        check_stream(stream, self.provider.name)
        return stream

    async def _follow(self, items: AsyncIterator[events.Event], flow: Flow | None, grace: asyncio.Timeout) -> None:
        text, append = PlainText(self._sanitizer, flow), self.log.append_nowait
        plain = events.TextMessageContent
        async for item in items:
            if type(item) is plain and item.message_id == text.message_id:
                delta = item.delta
                if delta.isascii() or is_clean(delta):
                    if text.feed is not None:
                        await text.feed(item)
                        if text.asks_again:
                            text.follow(item)
                    elif not append(item):
                        await self.log.append(item)
                    continue
            text.follow(await self._take(item, self._deliver if flow is None else flow.feed, grace))

    async def _take(self, item: events.Event, feed: Emit, grace: asyncio.Timeout) -> events.Event:
        """Take an event the general way; return it as it was cleaned."""
        kind, sanitizer = type(item), self._sanitizer
        if kind is events.RunStarted:
            self._note_start(grace)
            return item
        event: events.Event = item if sanitizer.leaves(item) else sanitizer.clean(item)
        rest = sanitizer.closing(event) if sanitizer.sees_all else None
        if rest is not None:
            await feed(rest)
        self._verifier.check(event)
        before = self._given_state.before(event) if kind in STATES else None
        if before is not None:
            await feed(before)
        if kind in _ENDINGS:
            self._note_end(event, grace)
        else:
            await feed(event)
        return event

    def _provider_input(self) -> RunInput:
        """Return the input without what the provider cannot take.

        Raises:
            UnsupportedMediaError: The client has just attached something that the provider cannot take.
        """
        messages = messages_for(self.input.messages, self.provider.accepts(self.agent_name))
        if messages == self.input.messages:
            return self.input
        return msgspec.structs.replace(self.input, messages=messages)

    async def _close_what_is_open(self, feed: Emit) -> None:
        for event in self._verifier.closing():
            await feed(event)

    async def _deliver(self, event: events.Event) -> None:
        if self._past is not None:
            self._shown.check(event)
        try:
            self.transcript.record(event)
        except ProtocolError as error:
            if not self.input.builds_on_state:
                raise
            # AG-UI's clients go on with the state that they have.
            log.warning("state_change_left_out", agent=self.agent_name, run_id=self.input.run_id, reason=error.message)
            return
        if not self.log.append_nowait(event):
            await self.log.append(event)
        if self.first_event_at is None:
            self._note_first_event()

    def _note_first_event(self) -> None:
        self.first_event_at = monotonic()
        self._observer.on_first_event(self)

    def _note_start(self, grace: asyncio.Timeout) -> None:
        """Go on where one run follows another in the provider's stream, as AG-UI allows."""
        if self._reported_end is not None:
            self._reported_end = None
            self._verifier.begin_again()
            grace.reschedule(None)

    def _note_end(self, event: Any, grace: asyncio.Timeout) -> None:
        if isinstance(event, events.RunError):
            raise _reported_error(event)
        self._reported_end = event
        grace.reschedule(asyncio.get_running_loop().time() + FINISH_GRACE_SECONDS)

    def _finished(self) -> events.RunFinished:
        result = self._reported_end.result if self._reported_end is not None else None
        return events.RunFinished(thread_id=self.input.thread_id, run_id=self.input.run_id, result=result)

    def _failed(self, error: Exception) -> events.RunError:
        self.cause, self.error = error, to_public_error(error, shown=self._shows_errors)
        key = missing_key(error)
        if isinstance(error, RunHandedOverError):
            log.info("run_handed_over", **self._log_fields())
        elif self.error is error:
            log.warning("run_failed", code=str(self.error.code), error=self.error.message, **self._log_fields())
        elif key is not None:  # what is to do is in the first line, not in the last of a stack
            reason = MissingVariableError(key).message
            log.error("run_failed", reason=reason, error=str(error), **self._log_fields())
        else:
            stack = (type(error), error, own_part(error))
            log.error("run_failed", exc_info=stack, **self._log_fields())
        code = next((code for kind, code in _CODES.items() if isinstance(self.error, kind)), str(self.error.code))
        return events.RunError(message=self.error.message, code=code, details=self.error.details)

    async def _conclude(self, status: RunStatus, error: Exception | None = None) -> None:
        if self.status is not RunStatus.RUNNING:
            return  # the run was abandoned, and what it left behind has come to its end after all
        self.status = status
        self.ending = self._finished() if error is None else self._failed(error)
        if status is not RunStatus.FINISHED:
            self._answer_calls()
        if status is RunStatus.CANCELLED:
            self._break_off()
        try:
            await self._on_end(self)
            await self.leave_thread()
        finally:
            self._observer.ended(self)
            # The thread is free by now: clients send the next request as soon as they see the end.
            self.log.force(self._sanitizer.clean(self.ending))
            self.log.close()
            self._over.set()
            self._deadlines.remove(self)

    def not_stored(self, error: Exception) -> None:
        """Report the finished run as failed, for its messages are not stored: for ``on_end`` alone."""
        if self.status is RunStatus.FINISHED:
            self.status, self.ending = RunStatus.FAILED, self._failed(error)

    def _answer_calls(self) -> None:
        """Give each call a result that nobody else will give one: vendors refuse a thread with calls without."""
        if self.provider.keeps_state:
            return
        half = {event.tool_call_id for event in self._shown.closing() if isinstance(event, events.ToolCallEnd)}
        for call in self.transcript.unanswered():
            if call.id not in half and call.name in self._prepared.client_tools:
                continue
            result = events.ToolCallResult(tool_call_id=call.id, content=BROKEN_OFF_RESULT.format(self.status.value))
            self.transcript.record(result)
            if call.id not in half:  # whose broken end is enough
                self._results.append(result)

    def _break_off(self) -> None:
        """Close what the cancelled run left open, so that its log is a whole stream for whoever reads it later."""
        for event in self._shown.closing():
            if isinstance(event, events.TextMessageEnd | events.ToolCallEnd):
                event.broken = True
            self.log.force(event)
        for result in self._results:
            self.log.force(result)

    def _log_fields(self) -> dict[str, Any]:
        return {"thread_id": self.input.thread_id, "run_id": self.input.run_id, "agent": self.agent_name}


def _closing(stream: AsyncIterator[events.Event]) -> AbstractAsyncContextManager[Any]:
    return aclosing(stream) if hasattr(stream, "aclose") else nullcontext()


def _gave_up(error: asyncio.CancelledError) -> RuntimeError:
    # What a provider awaited was cancelled, by its framework or itself: nobody asked the run to end.
    failure = RuntimeError("what the provider waited for was cancelled")
    failure.__cause__ = error
    return failure


def _reported_error(event: events.RunError) -> CopilotKitError:
    return CopilotKitError(event.message, extensions={"agentCode": event.code} if event.code else None)
