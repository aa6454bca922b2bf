"""A runtime served in the test's own process, on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn

from copilotkit_runtime import CopilotRuntime

PATH = "/api/copilotkit"


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Serves an ASGI application; gives its origin."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="on"))
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:
            if serving.done():
                raise RuntimeError("the server did not start")
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def client_of(runtime: CopilotRuntime) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a served runtime."""
    async with served(runtime.create_app()) as origin, httpx.AsyncClient(base_url=origin, timeout=20) as client:
        yield client
