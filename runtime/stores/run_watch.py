"""Wait for the runs of other processes: news where they arrive, and looks at the store, one for all who wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from time import monotonic

import structlog

from ..cancellation import end_tasks
from ..errors import StoreError
from .errors import StoreUnavailableError
from .run_news import NewsLine, NewsListener, RunNews
from .run_records import Progress, RunKey

POLL_SECONDS = 0.025
"""How often a store that has no news to send is looked at."""
LOST_NEWS_SECONDS = 0.1
"""How often the store is looked at while its news do not arrive."""
LIVE_NEWS_SECONDS = 5.0
"""How often it is looked at although they do, so that nothing that was missed is missed for long."""
SLOWEST_POLL_SECONDS = 1.0
LINGER_SECONDS = 30.0
"""How long news are listened to when nobody follows a run any longer."""

log = structlog.get_logger(__name__)


class _Run:
    """A run that somebody in this process follows, and who waits for it."""

    def __init__(self, key: RunKey, name: str) -> None:
        self.key = key
        self.name = name
        self.followers = 0
        self.unseen = True  # whether it has to be looked at before news can be relied on
        self.waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._last = 0
        self._over = False

    def has_changed(self, after: int) -> bool:
        return self._over or self._last > after

    def wake(self) -> None:
        """Wake all who wait, for once: what has become of the run is not known."""
        for _, waiter in self.waiting:
            if not waiter.done():
                waiter.set_result(None)

    def doubt(self, after: int) -> None:
        """Forget what news said: who looked at the store found nothing behind the number ``after``, and no end."""
        self._last, self._over, self.unseen = after, False, True

    def note(self, last: int, over: bool) -> None:
        self._last, self._over = max(self._last, last), self._over or over
        for after, waiter in self.waiting:
            if self.has_changed(after) and not waiter.done():
                waiter.set_result(None)


class Follower:
    """One who follows a run. What becomes of the run is noted until it is closed.

    Args:
        watch: What notes it.
        run: The run.
    """

    def __init__(self, watch: RunWatch, run: _Run) -> None:
        self._watch = watch
        self._run: _Run | None = run
        self._after: int | None = None

    async def changed(self, after: int) -> None:
        """Wait until the run has events behind the number ``after``, has ended, or is gone.

        Who waits for the same again has looked meanwhile, and for nothing: news may be of what a failover has lost, or
        of a run of the same name in another database of the server, where they are not kept apart.
        """
        if self._run is None:
            return
        if after == self._after and self._run.has_changed(after):
            self._run.doubt(after)
        self._after = after
        await self._watch.changed(self._run, after)

    def close(self) -> None:
        """Stop following."""
        run, self._run = self._run, None
        if run is not None:
            self._watch.leave(run)


class RunWatch:
    """Wakes those who wait for runs. All looks at the store are one operation for all of them.

    Args:
        peek: Returns how far runs are stored.
        line: Where news of runs arrive; None for a store that sends none.
    """

    def __init__(
        self, peek: Callable[[Sequence[RunKey]], Awaitable[dict[RunKey, Progress]]], line: NewsLine | None = None
    ) -> None:
        self._peek = peek
        self._news = None if line is None else NewsListener(line, self._note, self._look_anew, self._is_needed)
        self._runs: dict[RunKey, _Run] = {}
        self._names: dict[str, _Run] = {}
        self._left = monotonic()
        self._looked = monotonic()
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    def follow(self, key: RunKey) -> Follower:
        """Note what becomes of a run from now on."""
        run = self._runs.get(key)
        if run is None:
            run = self._runs[key] = _Run(key, self._news.name(key) if self._news else "")
            if self._news is not None:
                self._names[run.name] = run
                self._news.follow(run.name)
        run.followers += 1
        self._start_looking()
        return Follower(self, run)

    def leave(self, run: _Run) -> None:
        """Forget a run once its last follower has left."""
        run.followers -= 1
        if run.followers or self._runs.get(run.key) is not run:
            return
        del self._runs[run.key]
        self._left = monotonic()
        if self._news is not None:
            self._names.pop(run.name, None)
            self._news.unfollow(run.name)

    async def changed(self, run: _Run, after: int) -> None:
        """Wait until a run has events behind the number ``after``, has ended, or is gone."""
        if run.has_changed(after):
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = after, waiter
        run.waiting.append(place)
        self._start_looking()
        if run.unseen:
            self._hurry.set()
        try:
            await waiter
        finally:
            run.waiting.remove(place)

    async def stop(self) -> None:
        """Stop looking and listening. Nobody waits any longer."""
        if self._task is not None:
            await end_tasks(self._task)
        if self._news is not None:
            await self._news.stop()

    def _start_looking(self) -> None:
        loop = asyncio.get_running_loop()
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._hurry = asyncio.Event()
            self._task = loop.create_task(self._look(), name="run-watch")

    def _is_needed(self) -> bool:
        return bool(self._runs) or monotonic() - self._left < LINGER_SECONDS

    def _note(self, news: Sequence[RunNews]) -> None:
        for name, last, over in news:
            run = self._names.get(name)
            if run is None:
                continue
            if last is None:
                run.unseen = True
                self._hurry.set()
            else:
                run.note(last, over)

    def _look_anew(self) -> None:
        for run in self._runs.values():
            run.unseen = True
        self._hurry.set()

    async def _look(self) -> None:
        failed = 0.0
        while self._runs:
            try:
                await self._wake(self._due())
                failed = 0.0
            except Exception as error:  # whatever it is, those who wait are looked for again
                log.warning("run_watch_failed", error=str(error), exc_info=not isinstance(error, StoreError))
                failed = min(max(failed, POLL_SECONDS) * 2, SLOWEST_POLL_SECONDS)
            await self._rest(failed or self._pause(), hurried=not failed)

    def _due(self) -> list[_Run]:
        """Return whom to look at: where news arrive, those of which some may have been missed."""
        everybody = self._news is None or not self._news.live or monotonic() - self._looked >= LIVE_NEWS_SECONDS
        if everybody:
            self._looked = monotonic()
        return [run for run in self._runs.values() if run.waiting and (everybody or run.unseen)]

    def _pause(self) -> float:
        if self._news is None:
            return POLL_SECONDS
        return LIVE_NEWS_SECONDS if self._news.live else LOST_NEWS_SECONDS

    async def _rest(self, seconds: float, hurried: bool) -> None:
        if not hurried:
            await asyncio.sleep(seconds)
            return
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            return
        self._hurry.clear()

    async def _wake(self, runs: Iterable[_Run]) -> None:
        looked_at = {run.key: run for run in runs}
        if not looked_at:
            return
        for run in looked_at.values():
            run.unseen = False
        try:
            found = await self._peek(list(looked_at))
        except Exception as error:
            for run in looked_at.values():
                run.unseen = True
            if isinstance(error, StoreUnavailableError):
                raise
            await self._wake_alone(list(looked_at.values()), error)
            return
        for key, run in looked_at.items():
            progress = found.get(key)
            run.note(progress.last if progress else 0, progress is None or progress.status != "running")

    async def _wake_alone(self, runs: Sequence[_Run], error: Exception) -> None:
        """Look at each of several runs alone, since one of them cannot be looked at; send its readers to the store."""
        if len(runs) == 1:
            log.warning("run_not_watched", key=runs[0].key, error=str(error))
            runs[0].wake()
            return
        for run in runs:
            await self._wake([run])
