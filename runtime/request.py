"""What a page asks for with ``generateCopilotResponse``, in the runtime's own terms."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatch
from typing import Any

import msgspec

from .context import RunContext, RunInput, Tool

NEVER_FORWARDED = frozenset({"cookie", "set-cookie", "x-api-key", "x-copilotcloud-public-api-key"})


class ClientRequest(msgspec.Struct, kw_only=True, frozen=True):
    """The HTTP side of a request: header names in lower case.

    ``identity`` and ``claims`` are what authentication found out; ``address`` is the client's.
    """

    headers: Mapping[str, str]
    url: str | None = None
    identity: str | None = None
    claims: Mapping[str, Any] = {}
    address: str | None = None

    @property
    def cloud_key(self) -> str | None:
        """The page's Copilot Cloud public key."""
        return self.headers.get("x-copilotcloud-public-api-key") or None

    def forwarded(self, patterns: tuple[str, ...]) -> dict[str, str]:
        """The headers that providers may see."""
        return {
            name: value
            for name, value in self.headers.items()
            if name not in NEVER_FORWARDED and any(fnmatch(name, pattern) for pattern in patterns)
        }


class FrontendAction(msgspec.Struct, kw_only=True, frozen=True):
    """An action that the page offers. ``remote`` ones are for agents only."""

    tool: Tool
    remote: bool = False


class RunRequest(msgspec.Struct, kw_only=True):
    """One call of ``generateCopilotResponse``: ``agent_name`` is None when the model shall answer."""

    agent_name: str | None
    input: RunInput
    context: RunContext
    frontend_actions: list[FrontendAction] = []
    cloud: dict[str, Any] | None = None
    cloud_key: str | None = None
