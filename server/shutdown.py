"""An orderly end: on SIGTERM or SIGINT runs may end by themselves for a while; the same signal again ends at once."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import FrameType
from typing import Any

import structlog

from ..runtime.service import RuntimeService
from ..wires.http.open_streams import OpenStreams

log = structlog.get_logger(__name__)

ENDING = threading.Event()
"""Set from the signal that ends this process on: connections that are accepted then are for one request."""

LAST_REQUESTS_SECONDS = 1.5
"""How long requests are served that come after the signal: on connections that were accepted before the server closed
its socket. While workers are replaced, one by one, their clients would else be refused though there is a server."""

_SIGNALS: tuple[int, ...] = (signal.SIGTERM, signal.SIGINT)


class SignalDrain:
    """Drains a service when a signal ends the process, and then lets the server's own handler go on.

    Args:
        service: What to drain.
        streams: The streams of runs that other processes execute.
        grace_seconds: How long runs may go on.
    """

    def __init__(self, service: RuntimeService, streams: OpenStreams, grace_seconds: float) -> None:
        self._service = service
        self._streams = streams
        self._grace_seconds = grace_seconds
        self._before: dict[int, Any] = {}
        self._draining: asyncio.Task[None] | None = None
        self._signalled = False
        self._no_more = asyncio.Event()

    @asynccontextmanager
    async def installed(self) -> AsyncIterator[None]:
        """Handle signals while the block goes on. The server must have installed its own handlers before."""
        self._loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            self._before[number] = signal.getsignal(number)
            signal.signal(number, self._handle)
        if multiprocessing.parent_process() is not None:
            # A terminal signals every process of its group; the parent passes it on, and once is enough.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            yield
        finally:
            ENDING.clear()
            for number, handler in self._before.items():
                signal.signal(number, handler)
            self._no_more.set()
            if self._draining is not None:
                await self._draining

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._signalled:
            sys.stderr.flush()
            os._exit(128 + number)
        self._signalled = True
        ENDING.set()
        self._loop.call_soon_threadsafe(self._drain)
        before = self._before[number]
        if callable(before):
            before(number, frame)

    def _drain(self) -> None:
        log.info("shutting_down", grace_seconds=self._grace_seconds, runs=self._service.active_runs)
        self._service.be_about_to_end()
        self._draining = asyncio.create_task(self._end())

    async def _end(self) -> None:
        await asyncio.gather(self._end_runs(), self._streams.drain(self._grace_seconds))

    async def _end_runs(self) -> None:
        end = self._loop.time() + self._grace_seconds
        with suppress(TimeoutError):
            async with asyncio.timeout(min(LAST_REQUESTS_SECONDS, self._grace_seconds)):
                await self._no_more.wait()
        await self._service.drain(max(0.0, end - self._loop.time()))
