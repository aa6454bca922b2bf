"""A line that is deaf, or cannot be had, is not relied on: the store is looked at in its place."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime

import pytest
from typing_extensions import override

from copilotkit_runtime.runtime.stores import run_news, run_watch
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.run_news import NewsLine, RunNews, parse_news
from copilotkit_runtime.runtime.stores.run_records import Progress, RunKey
from copilotkit_runtime.runtime.stores.run_watch import RunWatch
from tests.support.polling import until

KEY = RunKey("thread", 1)
BROKEN = RunKey("broken", 1)


class Line(NewsLine):
    """A line whose other end is the test."""

    def __init__(self, *, deaf: bool = False, refused: bool = False) -> None:
        self.deaf = deaf
        self.refused = refused
        self.connected = 0
        self.closed = 0
        self.followed: set[str] = set()
        self.arrived: asyncio.Queue[Sequence[RunNews]] = asyncio.Queue()

    @override
    def name(self, key: RunKey) -> str:
        return f"{key.thread_id}/{key.number}"

    @override
    async def connect(self) -> None:
        self.connected += 1
        if self.refused:
            raise StoreUnavailableError

    @override
    async def close(self) -> None:
        self.closed += 1

    @override
    async def probe(self) -> None:
        if not self.deaf:
            self.arrived.put_nowait([])

    @override
    async def receive(self, seconds: float) -> Sequence[RunNews] | None:
        try:
            async with asyncio.timeout(seconds):
                return await self.arrived.get()
        except TimeoutError:
            return None

    @override
    async def follow(self, names: Collection[str]) -> None:
        self.followed |= set(names)

    @override
    async def unfollow(self, names: Collection[str]) -> None:
        self.followed -= set(names)


class Store:
    """Sends how far one run is stored, and counts who looks."""

    def __init__(self) -> None:
        self.last = 0
        self.looks = 0

    async def peek(self, keys: Sequence[RunKey]) -> dict[RunKey, Progress]:
        self.looks += 1
        if BROKEN in keys:
            raise ValueError("not readable")
        return {key: Progress(self.last, "running", datetime.min) for key in keys}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_news, "SILENCE_SECONDS", 0.02)
    monkeypatch.setattr(run_news, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(run_news, "_LONGEST_PAUSE", 0.02)


@pytest.mark.parametrize("line", [Line(deaf=True), Line(refused=True)], ids=["deaf", "refused"])
async def test_a_line_on_which_nothing_arrives_is_tried_again_and_meanwhile_the_store_is_looked_at(line: Line) -> None:
    store = Store()
    watch = RunWatch(store.peek, line)
    follower = watch.follow(KEY)
    waiting = asyncio.create_task(follower.changed(0))

    async def tried_again() -> bool:
        return line.connected > 2 and store.looks > 2

    await until(tried_again)
    assert not waiting.done()
    store.last = 1
    async with asyncio.timeout(20):
        await waiting
    follower.close()
    await watch.stop()
    assert line.closed == line.connected


async def test_news_wake_those_who_lack_something_and_no_others() -> None:
    store, line = Store(), Line()
    watch = RunWatch(store.peek, line)
    follower, ahead = watch.follow(KEY), watch.follow(KEY)
    waiting = asyncio.create_task(follower.changed(0))
    up_to_date = asyncio.create_task(ahead.changed(5))

    async def is_followed() -> bool:
        return line.followed == {"thread/1"} and store.looks > 0

    await until(is_followed)
    line.arrived.put_nowait([RunNews("somebody else's", 9, True), RunNews("thread/1", 5, False)])
    async with asyncio.timeout(20):
        await waiting
        await follower.changed(4)
    assert not up_to_date.done()
    line.arrived.put_nowait([RunNews("thread/1", 5, True)])
    async with asyncio.timeout(20):
        await up_to_date
    for each in (follower, ahead, ahead):
        each.close()
    await watch.stop()


@pytest.mark.parametrize("news", [RunNews("thread/1", 9, False), RunNews("thread/1", 0, True)], ids=["more", "over"])
async def test_news_that_are_not_true_wake_nobody_twice(news: RunNews) -> None:
    store, line = Store(), Line()
    watch = RunWatch(store.peek, line)
    follower = watch.follow(KEY)
    waiting = asyncio.create_task(follower.changed(0))

    async def is_followed() -> bool:
        return line.followed == {"thread/1"} and store.looks > 0

    await until(is_followed)
    line.arrived.put_nowait([news])
    async with asyncio.timeout(20):
        await waiting
    looks = store.looks
    again = asyncio.create_task(follower.changed(0))  # for it found nothing

    async def is_looked_at() -> bool:
        return store.looks > looks

    await until(is_looked_at)
    assert not again.done()
    line.arrived.put_nowait([RunNews("thread/1", 1, False)])
    async with asyncio.timeout(20):
        await again
    follower.close()
    await watch.stop()


async def test_what_was_missed_before_a_line_follows_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_watch, "LOST_NEWS_SECONDS", 1000)
    monkeypatch.setattr(run_watch, "LIVE_NEWS_SECONDS", 1000)
    store, line = Store(), Line()
    watch = RunWatch(store.peek, line)
    follower = watch.follow(KEY)
    waiting = asyncio.create_task(follower.changed(0))

    async def is_looked_at() -> bool:
        return store.looks > 0 and line.connected > 0

    await until(is_looked_at)
    store.last = 3
    line.arrived.put_nowait([RunNews("thread/1", None, False)])
    async with asyncio.timeout(20):
        await waiting
    follower.close()
    await watch.stop()


async def test_a_run_that_cannot_be_looked_at_holds_up_nobody() -> None:
    store = Store()
    watch = RunWatch(store.peek)
    broken, whole = watch.follow(BROKEN), watch.follow(KEY)
    waiting = asyncio.create_task(whole.changed(0))
    async with asyncio.timeout(20):
        await broken.changed(0)
        store.last = 1
        await waiting
    broken.close()
    whole.close()
    await watch.stop()


@pytest.mark.parametrize("text", ["", "x", "-1", "1" * 30, "1!!", "\u0661x", "!"])
def test_what_something_else_sent_is_not_news(text: str) -> None:
    assert parse_news("run", text) == []
