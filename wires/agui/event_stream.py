"""Streams of events to clients: headers at once, comments when nothing happens, and an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from ...runtime.cancellation import end_tasks
from ...runtime.events import Event
from ...runtime.runs.log import Lagged
from ..http.exchange import Exchange
from .frames import KEEP_ALIVE, STREAM_HEADERS, frame
from .gate import Gate
from .joined_run import JoinedRun


class Source(Protocol):
    """A reader's place in a run's log."""

    def arrival(self) -> asyncio.Future[None]:
        """Return a future that is done once there is something to take, or the log has ended."""

    def take(self) -> Sequence[Event]:
        """Return the events since the last call; none once the log has been read to its end."""


class EventStream:
    """Writes events to one client. Make one with ``open_stream``."""

    def __init__(self, exchange: Exchange) -> None:
        self._send = exchange.send
        self._clock = asyncio.get_running_loop().time
        self.wrote_at = self._clock()
        self.writing = False
        """Whether the client has not taken the last bytes yet."""

    async def write(self, body: bytes) -> None:
        """Write bytes, at the pace at which the client reads them."""
        if not body:
            return
        self.writing = True
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
        self.writing = False
        self.wrote_at = self._clock()

    async def write_events(self, events: Sequence[Any]) -> None:
        """Write objects that encode to events."""
        if events:
            await self.write(frame(events[0]) if len(events) == 1 else b"".join(map(frame, events)))

    async def follow(self, source: Source, gate: Gate, watch: Callable[[Sequence[Any]], None] | None = None) -> None:
        """Write a run through its gate until it ends.

        Args:
            source: The reader's place in the run's log.
            gate: What the events pass.
            watch: Called with what is written.
        """
        while not gate.ended:
            await source.arrival()
            try:
                batch = source.take()
            except Lagged:
                if not isinstance(source, JoinedRun):
                    raise  # the reader that paces a run is not left behind
                await source.catch_up()
                continue
            passed = gate.pass_(batch) if batch else gate.finish()
            if watch is not None and passed:
                watch(passed)
            await self.write_events(passed)


@asynccontextmanager
async def open_stream(exchange: Exchange, keep_alive_seconds: float) -> AsyncIterator[EventStream]:
    """Begin a stream, and end it when the block is left.

    Args:
        exchange: The request's way back.
        keep_alive_seconds: After how long without a byte a comment is written; 0 for never.
    """
    await exchange.begin(200, STREAM_HEADERS)
    stream = EventStream(exchange)
    # Some servers hold the headers back until there is a body.
    await exchange.send({"type": "http.response.body", "body": b"", "more_body": True})
    pinging = asyncio.create_task(_keep_alive(stream, keep_alive_seconds)) if keep_alive_seconds else None
    try:
        yield stream
    finally:
        if pinging is not None:
            await end_tasks(pinging)
    await exchange.send({"type": "http.response.body", "body": b"", "more_body": False})


async def _keep_alive(stream: EventStream, seconds: float) -> None:
    clock = asyncio.get_running_loop().time
    while True:
        idle = clock() - stream.wrote_at
        if idle >= seconds and not stream.writing:
            await stream.write(KEEP_ALIVE)
            idle = 0.0
        await asyncio.sleep(max(seconds - idle, seconds / 10))
