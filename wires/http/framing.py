"""Framing of a response's parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Framing:
    """The bytes before the parts, around each, and behind them; ``ping`` may come between."""

    opening: bytes
    part: Callable[[bytes], bytes]
    closing: bytes
    ping: bytes | None = None


def header_pairs(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Return headers as ASGI takes them."""
    return [(_remembered if len(value) <= _REMEMBERED_CHARACTERS else _pair)(name, value) for name, value in headers]


def _pair(name: str, value: str) -> tuple[bytes, bytes]:
    return name.lower().encode("latin-1"), value.encode("latin-1")


# Nearly all headers of an answer are those of every answer.
_REMEMBERED_CHARACTERS = 128
_remembered = lru_cache(maxsize=256)(_pair)
