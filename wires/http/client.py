"""The HTTP side of a client's request."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatch
from functools import lru_cache
from typing import Any

import msgspec

NEVER_FORWARDED = frozenset({"cookie", "set-cookie", "x-api-key", "x-copilotcloud-public-api-key"})


class ClientRequest(msgspec.Struct, kw_only=True, frozen=True):
    """The caller, and the headers of the request (names in lower case).

    ``identity`` and ``claims`` come from authentication; ``address`` is the client's.
    """

    headers: Mapping[str, str]
    identity: str | None = None
    claims: Mapping[str, Any] = {}
    address: str | None = None

    @property
    def cloud_key(self) -> str | None:
        """Return the client's Copilot Cloud public key."""
        return self.headers.get("x-copilotcloud-public-api-key") or None

    def forwarded(self, patterns: tuple[str, ...]) -> dict[str, str]:
        """Return the headers that providers may see."""
        if not patterns:
            return {}
        return {name: value for name, value in self.headers.items() if _passes(name, patterns)}


def _passes(name: str, patterns: tuple[str, ...]) -> bool:
    return (_remembered if len(name) <= _REMEMBERED_CHARACTERS else _is_forwarded)(name, patterns)


def _is_forwarded(name: str, patterns: tuple[str, ...]) -> bool:
    return name not in NEVER_FORWARDED and any(fnmatch(name, pattern) for pattern in patterns)


# Clients send the same dozen names with each request.
_REMEMBERED_CHARACTERS = 64
_remembered = lru_cache(maxsize=512)(_is_forwarded)
