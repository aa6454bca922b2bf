"""Standard input, as lines that are waited for without holding up the event loop or the end of the process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

_PIECE = 65_536
_T = TypeVar("_T")


class InputLines:
    """The lines of standard input.

    They are read from the descriptor: a thread that waits in ``sys.stdin`` would be waited for at the end.
    """

    def __init__(self) -> None:
        self._read = b""
        self._encoding = sys.stdin.encoding or "utf-8"

    async def next(self) -> str:
        """Return the next line; an empty text at the end of the input."""
        while b"\n" not in self._read:
            piece = await _piece(sys.stdin.fileno())
            self._read += piece
            if not piece:
                break
        line, newline, self._read = self._read.partition(b"\n")
        return (line + newline).decode(self._encoding, "replace")


async def _piece(descriptor: int) -> bytes:
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(descriptor, readable.set)
    except PermissionError:  # a file: what it has is there at once
        return os.read(descriptor, _PIECE)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, _PIECE)


async def interruptible(work: Coroutine[Any, Any, _T]) -> _T | None:
    """Return the result of work; None if Ctrl+C ended it. A second Ctrl+C ends the process wherever it is.

    Args:
        work: What Ctrl+C cancels.
    """
    task = asyncio.create_task(work)
    loop, interrupted = asyncio.get_running_loop(), False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted:
            raise KeyboardInterrupt
        interrupted = True
        loop.call_soon_threadsafe(task.cancel)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        return await task
    except asyncio.CancelledError:
        if not interrupted:
            raise
        return None
    finally:
        signal.signal(signal.SIGINT, before)
