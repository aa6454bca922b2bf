"""Streams of events to clients: headers at once, comments when nothing happens, and an end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import structlog

from ...runtime.cancellation import end_tasks
from ...runtime.error_texts import to_public_error
from ...runtime.events import Event, RunError
from ...runtime.patience import noticing
from ...runtime.runs.log import Lagged, Push
from ..http.batching import Batching
from ..http.exchange import Exchange
from ..http.keep_alive import KeepAliveClock, SilentStream
from ..http.refusal import Refusal
from ..http.streaming import direct_write
from .frames import KEEP_ALIVE, STREAM_HEADERS, frame
from .gate import Gate
from .started_run import StartedRun
from .text_continuation import TextContinuation

STALL_SECONDS = 5.0
"""How long a client that reads nothing may hold up the run that it has started."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Source(Protocol):
    """A reader's place in a run's log."""

    def arrival(self, push: Push | None = None) -> asyncio.Future[None]:
        """Return a future that is done once there is something to take, or the log has ended.

        Where events are appended in this process, they are first offered to ``push``.
        """

    def take(self) -> Sequence[Event]:
        """Return the events since the last call; none once the log has been read to its end.

        Raises:
            Lagged: What follows is no longer kept one by one: call ``catch_up``.
        """

    async def catch_up(self) -> None:
        """Read the log from its beginning; ``take`` leaves out what has been taken before.

        Raises:
            Lagged: The reader paces the run, and cannot have been left behind.
        """


class EventStream(SilentStream):
    """Writes events to one client, in a block that is the stream; what fails there is written as an error.

    A class, and not a generator, which would be kept, and resumed, for as long as the stream is open.

    Args:
        exchange: The request's way back.
        clock: Decides when a silent stream writes a comment.
    """

    __slots__ = ("_clock", "_closing", "_exchange", "_let_go")

    def __init__(self, exchange: Exchange, clock: KeepAliveClock) -> None:
        super().__init__()
        self._closing = b""
        """What is written together with the stream's end."""
        self._exchange = exchange
        self._clock = clock
        self._let_go: Callable[[], None] | None = None

    async def __aenter__(self) -> Self:
        await self._exchange.begin(200, STREAM_HEADERS)
        # Some servers hold the headers back until there is a body.
        await self._send(b"")
        self._clock.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        try:
            if isinstance(error, Exception):
                log.error("stream_failed", exc_info=error)
                await self.write_events([failure_of(error)])
        finally:
            self._clock.remove(self)
        if error is not None and not isinstance(error, Exception):
            return False
        await self._exchange.send({"type": "http.response.body", "body": self._closing, "more_body": False})
        return True

    async def write(self, body: bytes) -> None:
        """Write bytes, at the pace at which the client reads them."""
        if body:
            self.silent_ticks = 0
            if self._let_go is None:
                await self._send(body)
            else:
                await noticing(STALL_SECONDS, self._send(body), self._let_go)

    async def _send(self, body: bytes) -> None:
        await self._exchange.send({"type": "http.response.body", "body": body, "more_body": True})

    async def write_events(self, events: Sequence[Any]) -> None:
        """Write objects that encode to events."""
        if events:
            await self.write(frames_of(events))

    async def until(self, arrival: Callable[[], asyncio.Future[None]]) -> None:
        """Wait for something to write, with pings while it does not come."""
        self.waiting = arrival()
        await self.waiting
        while self.ping_due:
            await self._ping()
            self.waiting = arrival()
            await self.waiting

    async def _ping(self) -> None:
        self.written()
        await self.write(KEEP_ALIVE)

    async def during(self, work: Coroutine[Any, Any, T]) -> T:
        """Await ``work``, with pings while it lasts."""
        task = asyncio.create_task(work)
        try:
            await self.until(partial(_end_of, task))
            return await task
        finally:
            await end_tasks(task)

    async def follow(
        self,
        source: Source,
        gate: Gate,
        watch: Callable[[Sequence[Any]], None] | None = None,
        batching: Batching | None = None,
        *,
        ends: bool = False,
    ) -> None:
        """Write a run through its gate until it ends. That its log cannot be read any further is an end, too.

        Args:
            source: The reader's place in the run's log.
            gate: What the events pass.
            watch: Called with what is written.
            batching: Lets events wait for more.
            ends: Whether the stream ends with the run, of which the last events are then written with the end.
        """
        batching = batching or Batching(0)
        self._let_go = source.let_go if isinstance(source, StartedRun) else None
        write = None if batching.waits else direct_write(self._exchange, self)
        text: TextContinuation | None = None
        try:
            while not gate.ended:
                push = None if text is None or write is None else partial(text.push, write)
                self.waiting = source.arrival(push)
                await self.waiting
                if self.ping_due:
                    await self._ping()
                    continue
                try:
                    batch = source.take()
                except Lagged:
                    await source.catch_up()
                    continue
                frames = text.frames(batch) if text is not None else None
                if frames is None:
                    frames = self._passed(batch, gate, watch, ends=ends)
                    text = gate.continued(batch[-1]) if batch and watch is None else None
                del batch  # an open stream would keep it
                if frames:
                    await self.write(frames)
                    del frames
                    await batching.rest()
        except Exception as error:
            log.exception("run_not_followed")
            await self.write(self._passed([failure_of(error)], gate, watch))

    def _passed(
        self,
        batch: Sequence[Event],
        gate: Gate,
        watch: Callable[[Sequence[Any]], None] | None,
        *,
        ends: bool = False,
    ) -> bytes:
        """Return what the client gets now of events; of none, which are behind the last, what ends the run.

        The last of a run are left to the end of the stream, if that ends with it.
        """
        passed = gate.pass_(batch) if batch else gate.finish()
        if watch is not None and passed:
            watch(passed)
        frames = frames_of(passed)
        if ends and gate.ended:
            self._closing, frames = frames, b""
        return frames


def frames_of(events: Sequence[Any]) -> bytes:
    """Return the frames of objects that encode to events."""
    return frame(events[0]) if len(events) == 1 else b"".join(map(frame, events))


def failure_of(error: Exception) -> RunError:
    """Return the event for what failed after a stream had begun, when no status can say so any more."""
    public = error if isinstance(error, Refusal) else to_public_error(error)
    return RunError(message=public.message, code=str(public.code))


def _end_of(task: asyncio.Task[Any]) -> asyncio.Future[None]:
    ended = asyncio.get_running_loop().create_future()
    task.add_done_callback(lambda _task: None if ended.done() else ended.set_result(None))
    return ended
