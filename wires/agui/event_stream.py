"""Streams of events to clients: headers at once, comments when nothing happens, and an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol, TypeVar

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
    """Writes events to one client. Make one with ``open_stream``."""

    __slots__ = ("_exchange", "_let_go", "closing")

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self.closing = b""
        """What is written together with the stream's end."""
        self._exchange = exchange
        self._let_go: Callable[[], None] | None = None

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
            self.written()
            await self.write(KEEP_ALIVE)
            self.waiting = arrival()
            await self.waiting

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
            ends: Whether the stream ends with the run.
        """
        try:
            await self._follow(source, gate, watch, batching or Batching(0), ends=ends)
        except Exception as error:
            log.exception("run_not_followed")
            passed = gate.pass_([failure_of(error)])
            if watch is not None:
                watch(passed)
            await self.write_events(passed)

    async def _follow(
        self,
        source: Source,
        gate: Gate,
        watch: Callable[[Sequence[Any]], None] | None,
        batching: Batching,
        *,
        ends: bool,
    ) -> None:
        text: TextContinuation | None = None
        self._let_go = source.let_go if isinstance(source, StartedRun) else None
        write = None if batching.waits else direct_write(self._exchange, self)
        while not gate.ended:
            push = None if text is None or write is None else partial(text.push, write)
            await self.until(partial(source.arrival, push))
            try:
                batch = source.take()
            except Lagged:
                await source.catch_up()
                continue
            frames = text.frames(batch) if text is not None else None
            if frames is not None:
                await self.write(frames)
                await batching.rest()
                continue
            passed = gate.pass_(batch) if batch else gate.finish()
            if watch is not None and passed:
                watch(passed)
            await self._write_passed(passed, gate, ends=ends)
            if passed and not gate.ended:
                await batching.rest()
            text = gate.continued(batch[-1]) if batch and watch is None else None

    async def _write_passed(self, passed: Sequence[Any], gate: Gate, *, ends: bool) -> None:
        """Write what has passed the gate; leave the last of a run to the end of the stream, if that ends with it."""
        if ends and gate.ended:
            self.closing = frames_of(passed)
        else:
            await self.write_events(passed)


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


@asynccontextmanager
async def open_stream(exchange: Exchange, clock: KeepAliveClock) -> AsyncIterator[EventStream]:
    """Begin a stream, and end it when the block is left. What fails in the block is written as an error.

    Args:
        exchange: The request's way back.
        clock: Decides when a silent stream writes a comment.
    """
    await exchange.begin(200, STREAM_HEADERS)
    stream = EventStream(exchange)
    # Some servers hold the headers back until there is a body.
    await exchange.send({"type": "http.response.body", "body": b"", "more_body": True})
    clock.add(stream)
    try:
        yield stream
    except Exception as error:
        log.exception("stream_failed")
        await stream.write_events([failure_of(error)])
    finally:
        clock.remove(stream)
    await exchange.send({"type": "http.response.body", "body": stream.closing, "more_body": False})
