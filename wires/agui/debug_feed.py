"""The debug feed: every event that clients of this wire get, for developers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from time import time
from typing import Any

import msgspec

from ..http.exchange import Exchange
from ..http.streaming import unless_disconnected
from .event_stream import EventStream, open_stream
from .frames import frame

QUEUE_EVENTS = 1000
"""How many events wait for a reader; of a slower one's, the oldest are left out."""

Watch = Callable[[Sequence[Any]], None]


class DebugFeed:
    """Hands what is written to clients to those who watch."""

    def __init__(self) -> None:
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

    async def answer(self, exchange: Exchange, keep_alive_seconds: float) -> None:
        """Write events until the reader leaves."""
        reader = _Reader()
        self._readers.add(reader)
        try:
            await unless_disconnected(exchange.receive, self._write(exchange, reader, keep_alive_seconds))
        finally:
            self._readers.discard(reader)

    async def _write(self, exchange: Exchange, reader: _Reader, keep_alive_seconds: float) -> None:
        async with open_stream(exchange, keep_alive_seconds) as stream:
            await stream.write(b": connected\n\n")
            await _follow(stream, reader)


async def _follow(stream: EventStream, reader: _Reader) -> None:
    while True:
        await reader.arrived.wait()
        await stream.write(reader.take())


class _Reader:
    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self._frames: deque[bytes] = deque(maxlen=QUEUE_EVENTS)

    def add(self, frames: Sequence[bytes]) -> None:
        self._frames.extend(frames)
        self.arrived.set()

    def take(self) -> bytes:
        self.arrived.clear()
        taken = b"".join(self._frames)
        self._frames.clear()
        return taken
