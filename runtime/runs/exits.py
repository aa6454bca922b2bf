"""``sys.exit()`` in an agent ends its run, and not the server with everybody else's.

asyncio lets ``SystemExit`` out of any task and ends the event loop with it. A run's own task catches it; the tasks that
frameworks start within a run are created by the loop's task factory, which is the one place to reach them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any

from ..errors import AgentExitedError
from .fence import is_within_run


def contain_exits(loop: asyncio.AbstractEventLoop) -> None:
    """Let no task of a run end the loop, unless the loop has a task factory of the application's own."""
    if loop.get_task_factory() is None:
        loop.set_task_factory(_create_task)


def release_exits(loop: asyncio.AbstractEventLoop) -> None:
    """Give the loop its own way of creating tasks back."""
    if loop.get_task_factory() is _create_task:
        loop.set_task_factory(None)


def _create_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    return asyncio.Task(_Contained(coro) if is_within_run() else coro, loop=loop, **options)


class _Contained(Coroutine[Any, Any, Any]):
    # A coroutine object, because one that merely awaits another leaves that unawaited if it is cancelled at once.

    def __init__(self, inner: Coroutine[Any, Any, Any]) -> None:
        self._inner = inner
        self.__name__ = getattr(inner, "__name__", type(inner).__name__)
        self.__qualname__ = getattr(inner, "__qualname__", self.__name__)

    def __getattr__(self, name: str) -> Any:
        # anyio reads ``cr_running`` and ``cr_suspended`` of a task's coroutine, and debuggers ``cr_frame``.
        return getattr(self._inner, name)

    def send(self, value: Any) -> Any:
        try:
            return self._inner.send(value)
        except SystemExit as error:
            raise AgentExitedError from error

    def throw(self, *error: Any) -> Any:
        try:
            return self._inner.throw(*error)
        except SystemExit as exit_:
            raise AgentExitedError from exit_

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()
