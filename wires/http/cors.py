"""Cross-origin headers, on every answer of the endpoint (docs/contract.md, section 1.2)."""

from __future__ import annotations

from starlette.datastructures import Headers

HeaderPairs = list[tuple[str, str]]


EVERY_METHOD = "GET, HEAD, PUT, POST, DELETE, PATCH, OPTIONS"
WITHOUT_PREFLIGHT = frozenset({"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"})
"""The types of bodies that browsers post to other origins without asking first."""
MAX_ORIGIN_CHARACTERS = 512
"""A name on the internet has 253 characters at most. What is longer is no page's, and is not repeated."""
MAX_REQUESTED_CHARACTERS = 4096
"""Of what a preflight asks for: the names of the headers that a page wants to send, and its method."""


def admits(origin: str | None, origins: tuple[str, ...]) -> bool:
    """Return whether pages of an origin may read answers."""
    return origin in origins or ("*" in origins and len(origin or "") <= MAX_ORIGIN_CHARACTERS)


def cors_headers(
    headers: Headers, origins: tuple[str, ...], credentials: bool | None = None, *, wildcard: bool = False
) -> HeaderPairs:
    """Return the headers that let the request's origin read the answer.

    A named origin may send credentials unless ``credentials`` is False; one that only ``*`` admits may not, and gets
    ``*`` itself as the answer if ``wildcard``, whether or not it is named in the request. Where origins are named,
    caches are to keep an answer for each, also of those that may not read it.
    """
    origin = headers.get("origin")
    named = origin in origins
    varies = [("vary", "Origin")] if origins != ("*",) else []
    if wildcard and "*" in origins and not named:
        return [("access-control-allow-origin", "*"), *varies]
    if origin is None or not admits(origin, origins):
        return varies
    admitted = [("access-control-allow-origin", origin), ("vary", "Origin")]
    trusted = named and credentials is not False
    return [*admitted, ("access-control-allow-credentials", "true")] if trusted else admitted


def preflight_headers(
    headers: Headers, origins: tuple[str, ...], credentials: bool | None = None, *, wildcard: bool = False
) -> HeaderPairs:
    """Return the answer to a preflight request: what was asked for is allowed, unless it is too long to be repeated."""
    admitted = cors_headers(headers, origins, credentials, wildcard=wildcard)
    if "access-control-allow-origin" not in dict(admitted):
        return admitted
    method = headers.get("access-control-request-method")
    requested = {
        "access-control-allow-methods": EVERY_METHOD if wildcard else method,
        "access-control-allow-headers": headers.get("access-control-request-headers"),
    }
    allowed = [(name, value) for name, value in requested.items() if value and len(value) <= MAX_REQUESTED_CHARACTERS]
    return [*admitted, *allowed, ("vary", "Access-Control-Request-Headers")]
