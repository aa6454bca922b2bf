"""The HTTP clients beneath the vendors' SDKs."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

KEPT_ALIVE = 100


def host_of(client: Any) -> str:
    """Return the host, with its port, that an SDK's client sends its requests to."""
    url = client.base_url
    return f"{url.host}:{url.port}" if url.port else str(url.host)


def unlimited(sdk: ModuleType) -> Any:
    """Return the SDK's own HTTP client, without its limit of 1,000 connections: each open answer holds one.

    Args:
        sdk: ``openai`` or ``anthropic``. Their generations stand on different httpx packages, so that the one in use
            is taken from the class.
    """
    kind = sdk.DefaultAsyncHttpxClient
    library = next(base.__module__ for base in kind.__mro__ if base.__name__ == "AsyncClient").partition(".")[0]
    limits = import_module(library).Limits(max_connections=None, max_keepalive_connections=KEPT_ALIVE)
    return kind(limits=limits)
