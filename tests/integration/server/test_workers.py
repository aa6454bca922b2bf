"""Several worker processes as one service."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.server.process import Running, running
from tests.integration.stores.servers import RedisServer
from tests.parity.fold import fold
from tests.parity.wire import PartReader
from tests.support.request_bodies import scripted, text

HELLO = {"query": "{hello}"}


def hanging(thread: str) -> dict[str, Any]:
    """A request whose answer never ends by itself."""
    return scripted(*text("a", "so far")[:-1], {"hang": True}, threadId=thread)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


def workers_of(server: Running) -> list[int]:
    """The ids of the processes that have started to serve."""
    started = [line["event"] for line in server.log_lines() if line["event"].startswith("Started server process")]
    return [int(line.partition("[")[2].rstrip("]")) for line in started]


async def asked(url: str, times: int, **options: Any) -> list[httpx.Response]:
    """Answers to requests over connections of their own, which the kernel spreads over the workers."""

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(timeout=20) as http:
            return await http.post(url, json=HELLO, **options)

    return await asyncio.gather(*(ask() for _ in range(times)))


async def test_a_rate_counts_for_all_workers_together(tmp_path: Path, redis: RedisServer) -> None:
    settings = {"rate_limit": "1/hour burst 10", "rate_limit_store": redis.url}
    with running(tmp_path, "--workers", "2", **settings) as server:
        statuses = [answer.status_code for answer in await asked(server.url, 30)]
    assert sorted(statuses) == [200] * 10 + [429] * 20


async def test_nobody_is_let_in_while_rates_cannot_be_counted_and_readiness_says_so(tmp_path: Path) -> None:
    place = tmp_path / "redis"
    place.mkdir()
    redis = RedisServer(place)
    redis.start()
    try:
        with running(tmp_path, rate_limit="60/minute", rate_limit_store=redis.url) as server:
            assert [answer.status_code for answer in await asked(server.url, 1)] == [200]
            redis.kill()
            refused = (await asked(server.url, 1))[0]
            assert refused.status_code == 503
            assert refused.json()["errors"][0]["message"] == "The rate limiter does not answer."
            async with httpx.AsyncClient() as http:
                ready = await http.get(f"{server.origin}/ready")
                assert (ready.status_code, ready.json()["checks"]["rates"]) == (503, "failed")
                assert (await http.get(f"{server.origin}/health")).status_code == 200
            redis.start()
            assert [answer.status_code for answer in await asked(server.url, 1)] == [200]
    finally:
        redis.kill()


async def test_a_worker_that_dies_is_replaced_and_its_runs_no_longer_count(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2", metrics="true") as server:
        await asyncio.to_thread(server.await_event, "Application startup complete.", times=2)
        victims = workers_of(server)
        streaming = asyncio.create_task(broken_off(server.url))
        await asyncio.to_thread(server.await_event, "run_started")
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        assert await streaming
        await asyncio.to_thread(server.await_event, "Application startup complete.", times=4)
        assert {answer.status_code for answer in await asked(server.url, 10)} == {200}
        async with httpx.AsyncClient() as http:
            page = (await http.get(f"{server.origin}/metrics")).text
    assert not [line for line in page.splitlines() if line.startswith("copilotkit_active") and line.endswith(" 1.0")]


async def broken_off(url: str) -> bool:
    """Whether a stream ends without its end."""
    async with httpx.AsyncClient(timeout=30) as http:
        try:
            async with http.stream("POST", url, json=hanging("t")) as response:
                async for _ in response.aiter_bytes():
                    pass
        except httpx.RemoteProtocolError:
            return True
    return False


async def streamed(url: str, thread: str, begun: asyncio.Event) -> list[Any]:
    """All parts of an answer that never ends by itself; says when the first has come."""
    reader, parts = PartReader(), []
    async with httpx.AsyncClient(timeout=30) as http, http.stream("POST", url, json=hanging(thread)) as response:
        async for chunk in response.aiter_bytes():
            parts += reader.feed(chunk)
            if "so far" in str(parts):
                begun.set()
    return parts


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_the_parent_ends_the_runs_of_all_workers_with_a_terminal_event(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running(tmp_path, "--workers", "2", shutdown_grace_seconds="0.5") as server:
        begun = [asyncio.Event() for _ in range(6)]
        streams = [asyncio.create_task(streamed(server.url, f"t-{n}", event)) for n, event in enumerate(begun)]
        async with asyncio.timeout(30):
            await asyncio.gather(*(event.wait() for event in begun))
        server.tell(number)
        ends = [fold(parts) for parts in await asyncio.gather(*streams)]
        assert server.wait() == 0
    assert {end["status"]["code"] for end in ends} == {"Failed"}
    assert {end["messages"][0]["content"][0] for end in ends} == {"so far"}


async def test_a_second_signal_ends_all_workers_at_once(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2", shutdown_grace_seconds="600") as server:
        begun = asyncio.Event()
        streaming = asyncio.create_task(streamed(server.url, "t", begun))
        await begun.wait()
        server.tell(signal.SIGTERM)
        await asyncio.to_thread(server.await_event, "shutting_down", times=2)
        server.tell(signal.SIGTERM)
        with pytest.raises(httpx.RemoteProtocolError):
            await streaming
        server.wait()
    for pid in workers_of(server):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
