"""Headers that make browsers careful with what the endpoint answers (OWASP Secure Headers)."""

from __future__ import annotations

from starlette.types import Scope

HeaderPairs = list[tuple[str, str]]

_ALWAYS = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
]
_STRICT_TRANSPORT = ("strict-transport-security", "max-age=31536000")


def security_headers(scope: Scope) -> HeaderPairs:
    """Return the headers of every answer; over TLS, they make browsers stay with it."""
    return [*_ALWAYS, _STRICT_TRANSPORT] if scope.get("scheme") == "https" else _ALWAYS
