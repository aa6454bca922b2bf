"""One MCP session, kept by a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import structlog

from ...runtime.cancellation import end_tasks
from ...runtime.errors import NetworkError
from .library import CALL_MARK, Session, call_tool, list_tools, session_on, streams
from .server import MCPServer

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 5.0
PAGES_BOUND = 100


class CallLostError(NetworkError):
    """The connection broke before a call was answered. ``delivered`` is whether the call may have been executed."""

    def __init__(self, server: str, *, delivered: bool) -> None:
        super().__init__(f"The connection to the MCP server {server} broke before it answered.")
        self.delivered = delivered


class MCPConnection:
    """A session with one server, from ``open`` to ``close``.

    The library's contexts must be left by the task that entered them, so that a task of the connection's own enters
    them and waits until it is to leave.

    Args:
        server: The server.
        on_tools_changed: Called when the server reports that its tools have changed.
        draws_apps: Whether the server is to show the interfaces of its tools.
    """

    def __init__(
        self, server: MCPServer, on_tools_changed: Callable[[], None] = lambda: None, *, draws_apps: bool = False
    ) -> None:
        self._server = server
        self._draws_apps = draws_apps
        self._on_tools_changed = on_tools_changed
        self._lost: dict[str, asyncio.Future[bool]] = {}
        self._broken = False
        self._closing = asyncio.Event()
        self._opened: asyncio.Future[Session] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether the session goes on, as far as is known."""
        return self._task is not None and not self._task.done() and not self._broken

    async def open(self) -> None:
        """Connect.

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
        """Return all tools of the server in MCP's JSON. Raises as ``open``, or what the library raises."""
        session = await self._session()
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        async with asyncio.timeout(self._server.connect_timeout):
            for _ in range(PAGES_BOUND):
                listed = await list_tools(session, cursor)
                found += listed["tools"]
                cursor = listed.get("nextCursor")
                if not cursor:
                    break
        return found

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a tool, once, and return its result in MCP's JSON.

        Raises:
            CallLostError: The connection broke before the answer.
            Exception: What the library raises.
        """
        session, mark, limit = await self._session(), uuid4().hex, self._server.call_timeout
        return await self._answered(mark, call_tool(session, tool, arguments, limit, {CALL_MARK: mark}))

    async def ask(self, ask: Callable[[Session], Coroutine[Any, Any, dict[str, Any]]]) -> dict[str, Any]:
        """Return the answer to a request that may be repeated, within the time for a call. Raises as ``call``."""
        session = await self._session()
        async with asyncio.timeout(self._server.call_timeout):
            return await self._answered(uuid4().hex, ask(session))

    async def _answered(self, mark: str, calling: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
        keeper, lost = self._task, asyncio.get_running_loop().create_future()
        self._lost[mark] = lost
        call = asyncio.create_task(calling, name="mcp request")
        try:
            await asyncio.wait({call, lost, *([keeper] if keeper else ())}, return_when=asyncio.FIRST_COMPLETED)
            if lost.done():
                raise CallLostError(self._server.name, delivered=lost.result())
            if call.done() and (self.alive or call.exception() is None):
                return call.result()
            raise CallLostError(self._server.name, delivered=True)
        finally:
            del self._lost[mark]
            lost.cancel()
            await end_tasks(call)

    def _lose(self, mark: str | None, delivered: bool) -> None:
        """End the call that was lost; without a mark, all of them, because the stream that they share has ended."""
        if mark is None:
            self._broken = True
        for one in list(self._lost) if mark is None else [mark]:
            lost = self._lost.get(one)
            if lost is not None and not lost.done():
                lost.set_result(delivered)

    async def close(self) -> None:
        """End the session, and the server if it is a command."""
        if self._task is None:
            return
        self._closing.set()
        opened = self._opened is not None and self._opened.done()
        await asyncio.wait([self._task], timeout=CLOSE_SECONDS if opened else 0)
        await end_tasks(self._task, again=CLOSE_SECONDS)

    async def _session(self) -> Session:
        if self._opened is None or not self.alive:
            raise NetworkError(f"The MCP server {self._server.name} is not connected.")
        return await asyncio.shield(self._opened)

    async def _keep(self, opened: asyncio.Future[Session]) -> None:
        try:
            async with AsyncExitStack() as stack:
                read, write = await stack.enter_async_context(streams(self._server, self._lose))
                session = await stack.enter_async_context(
                    session_on(read, write, self._on_tools_changed, draws_apps=self._draws_apps)
                )
                await session.initialize()
                opened.set_result(session)
                await self._closing.wait()
        except Exception as error:  # noqa: BLE001 - the library raises groups of whatever went wrong
            self._report(opened, error)
        finally:
            if not opened.done():
                opened.cancel()

    def _report(self, opened: asyncio.Future[Session], error: Exception) -> None:
        if opened.done():
            log.warning("mcp_session_broke", server=self._server.name, exc_info=error)
            return
        failure = NetworkError(f"The MCP server {self._server.name} could not be reached.")
        failure.__cause__ = error
        opened.set_exception(failure)
        opened.exception()  # whoever opened the connection may have been cancelled, and then nobody takes it
