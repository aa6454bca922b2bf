"""A small HTTP service that answers with exactly the bytes a test wants, when it wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import msgspec


@dataclass(frozen=True)
class Request:
    """A request that came in. Header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """What the body holds."""
        return msgspec.json.decode(self.body)


_ACCEPT_TURNS = 3
"""Turns of the loop until a caller who was let in is one of the connections."""

Script: TypeAlias = Callable[[Request], AsyncGenerator[bytes]]


def head(content_type: str, *, status: int = 200, length: int | None = None) -> bytes:
    """Return the head of an answer whose body ends with the connection, or after ``length`` bytes."""
    lines = [f"HTTP/1.1 {status} Scripted", f"Content-Type: {content_type}", "Connection: close"]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()


class ScriptedService:
    """Serves on a free port of this machine while its ``async with`` block lasts.

    Args:
        script: Called for every request; yields the answer's raw bytes. It is cancelled when the caller goes.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.requests: list[Request] = []
        self.caller_gone = asyncio.Event()
        self.running = 0

    @property
    def url(self) -> str:
        """Where the service is, without a trailing slash."""
        if self._server is None:
            raise RuntimeError("The service is not running.")
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            await self._close(self._server)
        for writer in self._connections.values():
            writer.transport.abort()
        await asyncio.gather(*self._connections)

    async def _close(self, server: asyncio.Server) -> None:
        # A server that is closed has no place for callers that it let in a moment ago: their sockets would stay open.
        for listening in server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        for _ in range(_ACCEPT_TURNS):
            await asyncio.sleep(0)
        server.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._attend(reader, writer))
        self._connections[connection] = writer
        connection.add_done_callback(self._connections.pop)

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.running += 1
        try:
            await self._serve(reader, writer)
        finally:
            self.running -= 1
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read_request(reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        self.requests.append(request)
        answer = asyncio.create_task(self._answer(request, writer))
        caller = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait({answer, caller}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self.caller_gone.set()
                writer.transport.abort()
        finally:
            for task in (answer, caller):
                task.cancel()
            await asyncio.gather(answer, caller, return_exceptions=True)

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            async with aclosing(self._script(request)) as pieces:
                async for piece in pieces:
                    writer.write(piece)
                    await writer.drain()


async def _read_request(reader: asyncio.StreamReader) -> Request:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
    method, path, _ = first.split(" ", 2)
    pairs = (line.split(":", 1) for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method=method, path=path, headers=headers, body=body)
