"""A server that ends answers the first request of a connection that it has just accepted.

Whoever connects while workers are replaced, one by one, would else lose a request for which there is a server.
"""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from copilotkit_runtime.server import shutdown
from tests.support.polling import until

from .own_server import own_server

REQUEST = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"


async def _connect(server: uvicorn.Server, address: tuple[str, int]) -> tuple[StreamReader, StreamWriter]:
    reader, writer = await asyncio.open_connection(*address)
    own = writer.get_extra_info("sockname")

    async def accepted() -> bool:  # this one: on a busy machine others may try the port, which somebody had before
        return any(getattr(connection, "client", None) == own for connection in server.server_state.connections)

    await until(accepted)
    return reader, writer


def _shut_down(server: uvicorn.Server) -> None:
    for connection in list(server.server_state.connections):
        connection.shutdown()


async def test_the_first_request_of_a_connection_is_answered_though_the_server_ends() -> None:
    async with own_server(PlainTextResponse("answered")) as (server, address), asyncio.timeout(30):
        reader, writer = await _connect(server, address)
        _shut_down(server)
        writer.write(REQUEST)
        answer = await reader.read()  # to the end: the connection is closed behind it
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in answer.lower()
    assert answer.endswith(b"answered")


async def test_a_connection_that_is_accepted_while_the_server_ends_is_for_one_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutdown.ENDING, "is_set", lambda: True)
    async with own_server(PlainTextResponse("answered")) as (_, address), asyncio.timeout(30):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(REQUEST)
        answer = await reader.read()  # to the end: the connection is closed behind it
        writer.close()
    assert answer.endswith(b"answered")
    assert b"connection: close" in answer.lower()


async def test_a_connection_on_which_nothing_comes_ends_with_the_server() -> None:
    async with own_server(PlainTextResponse("answered")) as (server, address), asyncio.timeout(30):
        reader, writer = await _connect(server, address)
        _shut_down(server)
        assert await reader.read() == b""
        writer.close()
