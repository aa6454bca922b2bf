"""A limit on waiting that costs nothing where nothing has to be waited for.

``asyncio.timeout`` sets a timer and cancels it again. Most of what is limited on the way of a request, a body that has
come whole or a store in memory, is there at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Await ``work``, from the moment on that it waits for a limited time.

    Args:
        seconds: How long it may wait.
        work: What has not begun yet.

    Returns:
        What it returns.

    Raises:
        TimeoutError: It took longer, and was cancelled.
    """
    try:
        waits_for = work.send(None)
    except StopIteration as done:
        found: T = done.value
        return found
    async with asyncio.timeout(seconds):
        return await _Begun(work, waits_for)


async def noticing(seconds: float, work: Coroutine[Any, Any, T], notice: Callable[[], None]) -> T:
    """Await ``work`` for as long as it takes, and call ``notice`` if it waits for more than ``seconds``."""
    try:
        waits_for = work.send(None)
    except StopIteration as done:
        found: T = done.value
        return found
    timer = asyncio.get_running_loop().call_later(seconds, notice)
    try:
        return await _Begun(work, waits_for)
    finally:
        timer.cancel()


class _Begun(Generic[T]):
    """A coroutine that has taken its first step.

    Args:
        work: The coroutine.
        waits_for: What it waits for, as the event loop is to get it.
    """

    def __init__(self, work: Coroutine[Any, Any, T], waits_for: Any) -> None:
        self._work = work
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, T]:
        work, waits_for = self._work, self._waits_for
        while True:
            try:
                step = partial(work.send, (yield waits_for))
            except BaseException as error:  # noqa: BLE001 - it is thrown where the work waits
                step = partial(work.throw, error)
            try:
                waits_for = step()
            except StopIteration as done:
                found: T = done.value
                return found
