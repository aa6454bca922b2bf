"""Clients that send a request before the last one has been answered."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
import uvicorn
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.wires.http.auth import Identity
from tests.support.local_server import PATH
from tests.support.polling import until
from tests.support.request_bodies import generate, text_message

from .own_server import own_server

PATIENCE = 30


class Waiting(AgentProvider):
    """Begins, and never ends."""

    name = "waiting"

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="waiting")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        yield events.TextMessageStart(message_id="m")
        await asyncio.Event().wait()


class Gate:
    """Lets callers in, once it is open."""

    def __init__(self) -> None:
        self.reached, self.open = asyncio.Event(), asyncio.Event()

    async def authenticate(self, request: HTTPConnection) -> Identity:
        self.reached.set()
        await self.open.wait()
        return Identity("ann")


def _post() -> bytes:
    body = json.dumps(generate(text_message("hello"), agent="waiting")).encode()
    head = f"POST {PATH} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n".encode()
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: test\r\n\r\n".encode()


def _cut_off(server: uvicorn.Server) -> None:
    """End the connections: what waits behind an unanswered request is not read, nor is a client's leaving."""
    for connection in list(server.server_state.connections):
        connection.transport.abort()  # type: ignore[union-attr]


async def _gone(server: uvicorn.Server) -> None:
    async def none_left() -> bool:
        return not server.server_state.connections

    await until(none_left)


@pytest.mark.parametrize("behind", [b"", _get("/health"), _post()], ids=["nothing", "a request", "another run"])
async def test_a_run_ends_with_its_client_whatever_was_sent_behind_it(
    behind: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    runtime = CopilotRuntime(providers=[Waiting()], store="memory://", auth=gate.authenticate)
    async with runtime, own_server(runtime.create_app()) as (server, address), asyncio.timeout(PATIENCE):
        _, writer = await asyncio.open_connection(*address)
        writer.write(_post() + behind)
        await gate.reached.wait()
        _cut_off(server)
        await _gone(server)
        writer.close()
        with caplog.at_level(logging.ERROR):
            gate.open.set()

            async def ended() -> bool:
                return not server.server_state.tasks

            await until(ended)
        assert not caplog.records


async def test_a_request_that_waits_behind_a_long_answer_is_not_late() -> None:
    enough = asyncio.Event()

    async def slow() -> AsyncGenerator[bytes]:
        yield b"first,"
        await enough.wait()
        yield b"last."

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if Request(scope).url.path == "/slow":
            async with aclosing(slow()) as parts:
                await StreamingResponse(parts)(scope, receive, send)
        else:
            await PlainTextResponse("answered")(scope, receive, send)

    async with own_server(application) as (server, address), asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(*address)
        last = _get("/last")
        writer.write(_get("/slow") + _get("/second") + last[:20])
        await reader.readuntil(b"first,")
        for connection in list(server.server_state.connections):
            connection.end_overdue()  # type: ignore[union-attr]
        enough.set()
        assert await reader.readuntil(b"0\r\n\r\n") == b"\r\n5\r\nlast.\r\n0\r\n\r\n"
        assert (await reader.readuntil(b"answered")).startswith(b"HTTP/1.1 200 ")
        writer.write(last[20:])
        assert (await reader.readuntil(b"answered")).startswith(b"HTTP/1.1 200 ")
        writer.close()
