"""News of runs that other processes write: one connection that listens, for all who follow runs in this process."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import NamedTuple

import structlog

from ..cancellation import end_tasks
from ..errors import StoreError
from .errors import StoreUnavailableError
from .run_records import RunKey

CONNECT_SECONDS = 10.0
"""How long connecting, or one command on the connection, may take."""
SILENCE_SECONDS = 10.0
"""After how much silence the connection is tested; it is given up after the same time again."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0

OVER = "!"
"""What follows the last event's number in what is sent about a run that has ended or is gone."""
_DIGITS = 20

log = structlog.get_logger(__name__)


class RunNews(NamedTuple):
    """What has become of a run."""

    name: str
    """The run, as the line calls it."""
    last: int | None
    """The number of the last event that is stored; None where news may have been missed."""
    over: bool
    """Whether the run has ended or is gone."""


def parse_news(name: str, text: str) -> list[RunNews]:
    """Return the news in what was sent about a run; none if something else sent it."""
    last = text.removesuffix(OVER)
    return [RunNews(name, int(last), text.endswith(OVER))] if last.isdecimal() and len(last) < _DIGITS else []


class NewsLine(ABC):
    """A connection to the store on which news of runs arrive.

    All methods raise ``StoreError`` when the connection is lost. ``receive`` is awaited while the others are called.
    """

    @abstractmethod
    def name(self, key: RunKey) -> str:
        """Return what the line calls a run."""

    @abstractmethod
    async def connect(self) -> None:
        """Connect and listen."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of the connection, whatever state it is in."""

    @abstractmethod
    async def probe(self) -> None:
        """Cause something to arrive, which proves that news do."""

    @abstractmethod
    async def receive(self, seconds: float) -> Sequence[RunNews] | None:
        """Wait for what arrives, which may hold no news; return None if nothing does in time."""

    @abstractmethod
    async def follow(self, names: Collection[str]) -> None:
        """Receive news of these runs, too."""

    @abstractmethod
    async def unfollow(self, names: Collection[str]) -> None:
        """Receive no more news of these runs."""


class NewsListener:
    """Keeps a line open while it is needed, and connects again when it is lost.

    Args:
        line: The connection.
        on_news: Called with what arrives.
        on_change: Called when the line has become live, or has been lost.
        is_needed: Whether anybody has followed a run lately; the line is closed where nobody has.
    """

    def __init__(
        self,
        line: NewsLine,
        on_news: Callable[[Sequence[RunNews]], None],
        on_change: Callable[[], None],
        is_needed: Callable[[], bool],
    ) -> None:
        self.live = False
        """Whether news arrive: the line is connected, and something has arrived on it."""
        self._line = line
        self._on_news = on_news
        self._on_change = on_change
        self._is_needed = is_needed
        self._wanted: set[str] = set()
        self._followed: set[str] = set()
        self._connected = False
        self._task: asyncio.Task[None] | None = None
        self._matching: asyncio.Task[None] | None = None

    def name(self, key: RunKey) -> str:
        """Return what the line calls a run."""
        return self._line.name(key)

    def follow(self, name: str) -> None:
        """Receive news of a run from as soon as the line is live."""
        self._wanted.add(name)
        loop = asyncio.get_running_loop()
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._task = loop.create_task(self._listen(), name="run-news")
        self._match_soon()

    def unfollow(self, name: str) -> None:
        """Receive no more news of a run."""
        self._wanted.discard(name)
        self._match_soon()

    async def stop(self) -> None:
        """Close the line."""
        tasks = [task for task in (self._task, self._matching) if task is not None]
        await end_tasks(*tasks)

    async def _listen(self) -> None:
        pause = _FIRST_PAUSE
        while self._is_needed():
            try:
                await self._connect()
                pause = _FIRST_PAUSE
                await self._receive_all()
            except StoreError as error:
                log.warning("run_news_lost", error=str(error))
            finally:
                await self._disconnect()
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _connect(self) -> None:
        await _bounded(self._line.connect())
        self._connected, self._followed = True, set()
        await self._match()
        await _bounded(self._line.probe())

    async def _disconnect(self) -> None:
        self._connected = False
        self._set_live(False)
        await self._line.close()

    async def _receive_all(self) -> None:
        probed = True
        while self._is_needed():
            news = await self._line.receive(SILENCE_SECONDS)
            if news is not None:
                probed = False
                self._set_live(True)
                self._on_news(news)
            elif probed:
                raise StoreUnavailableError("News of runs do not arrive.")
            else:
                probed = True
                await _bounded(self._line.probe())

    def _set_live(self, live: bool) -> None:
        if self.live is not live:
            self.live = live
            self._on_change()

    def _match_soon(self) -> None:
        is_matching = self._matching is not None and not self._matching.done()
        if self._connected and not is_matching and self._wanted != self._followed:
            self._matching = asyncio.create_task(self._try_to_match(), name="run-news-follow")

    async def _try_to_match(self) -> None:
        try:
            await self._match()
        except StoreError as error:
            # What receives on the same connection gets the error too, and connects again.
            log.warning("run_not_followed", error=str(error))

    async def _match(self) -> None:
        """Make the line follow what is wanted, which may change meanwhile."""
        while self._connected and self._wanted != self._followed:
            more, fewer = self._wanted - self._followed, self._followed - self._wanted
            self._followed = set(self._wanted)
            if more:
                await _bounded(self._line.follow(more))
            if fewer:
                await _bounded(self._line.unfollow(fewer))


async def _bounded(step: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await step
    except TimeoutError as error:
        raise StoreUnavailableError from error
