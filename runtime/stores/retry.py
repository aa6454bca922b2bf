"""Trying again while a server does not answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential, wait_random

from .errors import StoreUnavailableError

T = TypeVar("T")


async def retry_unavailable(attempt: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Repeat ``attempt`` with growing pauses until the store answers.

    Args:
        attempt: Something that does no harm when done twice.
        seconds: How long to go on before giving up.

    Raises:
        StoreUnavailableError: The store did not answer in time.
    """
    try:
        return await attempt()
    except StoreUnavailableError:
        return await _again(attempt, seconds)


async def _again(attempt: Callable[[], Awaitable[T]], seconds: float) -> T:
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(StoreUnavailableError),
        wait=wait_exponential(multiplier=0.05, max=1.0) + wait_random(0, 0.1),
        stop=stop_after_delay(seconds),
        reraise=True,
    )
    async for trial in retrying:
        with trial:
            result = await attempt()
    return result
