"""What every queue engine promises, on real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from uuid import uuid4

import psycopg
import pytest
import redis

from copilotkit_runtime.runtime.execution import saq_engine
from copilotkit_runtime.runtime.execution.engine import CallFailedError, Card, QueueEngine
from copilotkit_runtime.runtime.execution.saq_engine import SaqEngine
from copilotkit_runtime.runtime.stores.run_records import RunKey
from tests.support.polling import until

PATIENCE = 30.0
Another = Callable[[], Awaitable[QueueEngine]]

pytestmark = pytest.mark.parametrize("url", ["redis", "postgres"], indirect=True)


@pytest.fixture
async def another(url: str) -> AsyncIterator[Another]:
    """Makes one more process's engine, on the same queues."""
    prefix = uuid4().hex
    async with AsyncExitStack() as stack:

        async def start() -> QueueEngine:
            engine = SaqEngine(url, prefix)
            await engine.start()
            stack.push_async_callback(engine.stop)
            return engine

        yield start


async def taken(engine: QueueEngine, queue: str = "q") -> RunKey:
    delivery = await engine.take(queue, PATIENCE)
    assert delivery is not None
    await delivery.done()
    return delivery.key


async def test_runs_are_delivered_in_their_order_to_whoever_takes_them(another: Another) -> None:
    web, worker = await another(), await another()
    keys = [RunKey("thread", number) for number in range(5)]
    for key in keys:
        await web.put("q", key)
    assert await web.waiting("q") == 5
    assert [await taken(worker) for _ in keys] == keys
    assert await web.waiting("q") == 0


async def test_a_worker_that_waits_is_woken(another: Another) -> None:
    web, worker = await another(), await another()
    waiting = asyncio.create_task(taken(worker))
    for number in range(3):
        await web.put("q", RunKey("thread", number))
        assert await waiting == RunKey("thread", number)
        waiting = asyncio.create_task(taken(worker))
    await web.put("q", RunKey("thread", 3))
    await waiting


async def test_a_wait_ends_when_nothing_comes(another: Another) -> None:
    assert await (await another()).take("q", 0.1) is None
    assert await (await another()).take_call("q", 0.1) is None


async def test_a_run_is_delivered_to_one_of_many_workers(another: Another) -> None:
    web, *workers = [await another() for _ in range(4)]
    waiting = [asyncio.create_task(worker.take("q", 2)) for worker in workers]
    await web.put("q", RunKey("thread", 1))
    deliveries = [each for each in await asyncio.gather(*waiting) if each is not None]
    assert [each.key for each in deliveries] == [RunKey("thread", 1)]


async def test_queues_do_not_mix(another: Another) -> None:
    web, worker = await another(), await another()
    await web.put("other", RunKey("thread", 1))
    await web.put("q", RunKey("thread", 2))
    assert await taken(worker) == RunKey("thread", 2)
    assert await taken(worker, "other") == RunKey("thread", 1)


async def test_what_a_worker_took_and_did_not_finish_is_delivered_again(
    another: Another, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saq_engine, "TAKEN_SECONDS", 1)
    web, dead, living = await another(), await another(), await another()
    await web.put("q", RunKey("thread", 1))
    assert await dead.take("q", PATIENCE) is not None

    async def delivered() -> bool:
        await living.redeliver("q")
        return await living.take("q", 0.5) is not None

    await until(delivered, 60)


async def test_what_a_worker_took_is_delivered_again_by_others_than_the_one_that_did_so_before(
    another: Another, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saq_engine, "TAKEN_SECONDS", 1)
    web, cut_off, living = await another(), await another(), await another()
    await cut_off.redeliver("q")
    await web.put("q", RunKey("thread", 1))
    assert await cut_off.take("q", PATIENCE) is not None

    async def delivered() -> bool:
        await living.redeliver("q")
        return await living.take("q", 0.5) is not None

    await until(delivered, 60)


