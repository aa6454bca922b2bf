from __future__ import annotations

import asyncio
import sys
import threading
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from copilotkit_runtime.providers.mcp import MCPServer
from tests.support.polling import until
from tests.support.ports import free_port

SCRIPT = Path(__file__).with_name("tool_server.py")
PATHS = {"sse": "/sse", "streamable-http": "/mcp"}

Serve: TypeAlias = Callable[..., AbstractAsyncContextManager[str]]


async def until_listening(port: int) -> None:
    """Wait until something listens at a port."""
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                await writer.wait_closed()
                return


@asynccontextmanager
async def running(transport: str, port: int, script: Path = SCRIPT) -> AsyncIterator[Process]:
    """A server process at a port."""
    process = await asyncio.create_subprocess_exec(sys.executable, str(script), transport, str(port))
    try:
        await until_listening(port)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def serve(
    transport: str = "streamable-http", port: int | None = None, script: Path = SCRIPT
) -> AsyncIterator[str]:
    """A server process; gives its URL."""
    chosen = port or free_port()
    async with running(transport, chosen, script):
        yield f"http://127.0.0.1:{chosen}{PATHS[transport]}"


@pytest.fixture(autouse=True)
async def _reaped() -> AsyncIterator[None]:
    """Let the test's loop learn that its processes have ended: the mcp package kills some without waiting for them."""
    yield

    async def all_reaped() -> bool:
        return not any("waitpid" in thread.name for thread in threading.enumerate())

    await until(all_reaped)
    await asyncio.sleep(0)


@pytest.fixture(params=["stdio", "sse", "streamable-http"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[MCPServer]:
    """The same server behind each transport."""
    if request.param == "stdio":
        yield MCPServer(command=sys.executable, args=(str(SCRIPT), "stdio"), connect_timeout=30)
        return
    async with serve(request.param) as url:
        yield MCPServer(url=url, connect_timeout=30)
