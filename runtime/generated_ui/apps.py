"""Apps of MCP servers: what the page of an app asks its server for, through the client and the runtime."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import msgspec

APP_ACTIVITY = "mcp-apps"
"""The type of the activity messages by which clients draw apps."""


class AppRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What an app's page asks for: an MCP request to the server that ``server_id`` or ``server_hash`` names.

    ``agent`` is the one whose run drew the app; the model is ``default``.
    """

    agent: str
    method: str
    params: dict[str, Any] = {}
    server_hash: str | None = None
    server_id: str | None = None


class AppServers(ABC):
    """The servers that apps come from, and that their pages may ask."""

    @abstractmethod
    async def request(self, request: AppRequest) -> Any:
        """Return the server's answer, in MCP's JSON.

        Raises:
            ActionError: The server is unknown, the page may not ask for this, or the server failed.
        """


def read_app_request(given: Any, agent: str) -> AppRequest | None:
    """Read what a client sends of an app's page, in the name of an agent; None if it is not a request."""
    if not isinstance(given, Mapping) or not isinstance(given.get("method"), str):
        return None
    params, hash_, id_ = given.get("params"), given.get("serverHash"), given.get("serverId")
    return AppRequest(
        agent=agent,
        method=given["method"],
        params=params if isinstance(params, dict) else {},
        server_hash=hash_ if isinstance(hash_, str) else None,
        server_id=id_ if isinstance(id_, str) and id_ else None,
    )
