"""A framework whose agents stream words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any


async def stream(_messages: list[Any]) -> AsyncIterator[str]:
    """An answer."""
    for word in ("Hello ", "from ", "my framework."):
        yield word
