"""Framing of a response's parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Framing:
    """The bytes before the parts, around each, and behind them; ``ping`` may come between."""

    opening: bytes
    part: Callable[[bytes], bytes]
    closing: bytes
    ping: bytes | None = None


def header_pairs(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Return headers as ASGI takes them."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
