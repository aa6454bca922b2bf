"""A request's headers are found by name as Starlette finds them."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request as StarletteRequest

from copilotkit_runtime.wires.http.request import Request, RequestHeaders

HEADERS = [
    (b"accept", b"a/b"),
    (b"x-twice", b"first"),
    (b"x-twice", b"second"),
    (b"x-latin", b"\xe9"),
    (b"x-empty", b""),
]


def _scope() -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": "/", "headers": list(HEADERS)}


async def _receive() -> Any:
    raise AssertionError("nobody reads the body")


@pytest.mark.parametrize("name", ["accept", "Accept", "X-TWICE", "x-latin", "x-empty", "x-absent"])
def test_a_header_is_what_starlette_finds(name: str) -> None:
    ours, theirs = Request(_scope(), _receive).headers, StarletteRequest(_scope()).headers
    assert ours.get(name) == theirs.get(name)
    assert ours.get(name, "none") == theirs.get(name, "none")
    assert (name in ours) == (name in theirs)
    if name in theirs:
        assert ours[name] == theirs[name]
    assert ours.getlist(name) == theirs.getlist(name)


def test_an_absent_header_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        Request(_scope(), _receive).headers["x-absent"]


def test_requests_beside_the_gateway_are_read_alike() -> None:
    request = Request(_scope(), _receive)
    assert RequestHeaders.of(request) is request.headers
    assert RequestHeaders.of(StarletteRequest(_scope())).named == request.headers.named
