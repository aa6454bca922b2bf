"""This runtime's own server, in the process of the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from copilotkit_runtime.server.cli.listening import acceptors, bind
from copilotkit_runtime.server.cli.request_heads import ServerConfig


@asynccontextmanager
async def own_server(application: ASGIApp) -> AsyncIterator[tuple[uvicorn.Server, tuple[str, int]]]:
    """Serve an application on a free port; provide the server and its address."""
    listener = bind("127.0.0.1", 0)
    config = ServerConfig(
        application, max_header_bytes=4096, request_head_seconds=60, lifespan="off", log_config=None, access_log=False
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    sockets = acceptors(listener)
    await server.startup(sockets)
    try:
        yield server, listener.getsockname()
    finally:
        await server.shutdown(sockets)
