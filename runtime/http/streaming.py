"""Writes an answer in parts, as its parts come, and notices when its reader leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing
from typing import Any

from starlette.types import Receive, Send

from ..delivery.formats import (
    EVENT_STREAM_CLOSING,
    EVENT_STREAM_OPENING,
    EVENT_STREAM_PING,
    MULTIPART_CLOSING,
    MULTIPART_OPENING,
    Format,
    multipart_part,
    server_sent_event,
)

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


async def write_parts(send: Send, format_: Format, payloads: AsyncIterator[dict[str, Any]]) -> None:
    """Writes all payloads, each as soon as it is there. The head of the answer has been sent before."""
    async with aclosing(payloads):  # type: ignore[type-var]  # payloads are async generators
        if format_ is Format.MULTIPART:
            await _write_multipart(send, payloads)
        else:
            await _write_event_stream(send, payloads)


async def _write_multipart(send: Send, payloads: AsyncIterator[dict[str, Any]]) -> None:
    await _write(send, MULTIPART_OPENING)
    async for payload in payloads:
        await _write(send, multipart_part(payload))
    await _write(send, MULTIPART_CLOSING, more=False)


async def _write_event_stream(send: Send, payloads: AsyncIterator[dict[str, Any]]) -> None:
    await _write(send, EVENT_STREAM_OPENING)
    pinging = asyncio.create_task(_ping(send))
    try:
        async for payload in payloads:
            await _write(send, server_sent_event(payload))
    finally:
        await _cancelled(pinging)
    await _write(send, EVENT_STREAM_CLOSING, more=False)


async def _ping(send: Send) -> None:
    while True:
        await asyncio.sleep(PING_SECONDS)
        await _write(send, EVENT_STREAM_PING)


async def _write(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})
