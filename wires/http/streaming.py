"""Answers in parts: written as their parts come, until their reader leaves."""

from __future__ import annotations

import asyncio
from typing import Protocol

from starlette.types import Message, Send

from .framing import Framing
from .keep_alive import KeepAliveClock, SilentStream

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


async def write_parts(send: Send, framing: Framing, answer: AnswerInParts, clock: KeepAliveClock) -> None:
    """Write all parts, each as soon as it is there. The head of the answer has been sent before.

    Args:
        send: Where the parts go.
        framing: The bytes around them.
        answer: What gives them.
        clock: Says when a silent stream writes a ping, if the format has one.
    """
    await send(_body(framing.opening + framing.part(answer.first)))
    stream = SilentStream()
    if framing.ping is not None:
        clock.add(stream)
    try:
        await _write_rest(send, framing, answer, stream)
    finally:
        clock.remove(stream)
    await send({"type": "http.response.body", "body": framing.closing, "more_body": False})


async def _write_rest(send: Send, framing: Framing, answer: AnswerInParts, stream: SilentStream) -> None:
    # Each token passes here.
    part_of = framing.part
    while not answer.finished:
        stream.waiting = answer.arrival()
        await stream.waiting
        if stream.ping_due:
            await _write_ping(send, framing, stream)
            continue
        part = answer.take()
        if part is not None:
            stream.silent_ticks = 0
            await send({"type": "http.response.body", "body": part_of(part), "more_body": True})


async def _write_ping(send: Send, framing: Framing, stream: SilentStream) -> None:
    stream.written()
    await send(_body(framing.ping or b""))


def _body(part: bytes) -> Message:
    return {"type": "http.response.body", "body": part, "more_body": True}
