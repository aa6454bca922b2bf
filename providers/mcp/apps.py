"""The apps of MCP servers: tools that bring an interface, and what the page of an app may ask its server for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import msgspec
import structlog

from ...runtime.actions import Action, ActionSource
from ...runtime.actions.results import ActionResult, Activity
from ...runtime.cancellation import end_tasks
from ...runtime.context import RunContext
from ...runtime.errors import ActionError, MisuseError
from ...runtime.generated_ui.apps import APP_ACTIVITY, AppRequest, AppServers
from ...runtime.per_loop import PerLoop
from .library import ping, read_resource, send_log
from .results import error_text, result_value
from .server import Given, MCPServer, servers_of
from .toolbox import MCPToolbox, failure_text, first_of_each_name

log = structlog.get_logger(__name__)

CONCURRENT_REQUESTS = 16
"""How many requests of pages one server gets at a time; others wait."""


class MCPApps(ActionSource, AppServers):
    """The tools of MCP servers that bring an interface, and the servers as their pages see them.

    Args:
        servers: As for ``MCPSource``.
        max_bytes: How large the result of a tool, or an answer to a page, may be.

    Raises:
        MisuseError: An entry is not a server, or two of them look the same.
    """

    name = "mcp apps"

    def __init__(self, servers: Iterable[Given], *, max_bytes: int) -> None:
        self._toolboxes = [AppToolbox(server, max_bytes) for server in servers_of(servers)]
        self.seconds = max((toolbox.server.connect_timeout + 1 for toolbox in self._toolboxes), default=0.0)
        self._by_name = _named(self._toolboxes)
        self._warming: asyncio.Task[Any] | None = None

    async def actions(self, context: RunContext) -> Sequence[Action]:
        """Return the tools that bring an interface; of those that one agent has, the first of a name wins."""
        return first_of_each_name(await asyncio.gather(*(toolbox.actions() for toolbox in self._toolboxes)))

    async def request(self, request: AppRequest) -> Any:
        """Return the answer of the server that is named.

        Raises:
            ActionError: The server is unknown, the page may not ask for this, or the server failed.
        """
        toolbox = self._by_name.get(request.server_id or "") or self._by_name.get(request.server_hash or "")
        if toolbox is None or not toolbox.server.is_for(request.agent):
            raise ActionError("Unknown MCP server.")
        return await toolbox.request(request)

    async def start(self) -> None:
        """Begin to connect, so that the first request need not wait for all of it."""
        self._warming = asyncio.create_task(self.actions(RunContext()), name="mcp app connections")

    async def stop(self) -> None:
        """End all connections."""
        if self._warming is not None:
            await end_tasks(self._warming)
        await asyncio.gather(*(toolbox.close() for toolbox in self._toolboxes))


class AppToolbox(MCPToolbox):
    """The tools of one server that bring an interface, and what its pages may ask for.

    Args:
        server: The server.
        max_bytes: How large a result, or an answer, may be.
    """

    draws_apps: ClassVar[bool] = True

    def __init__(self, server: MCPServer, max_bytes: int) -> None:
        super().__init__(server)
        self._max_bytes = max_bytes
        self._tools: dict[str, dict[str, Any]] = {}
        self._room = PerLoop(lambda: asyncio.Semaphore(CONCURRENT_REQUESTS))

    async def request(self, request: AppRequest) -> Any:
        """Return the server's answer to a page.

        Raises:
            ActionError: The page may not ask for this, or the server failed.
        """
        await self.actions()
        ask = self._permitted(request)
        try:
            async with self._room.here, asyncio.timeout(self.server.call_timeout):
                answer = await ask()
        except Exception as error:
            log.exception("mcp_app_request_failed", server=self.server.name, method=request.method)
            raise ActionError("The MCP server failed.") from error
        self._check_size(answer)
        return answer

    def _permitted(self, request: AppRequest) -> Callable[[], Awaitable[dict[str, Any]]]:
        """Return what asks the server, if a page may ask for it.

        Raises:
            ActionError: It may not.
        """
        params = request.params
        match request.method:
            case "tools/call":
                return partial(self._answer, self._tool_of(params), _object(params.get("arguments")))
            case "resources/read":
                return partial(self._ask, partial(read_resource, uri=self._resource_of(params)))
            case "notifications/message":
                return partial(self._ask, partial(send_log, params=params))
            case "ping":
                return partial(self._ask, ping)
            case _:
                raise ActionError(f"Pages of apps may not ask for '{request.method[:100]}'.")

    def _tool_of(self, params: Mapping[str, Any]) -> str:
        name = params.get("name")
        tool = self._tools.get(name) if isinstance(name, str) else None
        if tool is None or not _is_visible(tool, "app"):
            raise ActionError(f"Pages of apps may not call the tool '{str(name)[:100]}'.")
        return str(tool["name"])

    def _resource_of(self, params: Mapping[str, Any]) -> str:
        uri = params.get("uri")
        drawn = (interface_of(tool) for tool in self._tools.values())
        if not isinstance(uri, str) or not (uri.startswith(self.server.app_resources) or uri in drawn):
            raise ActionError(f"Pages of apps may not read the resource '{str(uri)[:200]}'.")
        return uri

    async def _ask(self, ask: Any) -> dict[str, Any]:
        return await (await self._connected()).ask(ask)

    def _check_size(self, answer: Any) -> None:
        if len(msgspec.json.encode(answer)) > self._max_bytes:
            raise ActionError("The answer of the MCP server is too large.")

    def _actions_of(self, tools: list[dict[str, Any]]) -> list[Action]:
        self._tools = {tool["name"]: tool for tool in tools}
        return [self._action(tool) for tool in tools if interface_of(tool) is not None and _is_visible(tool, "model")]

    def _result(self, tool: dict[str, Any], arguments: dict[str, Any], result: dict[str, Any]) -> ActionResult:
        self._check_size(result)
        content = {
            "result": result,
            "resourceUri": interface_of(tool),
            "serverHash": self.server.hash,
            "toolInput": arguments,
            **({"serverId": self.server.server_id} if self.server.server_id else {}),
        }
        drawn = Activity(activity_type=APP_ACTIVITY, content=content)
        if result.get("isError"):
            return ActionResult(value=failure_text(tool["name"], error_text(result)), activity=drawn, failed=True)
        return ActionResult(value=result_value(result), activity=drawn)


def interface_of(tool: Mapping[str, Any]) -> str | None:
    """Return the address of the interface that a tool brings, if it brings one."""
    meta = _object(tool.get("_meta"))
    uri = _object(meta.get("ui")).get("resourceUri") or meta.get("ui/resourceUri")
    return uri if isinstance(uri, str) else None


def _is_visible(tool: Mapping[str, Any], to: str) -> bool:
    """Return whether a tool is for models (``model``) or pages (``app``): both, if its server does not declare it."""
    visibility = _object(_object(tool.get("_meta")).get("ui")).get("visibility")
    return visibility is None or (isinstance(visibility, list) and to in visibility)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _named(toolboxes: Iterable[AppToolbox]) -> dict[str, AppToolbox]:
    """Return the servers by their ids, and by their hashes where a hash belongs to only one.

    Raises:
        MisuseError: Two have the same id, or the same address and no id.
    """
    named: dict[str, AppToolbox] = {}
    by_hash: dict[str, list[AppToolbox]] = {}
    for toolbox in toolboxes:
        by_hash.setdefault(toolbox.server.hash, []).append(toolbox)
        if toolbox.server.server_id in named:
            raise MisuseError(f"Two MCP servers have the server_id '{toolbox.server.server_id}'.")
        if toolbox.server.server_id is not None:
            named[toolbox.server.server_id] = toolbox
    for hash_, alike in by_hash.items():
        if len(alike) == 1:
            named[hash_] = alike[0]
        elif any(toolbox.server.server_id is None for toolbox in alike):
            raise MisuseError(f"Several MCP servers at {alike[0].server.name} need a server_id each.")
    return named
