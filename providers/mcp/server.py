"""MCP servers and how to reach them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from ...runtime.errors import MisuseError

Transport: TypeAlias = Literal["http", "sse", "stdio"]
Given: TypeAlias = "MCPServer | str | Mapping[str, Any]"


class MCPServer(msgspec.Struct, frozen=True, kw_only=True):
    """An MCP server: one behind a ``url``, or a ``command`` to start. Times are in seconds.

    ``transport``: ``http`` (streamable HTTP), ``sse`` or ``stdio``; None for what ``url`` and ``command`` suggest:
    a URL whose path ends with ``/sse`` is an SSE server.
    ``api_key``: sent as a bearer token. ``headers``: sent with every request.
    ``args``, ``env``, ``cwd``: of the command; ``env`` is added to a minimal environment.
    ``connect_timeout``: how long connecting and listing the tools may take. ``call_timeout``: one call of a tool.
    ``tools_lifetime``: how long a list of tools is remembered. ``retry_after``: how long a server that failed is
    left alone.
    ``server_id``: the server's name towards clients that draw its apps; by default one that its address determines.
    ``agent_id``: the only agent that has the server, the model as ``default``; None for all.
    ``app_resources``: how the addresses begin of the resources that the pages of its apps may read.
    """

    url: str | None = None
    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] | None = None
    cwd: str | None = None
    transport: Transport | None = None
    api_key: str | None = None
    headers: dict[str, str] = {}
    connect_timeout: float = 10.0
    call_timeout: float = 60.0
    tools_lifetime: float = 300.0
    retry_after: float = 30.0
    server_id: str | None = None
    agent_id: str | None = None
    app_resources: tuple[str, ...] = ("ui://",)

    @property
    def name(self) -> str:
        """The server's name in descriptions and logs: its URL without what may be secret, or its command."""
        if self.url is None:
            return str(self.command)
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"

    @property
    def hash(self) -> str:
        """What stands for the server where its address is not to be seen. Credentials are no part of it."""
        address = self.url if self.url is not None else [self.command, *self.args]
        return sha256(msgspec.json.encode([self.kind, address])).hexdigest()[:32]

    @property
    def kind(self) -> Transport:
        """The transport."""
        if self.transport is not None:
            return self.transport
        if self.url is None:
            return "stdio"
        return "sse" if urlsplit(self.url).path.rstrip("/").endswith("/sse") else "http"

    def is_for(self, agent: str) -> bool:
        """Return whether an agent, or the model as ``default``, has the server."""
        return self.agent_id in (None, agent)

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers to send, with the key."""
        return {**({"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}), **self.headers}


def servers_of(given: Iterable[Given]) -> list[MCPServer]:
    """Read what users list as MCP servers: ``MCPServer`` objects, URLs, or ``{"endpoint": ..., "apiKey": ...}``.

    Raises:
        MisuseError: Something else is among them, or a server has neither URL nor command, or both.
    """
    return [_checked(_server_of(one)) for one in given]


def _server_of(given: Given) -> MCPServer:
    match given:
        case MCPServer():
            return given
        case str():
            return MCPServer(url=given)
        case {"endpoint": str(url)} | {"url": str(url)}:
            return MCPServer(
                url=url,
                api_key=_text(given, "apiKey"),
                server_id=_text(given, "serverId"),
                agent_id=_text(given, "agentId"),
            )
        case _:
            raise MisuseError(f"{type(given).__name__} is not an MCP server: give a URL or an MCPServer.")


def _text(given: Mapping[str, Any], key: str) -> str | None:
    value = given.get(key)
    return value if isinstance(value, str) and value else None


def _checked(server: MCPServer) -> MCPServer:
    if (server.url is None) == (server.command is None):
        raise MisuseError("An MCP server has either a url or a command.")
    if server.url is not None and not is_http_url(server.url):
        raise MisuseError("The URL of an MCP server begins with http:// or https:// and names a host.")
    if (server.url is None) != (server.kind == "stdio"):
        raise MisuseError("An MCP server's transport is stdio if and only if it has a command.")
    return server


def is_http_url(url: str) -> bool:
    """Return whether ``url`` is absolute, of HTTP, and without a user or a fragment."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc and not parts.fragment


class AllowList:
    """The URLs that clients may name: those below one of ``prefixes``, compared part by part and not as text.

    Args:
        prefixes: URLs. Scheme, host and port must be equal; the path must be the prefix's, or below it.

    Raises:
        MisuseError: A prefix is not an HTTP URL.
    """

    def __init__(self, prefixes: Iterable[str]) -> None:
        listed = list(prefixes)
        if not all(is_http_url(prefix) for prefix in listed):
            raise MisuseError("mcp_client_urls holds something that is not an http:// or https:// URL.")
        self._prefixes = [_parts(prefix) for prefix in listed]

    def admits(self, url: str) -> bool:
        """Return whether ``url`` may be called."""
        if not is_http_url(url) or "\\" in url:
            return False
        origin, path = _parts(url)
        if any(part in (".", "..") for part in path) or "%2" in url.lower():
            return False
        return any(origin == allowed and path[: len(below)] == below for allowed, below in self._prefixes)


def _parts(url: str) -> tuple[tuple[str, str, int], list[str]]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return (parts.scheme, (parts.hostname or "").lower(), port), [part for part in parts.path.split("/") if part]
