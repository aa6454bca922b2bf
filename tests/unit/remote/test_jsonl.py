from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilotkit_runtime.providers.remote.jsonl import read_lines
from copilotkit_runtime.runtime.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BODY = '{"a":1}\r\n\n{"b":"ü🎈"}\n[2]'.encode()


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def read(*parts: bytes, **options: Any) -> list[Any]:
    return [line async for line in read_lines(pieces(*parts), **options)]


@given(st.lists(st.integers(0, len(BODY)), max_size=8))
async def test_lines_are_the_same_wherever_the_body_is_cut(cuts: list[int]) -> None:
    borders = [0, *sorted(cuts), len(BODY)]
    parts = [BODY[start:end] for start, end in zip(borders, borders[1:], strict=False)]  # noqa: RUF007
    assert await read(*parts) == [{"a": 1}, {"b": "ü🎈"}, [2]]


async def test_what_pythons_own_encoder_writes_is_read() -> None:
    written = {"half": "\ud83d", "whole": "🚀", "none": float("nan")}
    assert await read(json.dumps(written).encode()) == [{**written, "none": None}]


async def test_a_body_without_lines_holds_nothing() -> None:
    assert await read(b"", b" \n\n") == []


@pytest.mark.parametrize("body", [b"{\n", b"not json", b'{"a":1}\n{"a"', b"\xff\n"])
async def test_what_is_not_json_is_a_typed_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        await read(body)


async def test_an_endless_line_is_given_up() -> None:
    with pytest.raises(ProtocolError, match="more than 100 bytes"):
        await read(*[b"x" * 30] * 5, max_line_bytes=100)
