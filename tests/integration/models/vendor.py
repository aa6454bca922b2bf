"""A model vendor's HTTP server that answers what a test tells it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import uvicorn
from starlette.types import Receive, Scope, Send

Step: TypeAlias = "str | bytes | asyncio.Event | BreakOff"

EVENT_STREAM = "application/vnd.amazon.eventstream"


class BreakOff:
    """A step at which the connection is lost."""


class LostConnectionError(Exception):
    """Makes the server drop a connection in the middle of a response."""


@dataclass
class Reply:
    """One HTTP response: a body sent step by step, each as soon as an event before it is set."""

    steps: Sequence[Step] = ()
    status: int = 200
    content_type: str = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Seen:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    client: tuple[str, int]


class FakeVendor:
    """The server. Its last reply is given again and again."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Seen] = []
        self.asked = asyncio.Event()
        self.closed = asyncio.Event()
        self._replies: list[Reply] = []

    def streams(self, *steps: Step) -> None:
        """The next answer is a stream: of server-sent events, or of Amazon's own kind if it is of bytes."""
        binary = any(isinstance(step, bytes) for step in steps)
        self._replies.append(Reply(steps, content_type=EVENT_STREAM if binary else "text/event-stream"))

    def forget(self) -> None:
        """Drop the answers that are left, also the last one."""
        self._replies.clear()

    def refuses(self, status: int, body: dict[str, Any], **headers: str) -> None:
        """The next answer is an error."""
        self._replies.append(Reply([json.dumps(body)], status, "application/json", headers))

    def replies(self, reply: Reply) -> None:
        """The next answer is ``reply``, byte by byte."""
        self._replies[:] = [reply]

    @property
    def body(self) -> dict[str, Any]:
        """The body of the last request."""
        return self.requests[-1].body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            return
        self.requests.append(await _seen(scope, receive))
        self.asked.set()
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        gone = asyncio.create_task(self._watch(receive))
        try:
            await self._answer(reply, send, gone)
        finally:
            gone.cancel()

    async def _answer(self, reply: Reply, send: Send, gone: asyncio.Task[None]) -> None:
        headers = {"content-type": reply.content_type, **reply.headers}
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
        for step in reply.steps:
            if isinstance(step, BreakOff):
                raise LostConnectionError
            if isinstance(step, asyncio.Event):
                await _first_of(gone, step)
            else:
                await send({"type": "http.response.body", "body": _bytes(step), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.closed.set()


def _bytes(step: str | bytes) -> bytes:
    return step if isinstance(step, bytes) else step.encode()


async def _first_of(gone: asyncio.Task[None], step: asyncio.Event) -> None:
    waiting = asyncio.create_task(step.wait())
    await asyncio.wait([gone, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def _seen(scope: MutableMapping[str, Any], receive: Receive) -> Seen:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    return Seen(scope["path"], headers, json.loads(body or b"{}"), scope["client"])


@asynccontextmanager
async def served(vendor: FakeVendor) -> AsyncIterator[FakeVendor]:
    """Serves ``vendor`` on a free port of this machine."""
    listener = socket.create_server(("127.0.0.1", 0))
    vendor.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(vendor, lifespan="off", log_config=None)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup([listener])
    try:
        yield vendor
    finally:
        server.force_exit = True
        await server.shutdown([listener])
