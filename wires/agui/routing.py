"""The paths of the wire below the shared URL, and the operations that they name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import unquote

from starlette.convertors import Convertor, register_url_convertor

from .refusals import method_not_allowed, not_found


class Target(NamedTuple):
    """An operation and what its path names."""

    operation: str
    names: Mapping[str, str]


class _Path(NamedTuple):
    pattern: re.Pattern[str]
    operations: Mapping[str, str]


def _path(pattern: str, **operations: str) -> _Path:
    return _Path(re.compile(pattern), operations)


# Clients escape the agent's id on run and stop, but not on connect: all between the fixed words is the id.
PATHS = (
    _path("/info", GET="info"),
    _path("/agent/(?P<agent>[^/]+)/run", POST="run"),
    _path("/agent/(?P<agent>.+)/connect", POST="connect"),
    _path("/agent/(?P<agent>[^/]+)/stop/(?P<thread>[^/]+)", POST="stop"),
    _path("/agent/(?P<agent>[^/]+)/suggest", POST="suggest"),
    _path("/threads", GET="threads"),
    _path("/threads/subscribe", POST="subscribe"),
    _path("/threads/clear", POST="clear"),
    _path("/threads/(?P<thread>[^/]+)/messages", GET="thread_messages"),
    _path("/threads/(?P<thread>[^/]+)/events", GET="thread_events"),
    _path("/threads/(?P<thread>[^/]+)/state", GET="thread_state"),
    _path("/threads/(?P<thread>[^/]+)/archive", POST="archive_thread"),
    _path("/threads/(?P<thread>[^/]+)", PATCH="update_thread", DELETE="delete_thread"),
    _path("/annotate", POST="annotate"),
    _path("/transcribe", POST="transcribe"),
    _path("/inspector-metadata", GET="inspector_metadata"),
    _path("/inspector-learning", GET="inspector_learning"),
    _path("/cpk-debug-events", GET="debug_events"),
)


class _Words(Convertor[str]):
    """The paths that begin with a word of this wire's, for applications whose other paths are not ours."""

    regex = (  # ids may have lines
        "(?s:info|agent/.+|threads(?:/.*)?|memories(?:/.*)?|annotate|transcribe"
        "|inspector-metadata|inspector-learning|cpk-debug-events)/?"
    )

    def convert(self, value: str) -> str:
        """Return the path."""
        return value

    def to_string(self, value: str) -> str:
        """Return the path."""
        return value


register_url_convertor("agui", _Words())

_RESOURCES = ("/threads", "/memories", "/annotate")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def find_target(method: str, path: str) -> Target:
    """Find the operation of a path below the shared URL.

    Args:
        method: The HTTP method.
        path: The path as it was sent, without the query; doubled and trailing slashes do not matter.

    Raises:
        JsonRefusal: No operation has this path, or none with this method.
    """
    path = re.sub("/{2,}", "/", path).rstrip("/")
    allowed: Iterable[str] = ()
    for pattern, operations in PATHS:
        match = pattern.fullmatch(path)
        if match is None:
            continue
        names = _decoded(match.groupdict())
        if method in operations:
            return Target(operations[method], names)
        allowed = allowed or operations  # a thread may have the name of an operation
    if allowed:
        raise method_not_allowed(", ".join(allowed))
    raise not_found()


def find_resource(method: str, path: str) -> Target:
    """Find the operation of a path that an envelope names: only threads, memories and annotations.

    Raises:
        JsonRefusal: No operation has this path.
    """
    plain = path.partition("?")[0]
    if not path.startswith("/") or path.startswith("//"):
        raise not_found()
    if not any(plain == resource or plain.startswith(f"{resource}/") for resource in _RESOURCES):
        raise not_found()
    return find_target(method, plain)


def _decoded(names: Mapping[str, str]) -> dict[str, str]:
    decoded = {}
    for key, text in names.items():
        try:
            decoded[key] = unquote(text, errors="strict")
        except UnicodeDecodeError as error:
            raise not_found() from error
        if _BROKEN_ESCAPE.search(text):
            raise not_found()
    return decoded
