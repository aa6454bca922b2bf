"""Many requests at once over plain sockets, with the moments at which their answers arrive."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.parity.fold import fold, view
from tests.parity.wire import ACCEPT, PartReader

if TYPE_CHECKING:
    from scripts.benchmark.pattern import Pattern

READ_BYTES = 65536
PATIENCE = 120
FIRST_TOKEN = b'"content",0]'
LAST_CHUNK = b"\r\n0\r\n\r\n"

_threads = itertools.count()


class BrokenStreamError(RuntimeError):
    """A server's answer is not the one that was asked for."""


@dataclass(frozen=True)
class Stream:
    """One answer: seconds until its first byte and its first token, and all its bytes."""

    first_byte: float
    first_token: float
    content: bytes

    def verify(self, pattern: Pattern) -> None:
        """Check that every token came, in order, and that the run succeeded.

        Raises:
            BrokenStreamError: It did not.
        """
        reader = PartReader()
        parts = reader.feed(_dechunked(self.content))
        end = view(fold(parts))
        texts = [message["content"] for message in end["messages"]]
        if (
            not (reader.finished and self.first_token)
            or texts != ["".join(pattern.pieces)]
            or end["status"]["code"] != "Success"
        ):
            raise BrokenStreamError(f"{len(parts)} parts, {end['status']}, {texts!r:.200}")


def _dechunked(content: bytes) -> bytes:
    _, _, rest = content.partition(b"\r\n\r\n")
    chunks = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        chunks.append(rest[:length])
        rest = rest[length + 2 :]
    return b"".join(chunks)


async def run(url: str, pattern: Pattern, concurrent: int) -> list[Stream]:
    """Asks ``concurrent`` times at once."""
    async with asyncio.timeout(PATIENCE):
        return await asyncio.gather(*(_stream(url, pattern) for _ in range(concurrent)))


async def _stream(url: str, pattern: Pattern) -> Stream:
    place = urlsplit(url)
    body = pattern.body(f"bench-{next(_threads)}")
    reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=1 << 24)
    started = time.perf_counter()
    writer.write(_head(place.netloc, place.path, len(body)) + body)
    try:
        return await _read(reader, started)
    finally:
        writer.close()


def _head(host: str, path: str, length: int) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {ACCEPT}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


async def _read(reader: asyncio.StreamReader, started: float) -> Stream:
    content = bytearray()
    first_byte = first_token = 0.0
    while not content.endswith(LAST_CHUNK):
        chunk = await reader.read(READ_BYTES)
        if not chunk:
            raise BrokenStreamError(f"connection closed after {bytes(content[-200:])!r}")
        content += chunk
        first_byte = first_byte or time.perf_counter() - started
        if not first_token and FIRST_TOKEN in content:
            first_token = time.perf_counter() - started
    return Stream(first_byte, first_token, bytes(content))
