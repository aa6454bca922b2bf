"""Operations that are stopped between any two of their steps, so that others come between: deterministic races.

A step is a call of a store or a provider. Steps belong to whoever is ``acting`` when a task begins, with all that this
task starts; nobody else is held up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_acting: ContextVar[Steps | None] = ContextVar("acting", default=None)


class Steps:
    """The steps of one operation, which stops before one of them until it is let go.

    Args:
        stop_at: The number of the first step that waits, from 0; None for none.
    """

    def __init__(self, stop_at: int | None = None) -> None:
        self.names: list[str] = []
        self.reached = asyncio.Event()
        self._stop_at = stop_at
        self._goes_on = asyncio.Event()

    def let_go(self) -> None:
        """Have the operation go on to its end."""
        self._goes_on.set()

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Count what is done in the block, and by the tasks that it starts, as steps of this operation."""
        token = _acting.set(self)
        try:
            yield
        finally:
            _acting.reset(token)

    async def take(self, name: str) -> None:
        """Take a step, once it may be taken."""
        self.names.append(name)
        if self._stop_at is not None and len(self.names) > self._stop_at:
            self.reached.set()
            await self._goes_on.wait()


async def step(name: str) -> None:
    """Take a step of the operation that is acting, if one is."""
    steps = _acting.get()
    if steps is not None:
        await steps.take(name)


def make_steps(thing: Any, names: Sequence[str]) -> None:
    """Make steps of methods of an object: one before each call of them, and one behind it."""
    for name in names:
        setattr(thing, name, _stepwise(name, getattr(thing, name)))


def _stepwise(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **more: Any) -> Any:
        await step(f"before {name}")
        result = await method(*args, **more)
        await step(f"behind {name}")
        return result

    return call
