"""Wait for a thread's next run, whichever process begins it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from ..cancellation import end_tasks
from ..errors import StoreError
from ..repeated_failures import RepeatedFailures
from ..stores.run_log import RunLogStore
from ..stores.run_records import RunKey

LOOK_SECONDS = 0.5
"""How often the store is looked at for runs that other processes begin, with one operation for all who wait."""
THREADS_AT_ONCE = 250
_LOOK = "look"

log = structlog.get_logger(__name__)


class ThreadWatch:
    """One who waits for the next runs of a thread. Nothing that happens between two waits is missed.

    Args:
        runs: What reports them.
        thread_id: The thread.
    """

    def __init__(self, runs: NextRuns, thread_id: str) -> None:
        self.thread_id = thread_id
        self.last: int | None = None
        """The number of the last run that is known, where the store is looked at."""
        self._runs = runs
        self._news = asyncio.Event()

    def note(self) -> None:
        """Take note that the thread may have a run that is not known."""
        self._news.set()

    async def wait(self, last: int | None, seconds: float | None = None) -> bool:
        """Wait until the thread may have a run that the caller does not know, or is gone, or the time is over.

        Args:
            last: The number of its last run that the caller knows, 0 for none; None for runs of this process alone.
            seconds: For how long to wait at most; None for as long as it takes.

        Returns:
            Whether to look at the thread and wait again; False once the runtime ends.
        """
        self.last = last
        self._runs.look()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()
        self.last = None
        return self._runs.are_expected

    def close(self) -> None:
        """Wait no longer."""
        self._runs.leave(self)


class NextRuns:
    """Wakes those who wait for a thread's next run.

    Args:
        store: Where the runs of other processes are kept.
    """

    def __init__(self, store: RunLogStore) -> None:
        self.are_expected = True
        """Whether runs may still begin here."""
        self._store = store
        self._watches: dict[str, list[ThreadWatch]] = {}
        self._failures = RepeatedFailures()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Expect runs again, after ``stop``."""
        self.are_expected = True

    async def stop(self) -> None:
        """Wake all who wait: they learn that no run will come."""
        self.are_expected = False
        for thread_id in self._watches:
            self.note(thread_id)
        if self._task is not None:
            await end_tasks(self._task)

    @property
    def watched(self) -> int:
        """How many threads somebody watches."""
        return len(self._watches)

    def watch(self, thread_id: str) -> ThreadWatch:
        """Take note of a thread's runs from now on."""
        watch = ThreadWatch(self, thread_id)
        self._watches.setdefault(thread_id, []).append(watch)
        if not self.are_expected:
            watch.note()
        return watch

    def leave(self, watch: ThreadWatch) -> None:
        """Forget one who waits."""
        watches = self._watches.get(watch.thread_id, [])
        if watch in watches:
            watches.remove(watch)
        if not watches:
            self._watches.pop(watch.thread_id, None)

    def note(self, thread_id: str) -> None:
        """Wake those who wait for a thread: a run has begun in it, or it has been deleted."""
        for watch in self._watches.get(thread_id, ()):
            watch.note()

    def look(self) -> None:
        """Look at the store from time to time, for as long as somebody waits."""
        loop = asyncio.get_running_loop()
        looks = self._task is not None and not self._task.done() and self._task.get_loop() is loop
        if self._store.shared and self.are_expected and not looks:
            self._task = loop.create_task(self._look(), name="next-runs")

    async def _look(self) -> None:
        while self._watches:
            await asyncio.sleep(LOOK_SECONDS)
            waiting = [each for watches in self._watches.values() for each in watches if each.last is not None]
            try:
                for begin in range(0, len(waiting), THREADS_AT_ONCE):
                    await self._wake(waiting[begin : begin + THREADS_AT_ONCE])
            except Exception as error:  # whatever it is, those who wait are looked for again
                if self._failures.is_news(_LOOK, error):
                    log.warning("next_runs_not_found", error=str(error), exc_info=not isinstance(error, StoreError))
            else:
                if self._failures.are_over(_LOOK):
                    log.info("next_runs_found_again")

    async def _wake(self, waiting: Sequence[ThreadWatch]) -> None:
        known = [(each, each.last or 0) for each in waiting]
        keys = {RunKey(each.thread_id, number) for each, last in known for number in (last, last + 1) if number}
        found = await self._store.peek(list(keys))
        for each, last in known:
            gone = last > 0 and RunKey(each.thread_id, last) not in found
            if gone or RunKey(each.thread_id, last + 1) in found:
                each.note()
