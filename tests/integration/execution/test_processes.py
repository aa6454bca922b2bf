"""Web processes and workers as real processes: kills, restarts and probes under load."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.integration.stores.test_takeover import (
    GREETING,
    LEASE,
    WORDS,
    Reader,
    connect,
    gate,
    script,
    spoken,
    starting,
    terminal,
    thread,
)
from tests.parity.servers import PATH, Target
from tests.support.agui_client import run_input, user
from tests.support.copies import serving
from tests.support.half_sent import HalfSent
from tests.support.polling import until
from tests.support.queued_runtime import web, worker
from tests.support.request_bodies import generate, text_message

__all__ = ["gate", "thread"]

APP = "tests/support/resumable_runtime.py:runtime"
SETTINGS = {"store_lease_seconds": str(LEASE), "worker_concurrency": "50"}
SHOWN = "".join(WORDS[:5])
WHOLE = "".join(WORDS)


def a_web(url: str) -> Target:
    return web(url, **SETTINGS)


def a_worker(url: str, **settings: str) -> Target:
    return worker(APP, url, **{**SETTINGS, "on_crash": "resume", **settings})


@pytest.mark.timeout(300)
@pytest.mark.parametrize("on_crash", ["close", "resume"])
@pytest.mark.parametrize("url", ["redis", "postgres"], indirect=True)
async def test_the_runs_of_a_killed_worker_go_on_or_are_closed_and_clients_stay(
    url: str, on_crash: str, gate: Path
) -> None:
    threads = [f"thread-{number}-{uuid4()}" for number in range(10)]
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(timeout=120, limits=limits) as client:
        with serving(a_worker(url, on_crash=on_crash)) as first, serving(a_web(url)) as front:
            runs = [starting(client, front, thread, script(gate)) for thread in threads[:5]]
            for run in runs:
                await run.until_said(GREETING, SHOWN)
            with serving(a_worker(url, on_crash=on_crash)):
                runs += [starting(client, front, thread, script(gate)) for thread in threads[5:]]
                for run in runs:
                    await run.until_said(GREETING, SHOWN)
                os.kill(first.pid, signal.SIGKILL)
                await asyncio.to_thread(gate.unlink)
                await asyncio.gather(*(run.join() for run in runs))
                ends: Counter[str] = Counter()
                for run in runs:
                    assert not run.cut
                    (end,) = terminal(run.events)
                    said = list(spoken(run.events).values())
                    assert said[0] == GREETING
                    assert said[-1] == (WHOLE if end == "RUN_FINISHED" else SHOWN)
                    ends[end] += 1
                if on_crash == "resume":
                    assert ends == {"RUN_FINISHED": 10}
                else:
                    assert ends["RUN_ERROR"] >= 1
                again = [starting(client, front, each, json.dumps({"say": ["next"]}), run="n") for each in threads]
                await asyncio.gather(*(run.join() for run in again))
                assert [terminal(run.events) for run in again] == [["RUN_FINISHED"]] * 10


@pytest.mark.timeout(300)
@pytest.mark.parametrize("url", ["redis", "postgres"], indirect=True)
async def test_a_killed_web_process_loses_its_connections_and_nothing_else(url: str, gate: Path) -> None:
    threads = [f"thread-{number}-{uuid4()}" for number in range(8)]
    async with httpx.AsyncClient(timeout=120) as client:
        with serving(a_worker(url)), serving(a_web(url)) as first, serving(a_web(url)) as second:
            runs = [starting(client, first, thread, script(gate)) for thread in threads]
            for run in runs:
                await run.until_said(GREETING, SHOWN)
            os.kill(first.pid, signal.SIGKILL)
            await asyncio.gather(*(run.join() for run in runs))
            assert all(run.cut for run in runs)
            joined = [
                Reader(client, f"{second.url}/agent/graph/connect", run_input(thread=thread, run="c"))
                for thread in threads
            ]
            for reader in joined:
                await reader.until_said(GREETING, SHOWN)
            await asyncio.to_thread(gate.unlink)
            await asyncio.gather(*(reader.join() for reader in joined))
            for reader in joined:
                assert list(spoken(reader.events).values()) == [GREETING, WHOLE]
                assert terminal(reader.events) == ["RUN_FINISHED"]
            for thread in threads:
                assert list(spoken(await connect(client, second.url, thread)).values()) == [GREETING, WHOLE]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("url", ["redis"], indirect=True)
async def test_a_worker_that_is_stopped_hands_its_runs_to_another(url: str, gate: Path, thread: str) -> None:
    async with httpx.AsyncClient(timeout=120) as client:
        with serving(a_worker(url, shutdown_grace_seconds="1")) as first, serving(a_web(url)) as front:
            run = starting(client, front, thread, script(gate))
            await run.until_said(GREETING, SHOWN)
            with serving(a_worker(url)):
                os.kill(first.pid, signal.SIGTERM)
                await until(lambda: _begun_again(gate), 60)
                await asyncio.to_thread(gate.unlink)
                await run.join()
            assert not run.cut
            assert list(spoken(run.events).values()) == [GREETING, WHOLE]
            assert terminal(run.events) == ["RUN_FINISHED"]


async def _read_graphql(client: httpx.AsyncClient, url: str, thread: str, asked: str) -> bytes:
    """Read an answer until its end, or until its connection ends."""
    body, came = generate(text_message(asked), agent="graph", threadId=thread), b""
    try:
        async with client.stream("POST", url, json=body, headers={"accept": "multipart/mixed"}) as response:
            async for chunk in response.aiter_raw():
                came += chunk
    except httpx.RemoteProtocolError:
        return came
    raise AssertionError(f"the answer ended: {came!r}")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("url", ["redis", "postgres"], indirect=True)
async def test_a_web_process_that_is_stopped_breaks_its_streams_off_and_stops_no_run(
    url: str, gate: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    of_agui, of_graphql = (f"{wire}-{uuid4()}" for wire in ("agui", "graphql"))
    settings = {**SETTINGS, "shutdown_grace_seconds": "1"}
    async with httpx.AsyncClient(timeout=120) as client:
        with serving(a_worker(url)), serving(web(url, **settings)) as second:
            with serving(web(url, **settings)) as first:
                run = starting(client, first, of_agui, script(gate))
                reading = asyncio.create_task(_read_graphql(client, first.url, of_graphql, script(gate)))
                await run.until_said(GREETING, SHOWN)
                joined = Reader(client, f"{first.url}/agent/graph/connect", run_input(thread=of_graphql, run="c"))
                await joined.until_said(GREETING, SHOWN)
                os.kill(first.pid, signal.SIGTERM)
                await asyncio.gather(run.join(), joined.join())
                assert b"word4" in await reading
                assert run.cut
                assert joined.cut
            await asyncio.to_thread(gate.unlink)
            for thread in (of_agui, of_graphql):
                events = await connect(client, second.url, thread)
                assert list(spoken(events).values()) == [GREETING, WHOLE]
                assert terminal(events) == ["RUN_FINISHED"]
    assert "Exception" not in capfd.readouterr().err


@pytest.mark.timeout(300)
@pytest.mark.parametrize("url", ["redis"], indirect=True)
async def test_a_request_that_is_on_its_way_when_a_web_process_is_stopped_is_answered(url: str, thread: str) -> None:
    with serving(a_worker(url)), serving(a_web(url)) as front:
        said = user(json.dumps({"say": ["hello"]}))
        request = HalfSent(f"{front.url}/agent/graph/run", run_input(said, thread=thread))
        await request.begin()
        os.kill(front.pid, signal.SIGTERM)
        answer = await request.complete()
    assert answer.startswith("HTTP/1.1 200 ")
    assert "RUN_FINISHED" in answer


async def _begun_again(gate: Path) -> bool:
    lines = await asyncio.to_thread(Path(f"{gate}.nodes").read_text)
    return lines.split().count("answer") == 2


@pytest.mark.parametrize("url", ["redis"], indirect=True)
async def test_a_worker_shows_its_health_and_how_long_runs_waited(url: str, thread: str) -> None:
    async with httpx.AsyncClient(timeout=60) as client:
        with serving(a_worker(url, metrics="true")) as busy, serving(a_web(url)) as front:
            base = busy.url.removesuffix(PATH)
            assert (await client.get(f"{base}/health")).status_code == 200
            assert (await client.get(f"{base}/ready")).json()["ready"] is True
            assert (await client.post(busy.url, json={})).status_code == 404
            await starting(client, front, thread, json.dumps({"say": ["hello"]})).join()
            page = (await client.get(f"{base}/metrics")).text
            assert 'copilotkit_run_queue_duration_seconds_count{queue="default"} 1.0' in page
