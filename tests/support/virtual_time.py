"""A clock that goes on only while nobody has anything to do: what takes a time is tested without taking any.

Tests of how soon something comes to pass hold on the slowest machine: what is computed takes no time, and a wait takes
as long as it says. What is tested has to happen on loops of the clock, and in the threads that they start.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, TypeVar, TypeVarTuple

import pytest

from copilotkit_runtime.runtime.stores.machine_clock import machine_seconds

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_PACKAGE = "copilotkit_runtime"
_THREAD_SECONDS = 0.05
_PATIENCE_SECONDS = 60.0


class Clock:
    """The time of all loops that were made with it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._calls = 0
        self._ended = threading.Condition()

    def call(self, func: Callable[[*Ts], T], *args: *Ts) -> T:
        """Call ``func`` in a thread of one of the loops."""
        try:
            return func(*args)
        finally:
            with self._ended:
                self._calls -= 1
                self._ended.notify_all()

    def note_call(self) -> None:
        """Take note of a call that is about to be made in a thread."""
        with self._ended:
            self._calls += 1

    def stand_still(self) -> None:
        """Wait until no thread has anything to do: those of a killed process do nothing later, either."""
        with self._ended:
            assert self._ended.wait_for(lambda: not self._calls, _PATIENCE_SECONDS), "a thread does not end"

    def seconds(self) -> float:
        """Return the time."""
        return self.now

    def runner(self) -> asyncio.Runner:
        """Return what runs coroutines on a loop of its own. While it runs none, its tasks stand still, as if killed."""
        return asyncio.Runner(loop_factory=lambda: _Loop(self))


class _Selector(selectors.DefaultSelector):
    """Reports what has arrived; instead of waiting for a timer it moves the clock there."""

    clock: Clock
    threads = 0
    """How many calls go on in threads: time stands still until they have ended."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if self.threads:
            return super().select(_THREAD_SECONDS)
        ready = super().select(0)
        if not ready:
            self.clock.now += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: Clock) -> None:
        self._waits = _Selector()
        self._waits.clock = clock
        super().__init__(self._waits)

    def time(self) -> float:
        return self._waits.clock.now

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        clock = self._waits.clock
        clock.note_call()
        future = super().run_in_executor(executor, clock.call, func, *args)
        self._waits.threads += 1
        future.add_done_callback(self._returned)
        return future

    def _returned(self, _: asyncio.Future[Any]) -> None:
        self._waits.threads -= 1


@contextmanager
def clock() -> Iterator[Clock]:
    """Provide a clock, and have all that looks at the time, but for the date, look at it."""
    real, made = time.monotonic, Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", made.seconds)
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] == _PACKAGE:
                for attribute, value in list(vars(module).items()):
                    if value in (real, machine_seconds):
                        patch.setattr(module, attribute, made.seconds)
        yield made


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run ``main`` on a loop of a clock of its own."""
    with clock() as made, made.runner() as runner:
        return runner.run(main())


def now() -> float:
    """Return the time of the running loop."""
    return asyncio.get_running_loop().time()
