"""Writes an answer in parts, as its parts come, and notices when its reader leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import Receive, Send

from ..graphql.formats import Framing
from ..graphql.incremental_result import IncrementalAnswer

PING_SECONDS = 12.0

UNBUFFERED = [("cache-control", "no-cache, no-transform"), ("x-accel-buffering", "no")]


async def unless_disconnected(receive: Receive, work: Awaitable[None]) -> bool:
    """Awaits ``work``; cancels it if the client leaves first, and is false then."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            return False
        await working
        return True
    finally:
        await _cancelled(working, leaving)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancelled(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def write_parts(send: Send, framing: Framing, answer: IncrementalAnswer) -> None:
    """Writes all parts, each as soon as it is there. The head of the answer has been sent before."""
    await _write(send, framing.opening + framing.part(answer.first))
    async with _pings(send, framing.ping):
        while not answer.finished:
            await answer.arrival()
            payload = answer.take()
            if payload is not None:
                await _write(send, framing.part(payload))
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
        await _cancelled(pinging)


async def _ping(send: Send, ping: bytes) -> None:
    while True:
        await asyncio.sleep(PING_SECONDS)
        await _write(send, ping)


async def _write(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})
