"""Trying again while a server does not answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential, wait_random

from .interface import AgentState, StateStore, StoreUnavailableError

T = TypeVar("T")


async def retry_unavailable(attempt: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Repeats ``attempt`` with growing pauses until the store answers.

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


async def save_patiently(
    store: StateStore, thread_id: str, agent_name: str, state: AgentState, *, seconds: float
) -> AgentState:
    """Saves a finished turn through an outage of the store. The last writer wins, so that repeating is safe.

    Args:
        store: Where to save.
        thread_id: The thread, on which the caller holds the run lock.
        agent_name: The agent.
        state: What to keep.
        seconds: How long to go on before giving up.

    Raises:
        StoreUnavailableError: The store did not answer in time.
    """
    return await retry_unavailable(lambda: store.save(thread_id, agent_name, state), seconds)
