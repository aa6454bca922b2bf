"""A model server: OpenAI's streamed chat completions over HTTP, scripted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

Delta = dict[str, Any]
Script = Callable[[dict[str, Any]], Sequence[Delta]]


def say(*words: str) -> list[Delta]:
    return [{"content": word} for word in words]


def call(name: str, id_: str, *arguments: str) -> list[Delta]:
    first = {"index": 0, "id": id_, "type": "function", "function": {"name": name, "arguments": ""}}
    rest = [{"index": 0, "function": {"arguments": part}} for part in arguments]
    return [{"tool_calls": [part]} for part in (first, *rest)]


class OpenAIServer:
    """Answers each request with what the script makes of its body."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        headers = dict([line async for line in _header_lines(reader)])
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.requests.append(body)
        self.headers.append(headers)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for event in _events(self.script(body)):
            writer.write(f"data: {event}\n\n".encode())
            await writer.drain()
        writer.close()
        await writer.wait_closed()


async def _header_lines(reader: asyncio.StreamReader) -> AsyncIterator[tuple[str, str]]:
    while line := (await reader.readline()).decode().strip():
        name, _, value = line.partition(": ")
        yield name.lower(), value


def _events(deltas: Sequence[Delta]) -> Iterator[str]:
    calls = any("tool_calls" in delta for delta in deltas)
    yield from (json.dumps(_chunk(delta, None)) for delta in ({"role": "assistant", "content": ""}, *deltas))
    yield json.dumps(_chunk({}, "tool_calls" if calls else "stop"))
    yield "[DONE]"


def _chunk(delta: Delta, finish: str | None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


@asynccontextmanager
async def openai_server(script: Script) -> AsyncIterator[tuple[OpenAIServer, str]]:
    """The server, and its base URL."""
    scripted = OpenAIServer(script)
    server = await asyncio.start_server(scripted.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield scripted, f"http://127.0.0.1:{port}/v1"
