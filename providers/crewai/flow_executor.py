"""The threads of a flow's event loop, which begin nothing of CrewAI's any more once the run is over."""

from __future__ import annotations

import functools
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class FlowExecutor(ThreadPoolExecutor):
    """Runs what a flow's loop hands to threads.

    CrewAI saves the state of a flow in such a thread when a method has ended, even though the flow was cancelled
    meanwhile: a method that blocks the loop, or swallows its cancellation, notices nothing of that. What the flow's own
    code hands to a thread is let through, because it may be cleaning up.

    Args:
        check: Raises if the run is over; called before CrewAI's own functions.
        begin: Called in each new thread.
    """

    def __init__(self, check: Callable[[], None], begin: Callable[[], None]) -> None:
        super().__init__(thread_name_prefix="crewai-flow", initializer=begin)
        self._check = check

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand a function to a thread.

        Raises:
            RunCancelled: If the run is over, and the function is CrewAI's.
        """
        if any(_is_crewais(part) for part in _parts(function, args)):
            self._check()
        return super().submit(function, *args, **kwargs)


def _parts(function: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a function with those that it is given, as ``asyncio.to_thread`` gives one to ``Context.run``."""
    if isinstance(function, functools.partial):
        return (function.func, *function.args, *args)
    return (function, *args)


def _is_crewais(part: Any) -> bool:
    return callable(part) and f"{getattr(part, '__module__', None)}.".startswith("crewai.")
