"""Many requests at once over plain sockets, with the moments at which their answers arrive."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scripts.benchmark.wires import BrokenStreamError

if TYPE_CHECKING:
    from scripts.benchmark.pattern import Pattern
    from scripts.benchmark.wires import Wire

READ_BYTES = 65536
PATIENCE = 120
LAST_CHUNK = b"\r\n0\r\n\r\n"

_threads = itertools.count()


@dataclass(frozen=True)
class Stream:
    """One answer: seconds until its first byte and its first token, and all its bytes."""

    first_byte: float
    first_token: float
    content: bytes

    @property
    def body(self) -> bytes:
        """The answer without its head and its chunks."""
        return _dechunked(self.content)


def _dechunked(content: bytes) -> bytes:
    _, _, rest = content.partition(b"\r\n\r\n")
    chunks = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        chunks.append(rest[:length])
        rest = rest[length + 2 :]
    return b"".join(chunks)


async def run(url: str, wire: Wire, pattern: Pattern, concurrent: int) -> list[Stream]:
    """Send ``concurrent`` requests at once."""
    async with asyncio.timeout(PATIENCE):
        return await asyncio.gather(*(_stream(url, wire, pattern) for _ in range(concurrent)))


async def _stream(url: str, wire: Wire, pattern: Pattern) -> Stream:
    place = urlsplit(url)
    body = wire.body(pattern, f"bench-{next(_threads)}-{time.time_ns()}")
    reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=1 << 24)
    started = time.perf_counter()
    writer.write(_head(wire, place.netloc, place.path + wire.path, len(body)) + body)
    try:
        return await _read(reader, wire.first_token, started)
    finally:
        writer.close()


def _head(wire: Wire, host: str, path: str, length: int) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {wire.accept}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


async def _read(reader: asyncio.StreamReader, token: bytes, started: float) -> Stream:
    content = bytearray()
    first_byte = first_token = 0.0
    while not content.endswith(LAST_CHUNK):
        chunk = await reader.read(READ_BYTES)
        if not chunk:
            raise BrokenStreamError(f"connection closed after {bytes(content[-200:])!r}")
        content += chunk
        first_byte = first_byte or time.perf_counter() - started
        if not first_token and token in content:
            first_token = time.perf_counter() - started
    return Stream(first_byte, first_token, bytes(content))
