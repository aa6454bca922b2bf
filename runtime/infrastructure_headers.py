"""The request headers that proxies and hosting platforms add, which mean nothing beyond their connection."""

from __future__ import annotations

_HOPS = frozenset(
    {
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-server",
        "x-real-ip",
        "x-amzn-trace-id",
        "x-amz-cf-id",
        "x-cloud-trace-context",
        "x-cache",
        "x-served-by",
        "x-request-id",
    }
)
_PLATFORMS = ("x-amz-", "x-azure-", "x-fastly-", "x-vercel-", "x-middleware-", "x-copilotcloud-")


def is_infrastructure(name: str) -> bool:
    """Return whether a proxy or a platform adds the header ``name``, which is in lower case."""
    return name in _HOPS or name.startswith(_PLATFORMS)
