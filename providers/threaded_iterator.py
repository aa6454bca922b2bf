"""Iterators that block, read from a thread."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Generator, Iterator
from typing import TypeVar

T = TypeVar("T")

_END = object()


async def in_thread(items: Iterator[T]) -> AsyncGenerator[T]:
    """Yield ``items``, each computed in a thread. Closing this closes a generator that is not at work."""
    try:
        while (item := await asyncio.to_thread(next, items, _END)) is not _END:
            yield item  # type: ignore[misc]
    finally:
        if isinstance(items, Generator) and inspect.getgeneratorstate(items) != inspect.GEN_RUNNING:
            items.close()
