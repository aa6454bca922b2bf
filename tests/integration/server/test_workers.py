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
from tests.parity.wire import ACCEPT, PartReader
from tests.support.request_bodies import event, generate, scripted, text, text_message

# Six processes import everything, one after another.
SLOW = pytest.mark.timeout(300)
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


async def test_nobody_is_let_in_while_rates_cannot_be_counted_and_readiness_reports_it(tmp_path: Path) -> None:
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


def on_target(tmp_path: Path, start: str) -> str:
    """An application with the scripted agent, whose import does what ``start`` says."""
    file = tmp_path / "app.py"
    file.write_text(
        f"{start}\n"
        "from copilotkit_runtime import CopilotRuntime\n"
        "from tests.support.echo_agent import EchoProvider\n"
        "from tests.support.scripted_agent import ScriptedProvider\n"
        "runtime = CopilotRuntime([ScriptedProvider(), EchoProvider()])\n"
    )
    return f"{file}:runtime"


async def whole(url: str, thread: str, begun: asyncio.Event) -> Any:
    """The end of an answer that goes on for some seconds; signals when its first word has come."""
    steps = [*text("a", "first")[:-1], *({**event("CUSTOM", name="tick"), "after": 0.5} for _ in range(20))]
    body = scripted(*steps, *text("b", "last"), threadId=thread)
    reader, parts = PartReader(), []
    async with httpx.AsyncClient(timeout=60) as http, http.stream("POST", url, json=body) as response:
        async for chunk in response.aiter_bytes():
            parts += reader.feed(chunk)
            if "first" in str(parts):
                begun.set()
    return fold(parts)


async def knocking(url: str, ending: asyncio.Event) -> set[int]:
    """The statuses that new clients get to a query and a run, one after another."""
    statuses: set[int] = set()
    run = generate(text_message("hello"), agent="echo", threadId="t-knocking")
    while not ending.is_set():
        for body in (HELLO, run):
            async with httpx.AsyncClient(timeout=20) as http:
                statuses.add((await http.post(url, json=body, headers={"accept": ACCEPT})).status_code)
    return statuses


@SLOW
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_rolling_restart_loses_no_stream_and_refuses_nobody(tmp_path: Path, workers: int) -> None:
    app = on_target(tmp_path, "STARTED = 1")
    settings = {"metrics": "true", "shutdown_grace_seconds": "60"}
    with running(tmp_path, "--workers", str(workers), app=app, **settings) as server:
        await asyncio.to_thread(server.await_event, "Application startup complete.", times=workers)
        before = workers_of(server)
        begun, ending = [asyncio.Event() for _ in range(8)], asyncio.Event()
        streams = [asyncio.create_task(whole(server.url, f"t-{n}", one)) for n, one in enumerate(begun)]
        knocks = asyncio.create_task(knocking(server.url, ending))
        async with asyncio.timeout(30):
            await asyncio.gather(*(one.wait() for one in begun))
        # Slower than the five seconds that uvicorn waits by itself, as some frameworks are.
        on_target(tmp_path, "import time; time.sleep(6)")
        server.tell(signal.SIGHUP)
        ends = await asyncio.gather(*streams)
        await asyncio.to_thread(server.await_event, "worker_replaced", times=workers, patience=150)
        ending.set()
        assert await knocks == {200}
        async with httpx.AsyncClient() as http:
            page = (await http.get(f"{server.origin}/metrics")).text
    assert {end["status"]["code"] for end in ends} == {"Success"}
    assert {end["messages"][-1]["content"][0] for end in ends} == {"last"}
    after = set(workers_of(server)) - set(before)
    assert len(after) == workers
    assert {line["old"] for line in server.events("worker_replaced")} == set(before)
    # Several workers share what they have counted; one begins anew.
    assert ('copilotkit_runs_total{agent="scripted",outcome="finished"} 8.0' in page) == (workers == 2)
    assert {pid for pid in before if f'pid="{pid}"' in page} == set()


@SLOW
@pytest.mark.parametrize(
    ("workers", "start", "seconds", "status"),
    [
        (2, "raise RuntimeError('broken')", "120", 3),
        (2, "import time; time.sleep(600)", "30", None),  # the first ones may take no longer either
        (1, "raise RuntimeError('broken')", "120", 1),
        (1, "import time; time.sleep(600)", "1", None),
    ],
    ids=["it fails", "it takes too long", "the only one fails", "the only one takes too long"],
)
async def test_workers_go_on_if_what_replaces_them_does_not_start(
    tmp_path: Path, workers: int, start: str, seconds: str, status: int | None
) -> None:
    app = on_target(tmp_path, "STARTED = 1")
    with running(tmp_path, "--workers", str(workers), app=app, worker_start_seconds=seconds) as server:
        await asyncio.to_thread(server.await_event, "Application startup complete.", times=workers)
        on_target(tmp_path, start)
        server.tell(signal.SIGHUP)
        line = await asyncio.to_thread(server.await_event, "worker_not_ready", patience=150)
        assert line["exit_status"] == status
        assert line["kept"] in workers_of(server)
        assert {answer.status_code for answer in await asked(server.url, 10)} == {200}
        server.tell(signal.SIGTERM)
        assert server.wait() in (0, -signal.SIGTERM)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_signal_to_end_is_heeded_during_a_rolling_restart(tmp_path: Path, workers: int) -> None:
    with running(tmp_path, "--workers", str(workers), shutdown_grace_seconds="0.5") as server:
        await asyncio.to_thread(server.await_event, "Application startup complete.", times=workers)
        server.tell(signal.SIGHUP)
        await asyncio.to_thread(server.await_event, "workers_restarting")
        server.tell(signal.SIGTERM)
        assert server.wait() in (0, -signal.SIGTERM)
    for pid in workers_of(server):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


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
    """All parts of an answer that never ends by itself; signals when the first has come."""
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


RELOADED_EARLY = """
import multiprocessing, os, signal
from tests.integration.server.apps import *

if multiprocessing.parent_process() is None:
    os.kill(os.getpid(), signal.SIGHUP)
"""


async def test_a_restart_that_is_asked_for_while_the_server_starts_does_not_end_it(tmp_path: Path) -> None:
    target = tmp_path / "reloaded.py"
    target.write_text(RELOADED_EARLY)
    with running(tmp_path, "--workers", "2", app=f"{target}:runtime") as server:
        assert [answer.status_code for answer in await asked(server.url, 1)] == [200]
