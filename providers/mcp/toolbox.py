"""One MCP server's tools as actions: listed when needed, kept for a while, tried again after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Any, ClassVar

import structlog

from ...runtime.actions import Action
from ...runtime.cancellation import end_tasks
from ...runtime.context import RunContext
from ...runtime.errors import ActionError, CopilotKitError
from ...runtime.per_loop import PerLoop
from .connection import CallLostError, MCPConnection
from .results import error_text, result_value
from .server import MCPServer

log = structlog.get_logger(__name__)


class MCPToolbox:
    """The tools of one server.

    Args:
        server: The server.
    """

    draws_apps: ClassVar[bool] = False
    """Whether the server is to show the interfaces of its tools."""

    def __init__(self, server: MCPServer) -> None:
        self.server = server
        self._connection: MCPConnection | None = None
        self._connecting = PerLoop(asyncio.Lock)
        self._actions: list[Action] | None = None
        self._fresh_until = 0.0
        self._refreshing: asyncio.Task[None] | None = None
        self._changed = False
        self._leaving: set[asyncio.Task[None]] = set()

    async def actions(self) -> list[Action]:
        """Return the tools as actions: those that were listed last while the server does not answer.

        The first listing is waited for, and one after the server has reported a change. Others go on beside the
        request.
        """
        refreshing = self._refresh()
        if refreshing is not None and (self._actions is None or self._changed):
            await asyncio.wait([refreshing])
        return self._actions or []

    async def close(self) -> None:
        """End the connection."""
        if self._refreshing is not None:
            await end_tasks(self._refreshing)
        async with self._connecting.here:
            self._leave()
        await asyncio.gather(*self._leaving)

    def _refresh(self) -> asyncio.Task[None] | None:
        if self._refreshing is not None and not self._refreshing.done():
            return self._refreshing
        if monotonic() < self._fresh_until:
            return None
        self._refreshing = asyncio.create_task(self._list(), name=f"mcp tools of {self.server.name}")
        return self._refreshing

    def _tools_changed(self) -> None:
        self._changed = True
        self._fresh_until = 0.0
        self._refresh()

    async def _list(self) -> None:
        try:
            async with asyncio.timeout(self.server.connect_timeout):
                tools = await self._listed()
            self._actions = self._actions_of(tools)
            self._fresh_until = monotonic() + self.server.tools_lifetime
        except Exception:
            log.exception("mcp_tools_not_listed", server=self.server.name)
            # A list that was known is kept: the server may be about to come back.
            self._actions = self._actions or []
            self._fresh_until = monotonic() + self.server.retry_after
            async with self._connecting.here:
                self._leave()

    async def _listed(self) -> list[dict[str, Any]]:
        while True:
            used = self._connection
            connection = await self._connected()
            self._changed = False
            try:
                tools = await connection.tools()
            except Exception:
                if connection is not used:
                    raise
                # The session may be one that a restarted server does not know.
                await self._drop(connection)
                continue
            if not self._changed:
                return tools

    async def _connected(self) -> MCPConnection:
        async with self._connecting.here:
            if self._connection is None or not self._connection.alive:
                self._leave()
                connection = MCPConnection(self.server, self._tools_changed, draws_apps=self.draws_apps)
                await connection.open()
                self._connection = connection
            return self._connection

    async def _drop(self, connection: MCPConnection) -> None:
        """Leave ``connection``, unless another has taken its place."""
        async with self._connecting.here:
            if self._connection is connection:
                self._leave()

    def _leave(self) -> None:
        # Closing takes its time while a server does not answer, and nothing waits for it.
        connection, self._connection = self._connection, None
        if connection is not None:
            leaving = asyncio.create_task(connection.close(), name="mcp disconnection")
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    def _actions_of(self, tools: list[dict[str, Any]]) -> list[Action]:
        """Return the tools that are offered as actions."""
        return [self._action(tool) for tool in tools]

    def _action(self, tool: dict[str, Any]) -> Action:
        name: str = tool["name"]

        async def call(_context: RunContext, /, **arguments: Any) -> Any:
            return self._result(tool, arguments, await self._call(name, arguments))

        description = tool.get("description") or f"MCP tool: {name} (from {self.server.name})"
        # The library's own limit comes first, and is reported as the tool's failure.
        seconds, agent = self.server.call_timeout + 1, self.server.agent_id
        agents = None if agent is None else {agent}
        return Action(name, description, call, tool["inputSchema"], timeout=seconds, agents=agents)

    def _result(self, tool: dict[str, Any], arguments: dict[str, Any], result: dict[str, Any]) -> Any:
        """Return what the action returns for the result of its tool.

        Raises:
            ActionError: The tool failed.
        """
        del arguments
        if result.get("isError"):
            raise ActionError(failure_text(tool["name"], error_text(result)))
        return result_value(result)

    async def _call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._answer(tool, arguments)
        except Exception as error:
            log.exception("mcp_tool_failed", server=self.server.name, tool=tool)
            self._fresh_until = 0.0
            text = error.message if isinstance(error, CopilotKitError) else str(error) or type(error).__name__
            raise ActionError(failure_text(tool, text)) from error

    async def _answer(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        connection = await self._connected()
        try:
            return await connection.call(tool, arguments)
        except CallLostError as error:
            self._fresh_until = 0.0
            await self._drop(connection)
            if error.delivered:
                raise
            # The server never took the call: it was restarted, and wants a new session.
            log.info("mcp_session_lost", server=self.server.name)
        return await (await self._connected()).call(tool, arguments)


def first_of_each_name(listed: Iterable[Sequence[Action]]) -> list[Action]:
    """Return the tools of several servers, for each agent the first of a name."""
    found: dict[tuple[str, frozenset[str] | None], Action] = {}
    for actions in listed:
        for one in actions:
            found.setdefault((one.name, one.agents), one)
    return list(found.values())


def failure_text(tool: str, reason: str) -> str:
    """Return what models and clients read of a call that failed."""
    return f"Execution failed for MCP tool '{tool}': {reason}"
