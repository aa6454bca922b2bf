"""Followers are woken by news on one connection; while none arrive, by looks at the store. Operations are counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import psycopg
import pytest
import redis

from copilotkit_runtime import events
from copilotkit_runtime.runtime.runs.remote import RemoteRun, RemoteSubscription
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.run_log import RunLogStore
from copilotkit_runtime.runtime.stores.run_records import RunKey
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from tests.integration.stores.conftest import CLUSTER, opened_runs
from tests.integration.stores.servers import Server
from tests.support.polling import until

SENDING = ("redis", "postgres")
OWNER = "process-1"
IDLE_SECONDS = 1.0
TOKEN = events.TextMessageContent(message_id="m", delta="x")
FINISHED = events.RunFinished(thread_id="t", run_id="r")
PATIENT = StoreSettings(connect_timeout=2.0, command_timeout=2.0, retry_for=30.0, prefix="test-news")


class Counted:
    """Counts a store's looks and reads."""

    def __init__(self, runs: RunLogStore, patch: pytest.MonkeyPatch) -> None:
        self.looks = 0
        self.reads = 0
        self.looked_at: list[RunKey] = []
        peek, read = runs._peek, runs._read_group

        async def counted_peek(keys: Sequence[RunKey]) -> Any:
            self.looks += 1
            self.looked_at += keys
            return await peek(keys)

        async def counted_read(wanted: Sequence[Any]) -> Any:
            self.reads += 1
            return await read(wanted)

        patch.setattr(runs._watch, "_peek", counted_peek)
        patch.setattr(runs._reader, "_read", counted_read)

    def reset(self) -> None:
        self.looks, self.reads, self.looked_at = 0, 0, []


@pytest.fixture
async def both(url: str, settings: StoreSettings) -> AsyncIterator[tuple[RunLogStore, RunLogStore]]:
    """The store as the writer has it, and as a process has it that follows."""
    async with opened_runs(url, settings) as writer, opened_runs(url, settings) as follower:
        yield writer, follower


async def begun(runs: RunLogStore, thread_id: str) -> RunKey:
    return (await runs.open(thread_id, run_id="r", agent_name="a", owner=OWNER)).key


async def following(runs: RunLogStore, key: RunKey) -> RemoteSubscription:
    (record,) = await runs.runs(key.thread_id)
    return RemoteRun(runs, record).subscribe()


async def is_live(runs: RunLogStore) -> bool:
    news = runs._watch._news
    return news is not None and news.live


async def settled(runs: RunLogStore, subscriptions: Sequence[RemoteSubscription]) -> None:
    """Wait until news arrive and every follower waits for them, seen since it is followed."""

    async def all_wait() -> bool:
        followed = list(runs._watch._runs.values())
        return await is_live(runs) and all(len(run.waiting) == run.followers and not run.unseen for run in followed)

    assert subscriptions
    await until(all_wait, 30)


async def taken(subscription: RemoteSubscription, last: int) -> list[events.Event]:
    found: list[events.Event] = []
    async with asyncio.timeout(60):
        while len(found) < last:
            found += await subscription.read()
    return found


