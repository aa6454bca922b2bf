"""One MCP session, kept by a task of its own."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import structlog

from ...runtime.errors import NetworkError
from .library import Session, call_tool, list_tools, session_on, streams
from .server import MCPServer

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 5.0
PAGES_BOUND = 100


class MCPConnection:
    """A session with one server, from ``open`` to ``close``.

    The library's contexts must be left by the task that entered them, so that a task of the connection's own enters
    them and waits to be told to leave.

    Args:
        server: The server.
    """

    def __init__(self, server: MCPServer) -> None:
        self._server = server
        self._closing = asyncio.Event()
        self._opened: asyncio.Future[Session] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether the session goes on, as far as is known."""
        return self._task is not None and not self._task.done()

    async def open(self) -> None:
        """Connects.

        Raises:
            NetworkError: The server cannot be reached, or does not speak MCP.
            TimeoutError: It did not answer in time.
        """
        self._opened = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._keep(self._opened), name=f"mcp {self._server.name}")
        try:
            async with asyncio.timeout(self._server.connect_timeout):
                await asyncio.shield(self._opened)
        except BaseException:
            await self.close()
            raise

    async def tools(self) -> list[dict[str, Any]]:
        """All tools of the server in MCP's JSON, page by page. Raises as ``open``, or what the library raises."""
        session = await self._session()
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        async with asyncio.timeout(self._server.connect_timeout):
            for _ in range(PAGES_BOUND):
                page = await list_tools(session, cursor)
                found += page["tools"]
                cursor = page.get("nextCursor")
                if not cursor:
                    break
        return found

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Calls a tool, once; returns its result in MCP's JSON. Raises what the library raises."""
        return await call_tool(await self._session(), tool, arguments, self._server.call_timeout)

    async def close(self) -> None:
        """Ends the session, and the server if it is a command."""
        if self._task is None:
            return
        self._closing.set()
        opened = self._opened is not None and self._opened.done()
        await asyncio.wait([self._task], timeout=CLOSE_SECONDS if opened else 0)
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _session(self) -> Session:
        if self._opened is None or not self.alive:
            raise NetworkError(f"There is no connection to the MCP server {self._server.name}.")
        return await asyncio.shield(self._opened)

    async def _keep(self, opened: asyncio.Future[Session]) -> None:
        try:
            async with AsyncExitStack() as stack:
                read, write = await stack.enter_async_context(streams(self._server))
                session = await stack.enter_async_context(session_on(read, write))
                await session.initialize()
                opened.set_result(session)
                await self._closing.wait()
        except Exception as error:  # noqa: BLE001 - the library raises groups of whatever went wrong
            self._tell(opened, error)
        finally:
            if not opened.done():
                opened.cancel()

    def _tell(self, opened: asyncio.Future[Session], error: Exception) -> None:
        if opened.done():
            log.warning("mcp_session_broke", server=self._server.name, exc_info=error)
            return
        failure = NetworkError(f"The MCP server {self._server.name} could not be reached.")
        failure.__cause__ = error
        opened.set_exception(failure)
