"""One MCP server's tools as actions: listed when needed, remembered for a while, tried again after a failure."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

import structlog

from ...runtime.actions import Action
from ...runtime.context import RunContext
from ...runtime.errors import ActionError, CopilotKitError
from .connection import MCPConnection
from .server import MCPServer

log = structlog.get_logger(__name__)


class MCPToolbox:
    """The tools of one server.

    Args:
        server: The server.
    """

    def __init__(self, server: MCPServer) -> None:
        self.server = server
        self._connection: MCPConnection | None = None
        self._connecting = asyncio.Lock()
        self._actions: list[Action] | None = None
        self._fresh_until = 0.0
        self._refreshing: asyncio.Task[None] | None = None

    async def actions(self) -> list[Action]:
        """The tools as actions; none while the server does not answer, which is logged.

        Only the first listing is waited for. Later ones go on beside the request, which gets what was known before.
        """
        refreshing = self._refresh()
        if self._actions is None and refreshing is not None:
            await asyncio.wait([refreshing])
        return self._actions or []

    async def close(self) -> None:
        """Ends the connection."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait([self._refreshing])
        async with self._connecting:
            await self._disconnect()

    def _refresh(self) -> asyncio.Task[None] | None:
        if self._refreshing is not None and not self._refreshing.done():
            return self._refreshing
        if monotonic() < self._fresh_until:
            return None
        self._refreshing = asyncio.create_task(self._list(), name=f"mcp tools of {self.server.name}")
        return self._refreshing

    async def _list(self) -> None:
        try:
            tools = await (await self._connected()).tools()
            self._actions = [self._action(tool) for tool in tools]
            self._fresh_until = monotonic() + self.server.tools_lifetime
        except Exception:
            log.exception("mcp_tools_not_listed", server=self.server.name)
            self._actions = []
            self._fresh_until = monotonic() + self.server.retry_after
            async with self._connecting:
                await self._disconnect()

    async def _connected(self) -> MCPConnection:
        async with self._connecting:
            if self._connection is None or not self._connection.alive:
                await self._disconnect()
                connection = MCPConnection(self.server)
                await connection.open()
                self._connection = connection
            return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _action(self, tool: dict[str, Any]) -> Action:
        name: str = tool["name"]

        async def call(_context: RunContext, /, **arguments: Any) -> Any:
            return await self._call(name, arguments)

        description = tool.get("description") or f"MCP tool: {name} (from {self.server.name})"
        # The library's own limit comes first, and is told as the tool's failure.
        return Action(name, description, call, tool["inputSchema"], timeout=self.server.call_timeout + 1)

    async def _call(self, tool: str, arguments: dict[str, Any]) -> Any:
        try:
            result = await (await self._connected()).call(tool, arguments)
        except Exception as error:
            log.exception("mcp_tool_failed", server=self.server.name, tool=tool)
            self._fresh_until = 0.0
            text = error.message if isinstance(error, CopilotKitError) else type(error).__name__
            raise ActionError(f"Execution failed for MCP tool '{tool}': {text}") from error
        if result.get("isError"):
            raise ActionError(f"Execution failed for MCP tool '{tool}': {_text_of(result)}")
        return _value_of(result)


def _text_of(result: dict[str, Any]) -> str:
    return "\n".join(part["text"] for part in result["content"] if part["type"] == "text")


def _value_of(result: dict[str, Any]) -> Any:
    if not result["content"]:
        return result.get("structuredContent")
    if all(part["type"] == "text" for part in result["content"]):
        return _text_of(result)
    return result["content"]
