"""A run that has let go of its thread writes nothing to it any more, however long what it started goes on.

An agent may ignore that it was cancelled, and a store may have given the thread to another run: what frameworks keep
themselves is not behind the thread's lock, so that they are to look here before they write.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar

from ..errors import StoreError, ThreadLostError

_current: ContextVar[Fence | None] = ContextVar("fence", default=None)


class Fence:
    """Decides for one run whether it may write to its thread.

    Args:
        owns_thread: Whether the run has its thread's lock, or needs none.
        confirm: Looks in the store whether it does: after a pause, its time may be over though nobody else has come.
    """

    __slots__ = ("_closed", "_confirm", "_owns_thread")

    def __init__(self, owns_thread: Callable[[], bool], confirm: Callable[[], Awaitable[bool]]) -> None:
        self._owns_thread = owns_thread
        self._confirm = confirm
        self._closed = False

    def enter(self) -> None:
        """Put the current task, and all that it starts, behind this fence."""
        _current.set(self)

    def close(self) -> None:
        """Let nothing through any more, and let go of the run: what it started keeps the fence."""
        self._closed = True
        self._owns_thread, self._confirm = _nobody_does, _nobody_is_confirmed

    @property
    def is_closed(self) -> bool:
        """Whether the run may not write any more."""
        return self._closed or not self._owns_thread()

    async def opens(self) -> bool:
        """Return whether the run may write after all, if the store answers."""
        try:
            return await self._confirm() and not self._closed
        except StoreError:
            return False


def _nobody_does() -> bool:
    return False


async def _nobody_is_confirmed() -> bool:
    return False


def is_within_run() -> bool:
    """Return whether this is called in the context of a run, be it one that has ended."""
    return _current.get() is not None


def check_fence() -> None:
    """Check, before something is written to a thread, that the run in whose context this is called may write.

    Raises:
        ThreadLostError: It has ended, or lost its thread, or may have lost it.
    """
    fence = _current.get()
    if fence is not None and fence.is_closed:
        raise ThreadLostError


async def pass_fence() -> None:
    """Do as ``check_fence``, and look in the store where the thread may have been lost.

    Raises:
        ThreadLostError: The run has ended, or lost its thread.
    """
    fence = _current.get()
    if fence is not None and fence.is_closed and not await fence.opens():
        raise ThreadLostError
