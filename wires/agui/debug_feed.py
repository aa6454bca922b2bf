"""The debug feed: every event that clients of this wire get, for developers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from time import time
from typing import Any

import msgspec

from ..http.connection import unless_disconnected
from ..http.credentials import Credentials
from ..http.exchange import Exchange
from ..http.keep_alive import KeepAliveClock
from .event_stream import EventStream
from .frames import frame

QUEUE_EVENTS = 1000
"""How many events wait for a reader; of a slower one's, the oldest are left out."""

Watch = Callable[[Sequence[Any]], None]


class DebugFeed:
    """Passes what is written to clients on to those who watch.

    Args:
        clock: Decides when silent streams write a comment.
    """

    def __init__(self, clock: KeepAliveClock) -> None:
        self._clock = clock
        self._readers: set[_Reader] = set()

    def watch(self, agent_id: str, thread_id: str, run_id: str) -> Watch:
        """Return what takes note of a stream's events."""
        return lambda events: self._publish(agent_id, thread_id, run_id, events)

    def _publish(self, agent_id: str, thread_id: str, run_id: str, events: Sequence[Any]) -> None:
        if not self._readers:
            return
        about = {"timestamp": int(time() * 1000), "agentId": agent_id, "threadId": thread_id, "runId": run_id}
        frames = [frame({**about, "event": msgspec.to_builtins(event)}) for event in events]
        for reader in self._readers:
            reader.add(frames)

    async def answer(self, exchange: Exchange, credentials: Credentials) -> None:
        """Write events until the reader leaves, or may read no longer.

        Args:
            exchange: The request.
            credentials: The reader's.
        """
        reader = _Reader()
        self._readers.add(reader)
        try:
            async with credentials.ending(reader.end):
                await unless_disconnected(exchange, self._write(exchange, reader))
        finally:
            self._readers.discard(reader)

    async def _write(self, exchange: Exchange, reader: _Reader) -> None:
        async with EventStream(exchange, self._clock) as stream:
            await stream.write(b": connected\n\n")
            await _follow(stream, reader)


async def _follow(stream: EventStream, reader: _Reader) -> None:
    while not reader.over:
        await stream.until(reader.arrival)
        await stream.write(reader.take())


class _Reader:
    def __init__(self) -> None:
        self._arrived: asyncio.Future[None] | None = None
        self._frames: deque[bytes] = deque(maxlen=QUEUE_EVENTS)
        self.over = False
        """Whether the reader gets no more."""

    def add(self, frames: Sequence[bytes]) -> None:
        self._frames.extend(frames)
        self._wake()

    def end(self) -> None:
        """Give the reader no more."""
        self.over = True
        self._wake()

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def arrival(self) -> asyncio.Future[None]:
        self._arrived = arrived = asyncio.get_running_loop().create_future()
        if self._frames or self.over:
            arrived.set_result(None)
        return arrived

    def take(self) -> bytes:
        taken = b"".join(self._frames)
        self._frames.clear()
        return taken