async def test_what_was_taken_just_now_is_not_delivered_again(another: Another) -> None:
    web, worker, other = await another(), await another(), await another()
    await web.put("q", RunKey("thread", 1))
    delivery = await worker.take("q", PATIENCE)
    await other.redeliver("q")
    assert await other.take("q", 0.2) is None
    assert delivery is not None


async def test_who_is_interrupted_while_it_delivers_again_loses_nothing(
    another: Another, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saq_engine, "TAKEN_SECONDS", 1)
    web, dead, living = await another(), await another(), await another()
    keys = {RunKey("thread", number) for number in range(8)}
    for key in keys:
        await web.put("q", key)
    for _ in keys:
        assert await dead.take("q", PATIENCE) is not None
    found: set[RunKey] = set()

    async def all_delivered() -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(living.redeliver("q"), 0.05)
        delivery = await living.take("q", 0.2)
        if delivery is not None:
            await delivery.done()
            found.add(delivery.key)
        return found == keys

    await until(all_delivered, 60)


async def test_a_run_that_is_put_again_is_delivered_once_until_it_is_done(another: Another) -> None:
    web, other, worker = await another(), await another(), await another()
    key = RunKey("thread" * 1000, 1)
    for engine in (web, web, other):
        await engine.put("q", key)
    delivery = await worker.take("q", PATIENCE)
    assert delivery is not None
    await web.put("q", key)
    assert await worker.take("q", 0.1) is None
    await delivery.done()
    await web.put("q", key)
    assert await taken(worker) == key


async def test_a_run_that_is_given_back_is_the_next_one(another: Another) -> None:
    web, worker, other = await another(), await another(), await another()
    for number in range(3):
        await web.put("q", RunKey("thread", number))
    delivery = await worker.take("q", PATIENCE)
    assert delivery is not None
    await delivery.give_back()
    assert await web.waiting("q") == 3
    assert [await taken(other) for _ in range(3)] == [RunKey("thread", number) for number in range(3)]
    await delivery.give_back()
    assert await web.waiting("q") == 0, "it was given back after it had been done"


def forget_jobs(url: str) -> None:
    """Do to the queues what a crash of the server may do to what it did not have on its disk yet."""
    if url.startswith("redis"):
        with redis.Redis.from_url(url) as client:
            client.flushdb()
    else:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DELETE FROM saq_jobs")


async def test_a_question_that_the_server_has_forgotten_fails(another: Another, url: str) -> None:
    web, worker = await another(), await another()
    asked = asyncio.create_task(web.call("q", "hello", PATIENCE))
    assert await worker.take_call("q", PATIENCE) is not None
    await asyncio.to_thread(forget_jobs, url)
    with pytest.raises(CallFailedError):
        await asked


async def test_a_question_is_answered_by_a_worker(another: Another) -> None:
    web, worker = await another(), await another()

    async def answer() -> None:
        call = await worker.take_call("q", PATIENCE)
        assert call is not None
        await call.answer(f"{call.body}!")

    answering = asyncio.create_task(answer())
    assert await web.call("q", "hello", PATIENCE) == "hello!"
    await answering


async def test_a_question_that_nobody_answers_fails(another: Another) -> None:
    web, worker = await another(), await another()
    with pytest.raises(CallFailedError):
        await web.call("q", "hello", 0.2)

    asked = asyncio.create_task(web.call("other", "hello", PATIENCE))
    call = await worker.take_call("other", PATIENCE)
    assert call is not None
    await call.done()
    with pytest.raises(CallFailedError):
        await asked


async def test_workers_are_seen_until_their_time_is_over(another: Another) -> None:
    web, worker = await another(), await another()
    await worker.publish(Card("two", "first"), 60)
    await worker.publish(Card("two", "second"), 1)
    await worker.publish(Card("one", '{"a": 1}'), 60)
    assert dict(await web.cards()).get("two") in ("second", None)

    async def gone() -> bool:
        return dict(await web.cards()) == {"one": '{"a": 1}'}

    await until(gone, 30)
