"""The tools of MCP servers as a source of actions."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import structlog

from ...runtime.actions import Action, ActionSource
from ...runtime.cancellation import end_tasks
from ...runtime.context import RunContext
from .guidance import mcp_guidance
from .server import AllowList, Given, MCPServer, servers_of
from .toolbox import MCPToolbox, first_of_each_name

log = structlog.get_logger(__name__)

CLIENT_SERVERS_PER_REQUEST = 8
CLIENT_SERVERS_KEPT = 32


class MCPSource(ActionSource):
    """The tools of the runtime's MCP servers, and of those that a client names and the allow-list admits.

    Args:
        servers: ``MCPServer`` objects, URLs, or ``{"endpoint": ..., "apiKey": ...}``.
        client_urls: The servers that a client may name with its properties ``mcpServers`` or ``mcpEndpoints``: URLs,
            each for itself and what is below it. By default none.

    Raises:
        MisuseError: A server or a URL is none.
    """

    name = "mcp"

    def __init__(self, servers: Iterable[Given] = (), *, client_urls: Iterable[str] = ()) -> None:
        self._own = [MCPToolbox(server) for server in servers_of(servers)]
        # Each server keeps to its own time: what is slow to start is not cut off, nor what is quick held up by nothing.
        self.seconds = max((toolbox.server.connect_timeout + 1 for toolbox in self._own), default=0.0)
        self._allowed = AllowList(client_urls)
        self._named: OrderedDict[tuple[str, str | None], MCPToolbox] = OrderedDict()
        self._warming: asyncio.Task[Any] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def actions(self, context: RunContext) -> Sequence[Action]:
        """Return all tools of all servers that answer; for an agent, the first of a name wins."""
        toolboxes = [*self._own, *self._toolboxes_of(context.properties)]
        listed = await asyncio.gather(*(toolbox.actions() for toolbox in toolboxes))
        return first_of_each_name(listed)

    def guidance(self, offered: Sequence[Action]) -> str | None:
        """Return the contract's instructions for MCP tools."""
        return mcp_guidance([one.tool for one in offered])

    async def start(self) -> None:
        """Begin to connect, so that the first request need not wait for all of it."""
        self._warming = asyncio.create_task(self.actions(RunContext()), name="mcp connections")

    async def stop(self) -> None:
        """End all connections."""
        if self._warming is not None:
            await end_tasks(self._warming)
        await asyncio.gather(*(toolbox.close() for toolbox in (*self._own, *self._named.values())), *self._closing)
        self._named.clear()

    def _toolboxes_of(self, properties: dict[str, Any]) -> list[MCPToolbox]:
        named = properties.get("mcpServers") or properties.get("mcpEndpoints") or ()
        servers = [one for one in named if isinstance(one, dict)] if isinstance(named, list) else []
        if len(servers) > CLIENT_SERVERS_PER_REQUEST:
            log.warning("mcp_servers_of_client_left_out", named=len(servers), used=CLIENT_SERVERS_PER_REQUEST)
        toolboxes = (self._toolbox_of(one) for one in servers[:CLIENT_SERVERS_PER_REQUEST])
        return [toolbox for toolbox in toolboxes if toolbox is not None]

    def _toolbox_of(self, named: dict[str, Any]) -> MCPToolbox | None:
        url, key = str(named.get("endpoint") or ""), named.get("apiKey")
        if any(toolbox.server.url == url for toolbox in self._own):
            return None
        if not self._allowed.admits(url):
            log.warning("mcp_server_of_client_refused", url=url[:200])
            return None
        api_key = key if isinstance(key, str) else None
        toolbox = self._named.pop((url, api_key), None) or MCPToolbox(MCPServer(url=url, api_key=api_key))
        self._named[url, api_key] = toolbox
        self._let_go()
        return toolbox

    def _let_go(self) -> None:
        while len(self._named) > CLIENT_SERVERS_KEPT:
            _, oldest = self._named.popitem(last=False)
            closing = asyncio.create_task(oldest.close(), name="mcp disconnection")
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
