"""Trying again while a server does not answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import ParamSpec, TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential, wait_random

from .errors import StoreUnavailableError

P = ParamSpec("P")
T = TypeVar("T")


async def retry_unavailable(attempt: Callable[P, Awaitable[T]], seconds: float, *args: P.args, **kwargs: P.kwargs) -> T:
    """Repeat ``attempt`` with growing pauses until the store answers.

    Args:
        attempt: Something that does no harm when done twice.
        seconds: How long to go on before giving up.
        args: What it is called with.
        kwargs: The same, by name.

    Raises:
        StoreUnavailableError: The store did not answer in time.
    """
    try:
        return await attempt(*args, **kwargs)
    except StoreUnavailableError:
        return await _again(partial(attempt, *args, **kwargs), seconds)


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
