"""Which of a request's headers agents see."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatch
from functools import lru_cache

from ...runtime.infrastructure_headers import is_infrastructure
from ..http.client import NEVER_FORWARDED


def forwarded_headers(headers: Mapping[str, str], patterns: tuple[str, ...], denied: tuple[str, ...]) -> dict[str, str]:
    """Return the headers that agents see: ``authorization`` and those that match the settings.

    Cookies, keys of this server, and what proxies and platforms add are never among them, unless a pattern names
    such a platform's header itself.

    Args:
        headers: The request's headers, names in lower case.
        patterns: The setting ``forward_headers``. As long as it lets all of ``x-*`` through, the tokens of
            ``authorization`` pass too; a narrower list is taken as it is.
        denied: The setting ``deny_headers``: patterns of names that are taken off.
    """
    return {name: value for name, value in headers.items() if _passes(name, patterns, denied)}


def _passes(name: str, patterns: tuple[str, ...], denied: tuple[str, ...]) -> bool:
    return (_remembered if len(name) <= _REMEMBERED_CHARACTERS else _is_forwarded)(name, patterns, denied)


def _is_forwarded(name: str, patterns: tuple[str, ...], denied: tuple[str, ...]) -> bool:
    wide = "x-*" in patterns
    allowed = (*patterns, "authorization") if wide else patterns
    return (
        name not in NEVER_FORWARDED
        and _matches(name, allowed)
        and not (wide and is_infrastructure(name) and name not in patterns)
        and not _matches(name, denied)
    )


# Clients send the same dozen names with each request.
_REMEMBERED_CHARACTERS = 64
_remembered = lru_cache(maxsize=512)(_is_forwarded)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern.lower()) for pattern in patterns)
