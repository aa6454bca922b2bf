"""A request to the gateway, whose headers are found by their names.

Starlette's look through all of them for each name, and for one that is not there twice, by an exception; a request is
looked at a dozen times.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar, overload

import starlette.requests
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope

T = TypeVar("T")


class RequestHeaders(Headers):
    """The headers of a request; of those that came twice, the first.

    Args:
        scope: The request's.
    """

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope=scope)
        self.named = {
            (_remembered if len(name) <= _REMEMBERED_CHARACTERS else _decoded)(name): value.decode("latin-1")
            for name, value in reversed(self._list)
        }
        """Values by name, in lower case."""

    @classmethod
    def of(cls, request: HTTPConnection) -> RequestHeaders:
        """Return the headers of a request to the gateway, or beside it."""
        headers = request.headers
        return headers if isinstance(headers, cls) else cls(request.scope)

    def __getitem__(self, key: str) -> str:
        return self.named[key.lower()]

    def __contains__(self, key: Any) -> bool:
        return key.lower() in self.named

    @overload
    def get(self, key: str, /) -> str | None: ...
    @overload
    def get(self, key: str, /, default: str | T) -> str | T: ...
    def get(self, key: str, /, default: Any = None) -> Any:
        """Return the value of a header, or ``default`` if there is none."""
        return self.named.get(key.lower(), default)


class Request(starlette.requests.Request):
    """A request to the gateway.

    Args:
        scope: The request's.
        receive: Returns the parts of its body.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__(scope, receive)
        self._indexed = RequestHeaders(scope)

    @property
    def headers(self) -> RequestHeaders:
        """The request's headers."""
        return self._indexed


def _decoded(name: bytes) -> str:
    return name.decode("latin-1")


# All clients of one kind send the same headers, whose names each open stream would have of its own.
_REMEMBERED_CHARACTERS = 64
_remembered = lru_cache(maxsize=256)(_decoded)
