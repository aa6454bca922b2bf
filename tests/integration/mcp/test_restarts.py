"""Servers that are restarted, killed, slow, or change their tools."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from copilotkit_runtime.providers.mcp import MCPServer
from copilotkit_runtime.testing import Request, ScriptedService, head
from tests.integration.mcp.conftest import PATHS, SCRIPT, running
from tests.support.local_server import client_of
from tests.support.ports import free_port
from tests.support.scripted_agent import ScriptedProvider
from tests.support.tool_calls import Listener, call, play_on, results

ADD = call("c", "add", '{"left":1,"right":1}')


def runtime_with(*servers: MCPServer, **more: Any) -> CopilotRuntime:
    return CopilotRuntime(model=ScriptedProvider(), mcp_servers=servers, **more)


@pytest.mark.parametrize("transport", ["sse", "streamable-http"])
async def test_a_restarted_server_answers_the_next_call(transport: str) -> None:
    port = free_port()
    server = MCPServer(url=f"http://127.0.0.1:{port}{PATHS[transport]}", connect_timeout=30)
    async with AsyncExitStack() as stack, asyncio.timeout(90):
        process = await stack.enter_async_context(running(transport, port))
        client = await stack.enter_async_context(client_of(runtime_with(server)))
        for _ in range(2):
            assert results(await play_on(client, *ADD)) == {"c": "2"}
            process.kill()
            await process.wait()
            process = await stack.enter_async_context(running(transport, port))
        assert results(await play_on(client, *ADD)) == {"c": "2"}


@pytest.mark.parametrize("transport", ["stdio", "sse", "streamable-http"])
async def test_a_call_in_flight_ends_with_its_server(transport: str) -> None:
    pids: asyncio.Queue[int] = asyncio.Queue()

    async def begun(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pids.put_nowait(int(await reader.readline()))
        await reader.read()
        writer.close()

    async with AsyncExitStack() as stack:
        listener = await stack.enter_async_context(await asyncio.start_server(begun, "127.0.0.1", 0))
        if transport == "stdio":
            server = MCPServer(command=sys.executable, args=(str(SCRIPT), "stdio"), connect_timeout=30)
        else:
            port = free_port()
            await stack.enter_async_context(running(transport, port))
            server = MCPServer(url=f"http://127.0.0.1:{port}{PATHS[transport]}", connect_timeout=30)
        client = await stack.enter_async_context(client_of(runtime_with(server)))
        listening = listener.sockets[0].getsockname()[1]
        calling = asyncio.create_task(play_on(client, *call("c", "hang", json.dumps({"port": listening}))))
        async with asyncio.timeout(40):
            os.kill(await pids.get(), signal.SIGKILL)
        # Its own limit is 60 seconds.
        async with asyncio.timeout(10):
            error = json.loads(results(await calling)["c"])["error"]
    assert error["message"].startswith("Execution failed for MCP tool 'hang': ")
    assert re.search("broke|closed", error["message"])


async def test_the_tools_stay_while_their_server_is_away() -> None:
    port, listener = free_port(), Listener()
    server = MCPServer(url=f"http://127.0.0.1:{port}/mcp", connect_timeout=30, retry_after=0.1, tools_lifetime=0.1)
    async with AsyncExitStack() as stack, asyncio.timeout(90):
        process = await stack.enter_async_context(running("streamable-http", port))
        client = await stack.enter_async_context(client_of(CopilotRuntime(model=listener, mcp_servers=[server])))
        assert results(await play_on(client, *ADD)) == {"c": "2"}
        process.kill()
        await process.wait()
        for _ in range(3):
            found = results(await play_on(client, *ADD))
            assert "Execution failed for MCP tool 'add': " in json.loads(found["c"])["error"]["message"]
        async with running("streamable-http", port):
            assert results(await play_on(client, *ADD)) == {"c": "2"}
    assert all("add" in [tool.name for tool in run.tools] for run in listener.given)


@pytest.mark.parametrize("transport", ["stdio", "sse", "streamable-http"])
async def test_a_change_of_the_tools_is_noticed(transport: str) -> None:
    async with AsyncExitStack() as stack:
        server = MCPServer(command=sys.executable, args=(str(SCRIPT), "stdio"), connect_timeout=30)
        if transport != "stdio":
            port = free_port()
            await stack.enter_async_context(running(transport, port))
            server = MCPServer(url=f"http://127.0.0.1:{port}{PATHS[transport]}", connect_timeout=30)
        client = await stack.enter_async_context(client_of(runtime_with(server)))
        async with asyncio.timeout(60):
            assert results(await play_on(client, *call("c", "grown"))) == {}
            assert results(await play_on(client, *call("c", "grow"))) == {"c": "done"}
            found: dict[str, str] = {}
            # The notification has a stream of its own, and may come after the result.
            while not found:
                found = results(await play_on(client, *call("d", "grown")))
    assert found == {"d": "here"}


async def test_a_server_that_is_slow_to_start_gets_the_time_that_its_setting_names() -> None:
    slow = MCPServer(command=sys.executable, args=(str(SCRIPT), "stdio"), env={"SLOW_START": "2"}, connect_timeout=40)
    config = RuntimeConfig(action_source_timeout_seconds=0.5)
    async with client_of(runtime_with(slow, config=config)) as client, asyncio.timeout(60):
        assert results(await play_on(client, *ADD)) == {"c": "2"}


async def test_structured_content_beside_a_summary_is_not_lost() -> None:
    server = MCPServer(command=sys.executable, args=(str(SCRIPT), "stdio"), connect_timeout=30)
    async with client_of(runtime_with(server)) as client, asyncio.timeout(60):
        found = json.loads(results(await play_on(client, *call("c", "report")))["c"])
    assert found == {"content": "6 in all", "structuredContent": {"rows": [1, 2, 3], "total": 6}}


class Forgetful:
    """A server of streamable HTTP that forgets its session after each call, or answers calls oddly."""

    def __init__(self, status: int = 404, stream: bytes | None = None) -> None:
        self.status = status
        self.stream = stream
        self.sessions = 0
        self.calls: list[str] = []

    async def script(self, request: Request) -> AsyncGenerator[bytes]:
        session = request.headers.get("mcp-session-id", "")
        if request.method != "POST":
            if "last-event-id" in request.headers:
                yield head("text/event-stream") + _event(self._result(int(request.headers["last-event-id"])))
            else:
                yield head("text/plain", status=405, length=0)
            return
        message = request.json
        match message["method"]:
            case "initialize":
                self.sessions += 1
                version = message["params"]["protocolVersion"]
                info = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": _INFO}
                yield _json(message["id"], info, f"Mcp-Session-Id: s{self.sessions}")
            case "tools/list":
                tool = {"name": "add", "inputSchema": {"type": "object"}}
                yield _json(message["id"], {"tools": [tool]})
            case "tools/call":
                self.calls.append(session)
                if self.stream is not None:
                    yield head("text/event-stream") + self.stream.replace(b"ID", str(message["id"]).encode())
                elif self.calls.count(session) > 1:
                    yield head("application/json", status=self.status, length=2) + b"{}"
                else:
                    yield _json(message["id"], _SUM)
            case _:
                yield head("text/plain", status=202, length=0)

    def _result(self, id_: int) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": id_, "result": _SUM}


_INFO = {"name": "forgetful", "version": "1"}
_SUM = {"content": [{"type": "text", "text": "2"}]}


def _json(id_: int, result: dict[str, Any], *headers: str) -> bytes:
    body = json.dumps({"jsonrpc": "2.0", "id": id_, "result": result}).encode()
    first, _, rest = head("application/json", length=len(body)).partition(b"\r\n\r\n")
    return first + "".join(f"\r\n{header}" for header in headers).encode() + b"\r\n\r\n" + rest + body


def _event(message: dict[str, Any]) -> bytes:
    return f"event: message\ndata: {json.dumps(message)}\n\n".encode()


@pytest.mark.parametrize("status", [404, 400, 410])
async def test_a_session_that_the_server_has_forgotten_begins_anew(status: int) -> None:
    forgetful = Forgetful(status)
    async with ScriptedService(forgetful.script) as service:
        server = MCPServer(url=f"{service.url}/mcp")
        async with client_of(runtime_with(server)) as client, asyncio.timeout(20):
            for _ in range(3):
                assert results(await play_on(client, *call("c", "add"))) == {"c": "2"}
    assert forgetful.calls == ["s1", "s1", "s2", "s2", "s3"]


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_refused_call_is_not_repeated(status: int) -> None:
    forgetful = Forgetful(status)
    async with ScriptedService(forgetful.script) as service:
        server = MCPServer(url=f"{service.url}/mcp")
        async with client_of(runtime_with(server)) as client, asyncio.timeout(20):
            await play_on(client, *call("c", "add"))
            failed = results(await play_on(client, *call("c", "add")))
    assert "Execution failed" in json.loads(failed["c"])["error"]["message"]
    assert forgetful.calls == ["s1", "s1"]


@pytest.mark.parametrize("stream", [b"", b": ping\n\n", b'event: message\ndata: {"jsonrpc": "2.0"'])
async def test_a_stream_that_ends_without_the_answer_ends_the_call(stream: bytes) -> None:
    forgetful = Forgetful(stream=stream)
    async with ScriptedService(forgetful.script) as service:
        server = MCPServer(url=f"{service.url}/mcp")
        async with client_of(runtime_with(server)) as client, asyncio.timeout(20):
            failed = results(await play_on(client, *call("c", "add")))
    assert "broke" in json.loads(failed["c"])["error"]["message"]
    assert len(forgetful.calls) == 1


async def test_a_stream_that_can_be_resumed_is() -> None:
    forgetful = Forgetful(stream=b"id: ID\nretry: 10\ndata:\n\n")
    async with ScriptedService(forgetful.script) as service:
        server = MCPServer(url=f"{service.url}/mcp")
        async with client_of(runtime_with(server)) as client, asyncio.timeout(20):
            assert results(await play_on(client, *call("c", "add"))) == {"c": "2"}
    assert len(forgetful.calls) == 1


async def _endless(start: bytes, piece: bytes) -> AsyncGenerator[bytes]:
    yield start
    while True:
        yield piece


_ANSWERS: dict[str, Callable[[int], AsyncGenerator[bytes]]] = {
    "a line without an end": lambda _: _endless(head("text/event-stream") + b"data: ", b"x" * 1_000_000),
    "an event without an end": lambda _: _endless(head("text/event-stream"), b"data: " + b"x" * 1_000_000 + b"\n"),
    "a body without an end": lambda _: _endless(head("application/json") + b"[", b" " * 1_000_000),
}


def _pieces(*pieces: bytes) -> AsyncGenerator[bytes]:
    async def send() -> AsyncGenerator[bytes]:
        for piece in pieces:
            yield piece

    return send()


def _compressed(id_: int) -> AsyncGenerator[bytes]:
    start, _, body = _json(id_, {**_SUM, "padding": " " * 64_000_000}).partition(b"\r\n\r\n")
    packed = zlib.compress(body)
    start = head("application/json", length=len(packed)).replace(b"\r\n\r\n", b"\r\nContent-Encoding: deflate\r\n\r\n")
    return _pieces(start, packed)


def _shorter_than_it_says(id_: int) -> AsyncGenerator[bytes]:
    _, _, body = _json(id_, _SUM).partition(b"\r\n\r\n")
    return _pieces(head("application/json", length=len(body) + 100), body)


@pytest.mark.parametrize(
    "answer", [*_ANSWERS.values(), _compressed, _shorter_than_it_says], ids=[*_ANSWERS, "compressed", "short"]
)
async def test_a_call_whose_answer_has_no_bound_or_no_end_fails(answer: Callable[[int], AsyncGenerator[bytes]]) -> None:
    forgetful = Forgetful()

    async def script(request: Request) -> AsyncGenerator[bytes]:
        is_call = request.method == "POST" and request.json["method"] == "tools/call"
        async with aclosing(answer(request.json["id"]) if is_call else forgetful.script(request)) as pieces:
            async for piece in pieces:
                yield piece

    async with ScriptedService(script) as service:
        server = MCPServer(url=f"{service.url}/mcp")
        async with client_of(runtime_with(server)) as client, asyncio.timeout(40):
            failed = results(await play_on(client, *call("c", "add")))
    assert "Execution failed" in json.loads(failed["c"])["error"]["message"]
