"""Streams of runs that other processes execute: who ends breaks them off, and their clients go on elsewhere."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from .connection import connection_of
from .exchange import Exchange


class OpenStreams:
    """The requests that are being answered.

    A run of this process ends with it, and its stream with the run. One that another process executes goes on, so that
    its stream is broken off: an end would mean that the run has ended.
    """

    def __init__(self) -> None:
        self._open: set[Exchange] = set()
        self._left: asyncio.Event | None = None
        """Set when one of them has been answered, while this process ends."""

    def add(self, exchange: Exchange) -> None:
        """Note that a request has come."""
        self._open.add(exchange)

    def remove(self, exchange: Exchange) -> None:
        """Note that it has been answered."""
        self._open.discard(exchange)
        if self._left is not None:
            self._left.set()

    async def drain(self, grace_seconds: float) -> None:
        """Break off the streams whose runs go on elsewhere, and have not ended within ``grace_seconds``."""
        self._left = left = asyncio.Event()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                while self._following():
                    left.clear()
                    await left.wait()
        for exchange in self._following():
            connection = connection_of(exchange.request.scope)
            if connection is not None:
                connection.end()

    def _following(self) -> list[Exchange]:
        return [exchange for exchange in self._open if any(run.is_elsewhere for run in exchange.runs)]
