"""Reports what blocks the event loop, and a loop that is not run."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from types import FrameType

import structlog

from ..own_code import own_turn

log = structlog.get_logger(__name__)

_FRAMES = 60
_LOOP_FILES = ("base_events.py", "selectors.py")


class LoopWatchdog:
    """Samples the loop from a thread of its own; one task that keeps it from turning is reported with its stack.

    A loop that is merely busy, going from task to task, is not blocked and is not reported. One that waits for events
    though its own timer is due is reported without a stack: no task is to blame, its thread is not run.

    Args:
        seconds: How long a task may keep the loop, and how late its timer may be.
        on_blocked: Called, from the watchdog's thread, when a task has kept it longer.
    """

    def __init__(self, seconds: float, on_blocked: Callable[[], None] = lambda: None) -> None:
        self._seconds = seconds
        self._on_blocked = on_blocked
        self._pulse = seconds / 4
        self._turns = 0
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._runner: FrameType | None = None

    def start(self) -> None:
        """Watch the running loop, which runs in the current thread, in place of the one before."""
        self.stop()
        loop = asyncio.get_running_loop()
        self._ending.clear()
        self._runner = _runner()
        self._turn(loop)
        arguments = (loop, threading.get_ident())
        self._thread = threading.Thread(target=self._watch, args=arguments, name="loop-watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._ending.set()
        self._runner = None
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is not None:
            self._thread.join()

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._turns += 1
        self._timer = loop.call_later(self._pulse, self._turn, loop)

    def _watch(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        seen: tuple[int, object] | None = None
        since, reported = monotonic(), False
        while not self._ending.wait(self._pulse) and not loop.is_closed():
            standing = (self._turns, asyncio.current_task(loop))
            if standing != seen:
                if reported:
                    log.warning("loop_turns_again", blocked_seconds=round(monotonic() - since, 2))
                seen, since, reported = standing, monotonic(), False
            elif not reported and monotonic() - since > self._seconds:
                self._report(thread, monotonic() - since, standing[1])
                reported = True

    def _report(self, thread: int, seconds: float, task: object) -> None:
        frame = sys._current_frames().get(thread)  # noqa: SLF001 - there is no other way to another thread's stack
        if task is None and self._waits(frame):
            log.warning("loop_starved", seconds=round(seconds, 2))
            return
        stack = traceback.extract_stack(frame, _FRAMES) if frame is not None else []
        log.error("loop_blocked", seconds=round(seconds, 2), stack="".join(traceback.format_list(own_turn(stack))))
        self._on_blocked()

    def _waits(self, frame: FrameType | None) -> bool:
        """Return whether a loop's thread is in the loop itself, and not in what the loop has called."""
        if frame is self._runner:  # uvloop has no frames of its own
            return True
        while frame is not None and Path(frame.f_code.co_filename).name in _LOOP_FILES:
            if frame.f_code.co_name == "_run_once":
                return True
            frame = frame.f_back
        return False


def _runner() -> FrameType | None:
    """Return what called the running loop, if the loop is not written in Python."""
    task = asyncio.current_task()
    outermost: FrameType | None = getattr(task and task.get_coro(), "cr_frame", None)
    return outermost and outermost.f_back
