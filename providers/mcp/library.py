"""The ``mcp`` package in both of its generations: 2.x gave new names to what 1.x calls as MCP's JSON does.

Both read and write the same JSON, so objects of the package are taken as that JSON; the few calls that differ are here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib import import_module
from importlib.metadata import version
from typing import Any, TypeAlias

from ...runtime.optional import optional
from .server import MCPServer
from .watched_http import OnLoss, watched_client

with optional("MCP", "mcp"):
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.sse import sse_client
    from mcp.client.stdio import stdio_client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.types import (
        LoggingMessageNotification,
        LoggingMessageNotificationParams,
        PaginatedRequestParams,
    )
    from pydantic import AnyUrl, BaseModel

Session: TypeAlias = ClientSession
CALL_MARK = "copilotkit.runtime/call"
"""The key in a call's ``_meta`` by which its request is recognised."""

APP_EXTENSION = "io.modelcontextprotocol/ui"
APP_MIME_TYPE = "text/html;profile=mcp-app"

_TOOLS_CHANGED = "notifications/tools/list_changed"
GENERATION = int(version("mcp").partition(".")[0])


def as_json(message: BaseModel) -> dict[str, Any]:
    """Return an object of the package as MCP's JSON has it."""
    return message.model_dump(mode="json", by_alias=True, exclude_none=True)


class _AppSession(ClientSession):
    """A session that declares that it draws apps. Servers show their interfaces to no other client."""

    async def send_request(self, request: Any, *args: Any, **options: Any) -> Any:
        sent = getattr(request, "root", request)
        if sent.method == "initialize":
            sent.params.capabilities.extensions = {APP_EXTENSION: {"mimeTypes": [APP_MIME_TYPE]}}
        return await super().send_request(request, *args, **options)


def session_on(read: Any, write: Any, on_tools_changed: Callable[[], None], *, draws_apps: bool) -> Session:
    """Return a session over the streams of a connection; to be entered and initialized."""

    async def receive(message: Any) -> None:
        if getattr(getattr(message, "root", message), "method", None) == _TOOLS_CHANGED:
            on_tools_changed()

    return (_AppSession if draws_apps else ClientSession)(read, write, message_handler=receive)


async def list_tools(session: Session, cursor: str | None) -> dict[str, Any]:
    """Return one client of a server's tools. Raises what the package raises."""
    return as_json(await session.list_tools(params=PaginatedRequestParams(cursor=cursor)))


async def call_tool(
    session: Session, tool: str, arguments: dict[str, Any], seconds: float, meta: dict[str, Any]
) -> dict[str, Any]:
    """Return the result of a call that may take ``seconds``. Raises what the package raises."""
    limit: Any = timedelta(seconds=seconds) if GENERATION < 2 else seconds
    sent: Any = meta
    return as_json(await session.call_tool(tool, arguments, read_timeout_seconds=limit, meta=sent))


async def read_resource(session: Session, uri: str) -> dict[str, Any]:
    """Return what is in a resource. Raises what the package raises."""
    address: Any = uri if GENERATION > 1 else AnyUrl(uri)
    return as_json(await session.read_resource(address))


async def ping(session: Session) -> dict[str, Any]:
    """Return the answer to a ping. Raises what the package raises."""
    return as_json(await session.send_ping())


async def send_log(session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Send a log message, which has no answer. Raises what the package raises."""
    message: Any = LoggingMessageNotification(
        method="notifications/message", params=LoggingMessageNotificationParams.model_validate(params)
    )
    await session.send_notification(message)
    return {}


@asynccontextmanager
async def streams(server: MCPServer, on_loss: OnLoss) -> AsyncIterator[tuple[Any, Any]]:
    """Open the streams of a connection: what is read from the server, and what is written to it."""
    if server.url is None:
        parameters = StdioServerParameters(
            command=str(server.command), args=list(server.args), env=server.env, cwd=server.cwd
        )
        async with stdio_client(parameters) as (read, write):
            yield read, write
    elif server.kind == "sse":

        def make_client(headers: Any = None, timeout: Any = None, auth: Any = None) -> Any:
            return watched_client(_httpx(), on_loss, CALL_MARK, headers=headers, timeout=timeout, auth=auth)

        async with sse_client(
            server.url, headers=server.all_headers, timeout=server.connect_timeout, httpx_client_factory=make_client
        ) as (read, write):
            yield read, write
    else:
        async with (
            _http_client(server, on_loss) as client,
            streamable_http_client(server.url, http_client=client) as opened,
        ):
            yield opened[0], opened[1]


def _httpx() -> Any:
    return import_module("httpx" if GENERATION < 2 else "httpx2")


def _http_client(server: MCPServer, on_loss: OnLoss) -> Any:
    httpx = _httpx()
    timeout = httpx.Timeout(server.connect_timeout, read=server.call_timeout)
    return watched_client(httpx, on_loss, CALL_MARK, headers=server.all_headers, timeout=timeout)
