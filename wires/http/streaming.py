"""Answers in parts: written as their parts come, until their reader leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple, Protocol

from starlette.types import Message

from .batching import Batching
from .connection import connection_of
from .exchange import Exchange
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

    def arrival(self, sink: PartSink | None = None) -> asyncio.Future[None]:
        """Return a future that is done once there is something to take.

        Until then, parts whose place is clear may be written to ``sink`` where they come.
        """

    def take(self) -> bytes | None:
        """Return the next part; None if what has arrived shows nowhere."""


class PartSink(NamedTuple):
    """Writes parts at once, while the stream's own task waits.

    Two functions, and not a method that calls both: each token of an answer in parts passes here.
    """

    write: Callable[[bytes], bool]
    """Writes bytes, if that can be done at once; returns whether it has."""
    part_of: Callable[[bytes], bytes]
    """Returns the bytes of a part."""


def direct_write(exchange: Exchange, stream: SilentStream) -> Callable[[bytes], bool] | None:
    """Return what writes for a stream at once, if the server has it and nothing looks at what is sent."""
    connection = connection_of(exchange.request.scope)
    if connection is None or not connection.direct:
        return None
    stream.direct = connection
    return connection.write


async def write_parts(
    exchange: Exchange, framing: Framing, answer: AnswerInParts, clock: KeepAliveClock, batching: Batching
) -> None:
    """Write all parts, each as soon as it is there. The head of the answer has been sent before.

    Args:
        exchange: The request's way back.
        framing: The bytes around the parts.
        answer: What gives them.
        clock: Decides when a silent stream writes a ping, if the format has one.
        batching: Lets parts wait for more.
    """
    await exchange.send(_body(framing.opening + framing.part(answer.first)))
    answer.first = b""  # an open stream would keep it
    stream = SilentStream()
    write = None if batching.waits else direct_write(exchange, stream)
    sink = None if write is None else PartSink(write, framing.part)
    closing, finished = framing.closing, answer.finished
    if framing.ping is not None:
        clock.add(stream)
    try:
        while not finished:
            stream.waiting = answer.arrival(sink)
            await stream.waiting
            if stream.ping_due:
                stream.written()
                await exchange.send(_body(framing.ping or b""))
                continue
            part, finished = answer.take(), answer.finished
            if part is None:
                continue
            stream.silent_ticks = 0
            if finished:
                closing = framing.part(part) + closing
            else:
                await exchange.send(_body(framing.part(part)))
                del part  # an open stream would keep it
                await batching.rest()
        await exchange.send({"type": "http.response.body", "body": closing, "more_body": False})
    finally:
        clock.remove(stream)


def _body(part: bytes) -> Message:
    return {"type": "http.response.body", "body": part, "more_body": True}