@pytest.mark.parametrize("url", [*SENDING, CLUSTER], indirect=True)
async def test_idle_followers_cost_nothing_and_a_batch_of_each_run_a_few_reads(
    both: tuple[RunLogStore, RunLogStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, follower = both
    count = Counted(follower, monkeypatch)
    keys = [await begun(writer, f"thread-{number}") for number in range(120)]
    subscriptions = [await following(follower, key) for key in keys]
    await settled(follower, subscriptions)

    count.reset()
    await asyncio.wait([asyncio.ensure_future(subscriptions[0].arrival())], timeout=IDLE_SECONDS)
    assert count.reads == 0
    assert count.looks <= 1, "polled every 25 ms, it would be 40"

    count.reset()
    await asyncio.gather(*(writer.append(key, OWNER, 1, [TOKEN]) for key in keys))
    for subscription in subscriptions:
        assert await taken(subscription, 1) == [TOKEN]
    assert count.reads < len(keys) / 2
    assert count.looks <= 1
    for subscription in subscriptions:
        subscription.close()


@pytest.mark.parametrize("url", [*SENDING, CLUSTER], indirect=True)
async def test_twenty_followers_of_one_run_share_a_read(
    both: tuple[RunLogStore, RunLogStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, follower = both
    count = Counted(follower, monkeypatch)
    key = await begun(writer, "thread")
    subscriptions = [await following(follower, key) for _ in range(20)]
    await settled(follower, subscriptions)
    for last in range(1, 6):
        count.reset()
        await writer.append(key, OWNER, last, [TOKEN])
        for subscription in subscriptions:
            assert await taken(subscription, 1) == [TOKEN]
        await settled(follower, subscriptions)
        assert count.reads == 1
    await writer.close(key, OWNER, "finished", 6, [FINISHED])
    for subscription in subscriptions:
        await subscription.arrival()
        subscription.close()


@pytest.mark.parametrize("url", [*SENDING, CLUSTER], indirect=True)
async def test_the_end_and_the_deletion_of_a_run_are_news(
    both: tuple[RunLogStore, RunLogStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, follower = both
    count = Counted(follower, monkeypatch)
    ending, deleted, compacted = [await begun(writer, name) for name in ("ending", "deleted", "compacted")]
    subscriptions = [await following(follower, key) for key in (ending, deleted, compacted)]
    await settled(follower, subscriptions)
    count.reset()
    await writer.close(ending, OWNER, "cancelled", 0, [])
    await writer.delete("deleted")
    await writer.compact(compacted, OWNER, 3, [TOKEN])
    assert await subscriptions[0].read() == []
    (gone,) = await subscriptions[1].read()
    assert isinstance(gone, events.RunError)
    assert await subscriptions[2].read() == [TOKEN]
    assert count.looks <= 1
    for subscription in subscriptions:
        subscription.close()


@pytest.mark.parametrize("url", SENDING, indirect=True)
async def test_a_process_has_one_connection_for_all_it_follows_and_none_when_it_follows_none(
    url: str, both: tuple[RunLogStore, RunLogStore]
) -> None:
    writer, follower = both
    before = listening(url)
    keys = [await begun(writer, f"thread-{number}") for number in range(30)]
    assert listening(url) == before
    subscriptions = [await following(follower, key) for key in keys]
    await settled(follower, subscriptions)
    assert listening(url) == before + 1
    for subscription in subscriptions:
        subscription.close()
    await follower.stop()

    async def is_closed() -> bool:
        return listening(url) == before

    await until(is_closed, 20)


@pytest.mark.parametrize("url", SENDING, indirect=True)
async def test_a_lost_connection_is_replaced_and_nothing_is_missed(
    url: str, both: tuple[RunLogStore, RunLogStore]
) -> None:
    writer, follower = both
    key = await begun(writer, "thread")
    subscription = await following(follower, key)
    await settled(follower, [subscription])
    for last in range(1, 4):
        cut(url)
        await writer.append(key, OWNER, last, [TOKEN])
        assert await taken(subscription, 1) == [TOKEN]
        await until(lambda: is_live(follower), 30)
    subscription.close()


@pytest.mark.parametrize("server", ["redis"], indirect=True)
async def test_a_run_of_the_same_name_in_another_database_costs_a_look(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = server.url.removesuffix("/0") + "/1"
    async with AsyncExitStack() as stack:
        writer, follower, other = [
            await stack.enter_async_context(opened_runs(url, PATIENT)) for url in (server.url, server.url, elsewhere)
        ]
        key = await begun(writer, "thread")
        assert await begun(other, "thread") == key
        count = Counted(follower, monkeypatch)
        subscription = await following(follower, key)
        await settled(follower, [subscription])
        count.reset()
        await other.append(key, OWNER, 5, [TOKEN])
        await other.close(key, OWNER, "finished", 6, [FINISHED])

        async def has_looked() -> bool:
            return count.looks > 0

        await until(has_looked, 30)
        await settled(follower, [subscription])
        assert count.reads <= 5
        await writer.append(key, OWNER, 1, [TOKEN])
        assert await taken(subscription, 1) == [TOKEN]
        subscription.close()


@pytest.mark.parametrize("server", SENDING, indirect=True)
async def test_followers_outlast_a_restart_of_the_server(server: Server) -> None:
    async with AsyncExitStack() as stack:
        writer, follower = [await stack.enter_async_context(opened_runs(server.url, PATIENT)) for _ in range(2)]
        key = await begun(writer, "thread")
        subscription = await following(follower, key)
        await settled(follower, [subscription])
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        await writing(lambda: writer.append(key, OWNER, 1, [TOKEN]))
        assert await taken(subscription, 1) == [TOKEN]
        await until(lambda: is_live(follower), 30)
        await writer.append(key, OWNER, 2, [TOKEN])
        assert await taken(subscription, 1) == [TOKEN]
        subscription.close()


async def writing(write: Callable[[], Any]) -> None:
    async def done() -> bool:
        try:
            await write()
        except StoreUnavailableError:
            return False
        return True

    await until(done, 30)


def listening(url: str) -> int:
    """How many connections to the server listen for news."""
    if url.startswith("redis"):
        with redis.Redis.from_url(url) as client:
            return len(client.client_list(_type="pubsub"))
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'").fetchone()
    assert row is not None
    return int(row[0])


def cut(url: str) -> None:
    """End the connections that listen."""
    if url.startswith("redis"):
        with redis.Redis.from_url(url) as client:
            client.client_kill_filter(_type="pubsub")
        return
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'")
