"""Waiting for what must come to pass, no longer than a test may take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110  # a server's clock cannot be awaited
            await asyncio.sleep(0.02)
