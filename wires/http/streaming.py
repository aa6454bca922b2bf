"""Answers in parts: written as their parts come, until their reader leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Protocol

from starlette.types import Receive, Send

from ...runtime.cancellation import end_tasks
from .framing import Framing

PING_SECONDS = 12.0

UNBUFFERED = [("cache-control", "no-cache, no-transform"), ("x-accel-buffering", "no")]


class AnswerInParts(Protocol):
    """An answer whose parts come one after another."""

    finished: bool
    """Whether the last part has been taken."""
    first: bytes
    """The first part, which is there at once."""

    def arrival(self) -> asyncio.Future[None]:
        """Return a future that is done once there is something to take."""

    def take(self) -> bytes | None:
        """Return the next part; None if what has arrived shows nowhere."""


async def unless_disconnected(receive: Receive, work: Awaitable[None]) -> bool:
    """Await ``work``; cancel it if the client leaves first, and return whether it was completed."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            return False
        await working
        return True
    finally:
        await end_tasks(working, leaving)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def write_parts(send: Send, framing: Framing, answer: AnswerInParts) -> None:
    """Write all parts, each as soon as it is there. The head of the answer has been sent before."""
    await _write(send, framing.opening + framing.part(answer.first))
    async with _pings(send, framing.ping):
        while not answer.finished:
            await answer.arrival()
            part = answer.take()
            if part is not None:
                await send({"type": "http.response.body", "body": framing.part(part), "more_body": True})
    await _write(send, framing.closing, more=False)


@asynccontextmanager
async def _pings(send: Send, ping: bytes | None) -> AsyncIterator[None]:
    if ping is None:
        yield
        return
    pinging = asyncio.create_task(_ping(send, ping))
    try:
        yield
    finally:
        await end_tasks(pinging)


async def _ping(send: Send, ping: bytes) -> None:
    while True:
        await asyncio.sleep(PING_SECONDS)
        await _write(send, ping)


async def _write(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})
