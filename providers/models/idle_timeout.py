"""A limit on how long a stream may stay silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

from .streams import closing

T = TypeVar("T")


async def unless_silent(items: AsyncIterator[T], seconds: float) -> AsyncGenerator[T]:
    """Yield the same items. Closes ``items`` when it is closed itself.

    Raises:
        TimeoutError: The next item took longer than ``seconds``.
    """
    async with closing(items):
        while True:
            async with asyncio.timeout(seconds):
                item = await anext(items, _END)
            if item is _END:
                return
            yield item  # type: ignore[misc]


_END = object()
