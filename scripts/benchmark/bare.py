"""The least that any server in Python can do: a protocol on uvloop that writes the same bytes, without ASGI.

    PORT=8000 .venv/bin/python -m scripts.benchmark.bare

What it costs is what the event loop and the system cost; what ``floor`` costs beyond it is uvicorn's.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import cast

import uvloop

from scripts.benchmark.floor import CONTENT_TYPES, answer_parts, texts_asked

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n"


class BareProtocol(asyncio.Protocol):
    """Answers one request of the benchmark."""

    def __init__(self) -> None:
        self._received = b""
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer once the request has come whole."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if end and len(body) >= _length(head):
            self._answering = asyncio.create_task(self._answer(body))

    async def _answer(self, body: bytes) -> None:
        asked = json.loads(body)
        wire, texts = texts_asked(asked)
        before, tokens, after = answer_parts(wire, len(texts))
        write = self._transport.write
        write(_HEAD % CONTENT_TYPES[wire])
        for part in before:
            write(_chunk(part))
        for step, part in zip(texts, tokens, strict=True):
            if "after" in step:
                await asyncio.sleep(step["after"])
            write(_chunk(part))
        for part in after:
            write(_chunk(part))
        write(b"0\r\n\r\n")


def _length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0])


def _chunk(part: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(part), part)


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(BareProtocol, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(os.environ["PORT"])))
