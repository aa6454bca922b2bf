"""A real server process loses no finished turn: killed in the middle of a run, or sharing its store with another."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.stores.servers import Server as Database
from tests.parity import servers
from tests.parity.fold import fold
from tests.parity.servers import Target, ours
from tests.parity.wire import ask
from tests.support.copies import serving
from tests.support.request_bodies import event, generate, scripted, text, text_message

LOAD = """query loadAgentState($data: LoadAgentStateInput!) {
    loadAgentState(data: $data) { threadExists state messages } }"""
KINDS = ("sqlite", "redis", "postgres")
LEASE = "5"
"""For how many seconds a killed process's threads are kept from others."""
LOCKED_SECONDS = 40.0
STARTING_SECONDS = 120
"""Longer than workers take until they read from the socket, which their parent opened before them."""
OUTAGE_SECONDS = 10


@pytest.fixture(params=KINDS)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.sqlite'}"
    return str(request.getfixturevalue(f"{request.param}_url"))


def durable(store_url: str, *arguments: str, **settings: str) -> Target:
    app = ours("tests/support/durable_runtime.py:runtime")
    given = {"store": store_url, **settings}
    variables = {f"COPILOTKIT_{name.upper()}": value for name, value in given.items()}
    return Target("durable", (*app.command, *arguments), variables)


async def load(client: httpx.AsyncClient, url: str, agent: str, thread_id: str) -> dict[str, Any]:
    variables = {"data": {"threadId": thread_id, "agentName": agent}}
    answer = (await client.post(url, json={"query": LOAD, "variables": variables})).json()
    return dict(answer["data"]["loadAgentState"])


def contents(loaded: dict[str, Any]) -> list[str]:
    return [message["content"] for message in json.loads(loaded["messages"])]


async def turn(client: httpx.AsyncClient, url: str, thread_id: str, *said: str) -> None:
    """One turn of each agent; what was sent before is sent again, as the client does."""
    messages = [text_message(content, id_=f"u{number}") for number, content in enumerate(said)]
    graph = await ask(client, url, generate(*messages, agent="graph", threadId=thread_id), LOCKED_SECONDS)
    steps = [event("STATE_SNAPSHOT", snapshot={"last": said[-1]}), *text(f"s{len(said)}", f"heard {said[-1]}")]
    script = await ask(client, url, scripted(*steps, threadId=thread_id))
    for answer in (graph, script):
        assert fold(answer.parts)["status"]["code"] == "Success"


async def begin_and_hang(client: httpx.AsyncClient, url: str, thread_id: str) -> asyncio.Task[Any]:
    """Starts a run that hangs; returns when it is under way."""
    started = asyncio.Event()

    async def run() -> None:
        body = generate(text_message("hang", id_="u9"), agent="graph", threadId=thread_id)
        async with client.stream("POST", url, json=body) as response:
            async for _ in response.aiter_bytes():
                started.set()

    task = asyncio.create_task(run())
    await started.wait()
    return task


async def test_every_finished_turn_survives_a_kill_in_the_middle_of_a_run(store_url: str) -> None:
    thread_id = f"thread-{os.urandom(4).hex()}"
    async with httpx.AsyncClient(timeout=20) as client:
        with serving(durable(store_url, store_lease_seconds=LEASE)) as server:
            await turn(client, server.url, thread_id, "one")
            await turn(client, server.url, thread_id, "one", "two")
            hanging = await begin_and_hang(client, server.url, thread_id)
            os.kill(server.pid, signal.SIGKILL)
            with pytest.raises(httpx.HTTPError):
                await hanging
        with serving(durable(store_url)) as server:
            graph = await load(client, server.url, "graph", thread_id)
            script = await load(client, server.url, "scripted", thread_id)
            assert json.loads(graph["state"])["turns"] == 2
            assert contents(graph)[:4] == ["one", "You said: one", "two", "You said: two"]
            assert json.loads(script["state"]) == {"last": "two"}
            assert contents(script)[-1] == "heard two"
            await turn(client, server.url, thread_id, "one", "two", "three")
            assert contents(await load(client, server.url, "graph", thread_id))[-1] == "You said: three"


@pytest.mark.timeout(240)
async def test_two_workers_behind_one_address_share_their_threads(store_url: str) -> None:
    threads = [f"thread-{os.urandom(4).hex()}" for _ in range(6)]
    with servers.serving(durable(store_url, "--workers", "2")) as server:
        for thread_id in threads:
            async with httpx.AsyncClient(timeout=STARTING_SECONDS) as client:
                await turn(client, server.url, thread_id, "one")
        for thread_id in threads:
            async with httpx.AsyncClient(timeout=STARTING_SECONDS) as client:
                assert contents(await load(client, server.url, "graph", thread_id)) == ["one", "You said: one"]
                assert json.loads((await load(client, server.url, "scripted", thread_id))["state"]) == {"last": "one"}


@pytest.mark.timeout(150)
@pytest.mark.parametrize("server", ["redis", "postgres"], indirect=True)
async def test_ten_seconds_without_the_store_lose_no_turn_that_finishes_and_hang_nothing(server: Database) -> None:
    thread_ids = [f"thread-{number}" for number in range(8)]
    slow = [{**event("STATE_SNAPSHOT", snapshot={"last": "slow"}), "after": 3.0}, *text("s", "heard slow")]
    async with httpx.AsyncClient(timeout=60) as client:
        with serving(durable(server.url)) as runtime:
            bodies = [scripted(*slow, threadId=thread_id) for thread_id in thread_ids]
            runs = [asyncio.create_task(ask(client, runtime.url, body, LOCKED_SECONDS)) for body in bodies]
            await begun(client, runtime.url)
            server.kill()
            await asyncio.sleep(OUTAGE_SECONDS)
            await asyncio.to_thread(server.start)
            answers = await asyncio.gather(*runs)
            assert [answer.complete for answer in answers] == [True] * len(runs)
            finished = [
                thread_id
                for thread_id, answer in zip(thread_ids, answers, strict=True)
                if fold(answer.parts)["status"]["code"] == "Success"
            ]
            assert finished == thread_ids
            for thread_id in finished:
                loaded = await load(client, runtime.url, "scripted", thread_id)
                assert (json.loads(loaded["state"]), contents(loaded)[-1]) == ({"last": "slow"}, "heard slow")


async def begun(client: httpx.AsyncClient, url: str) -> None:
    """Returns when runs that were asked for before are under way: a later one has been answered whole."""
    answer = await ask(client, url, scripted(*text("w", "ready"), threadId="witness"))
    assert fold(answer.parts)["status"]["code"] == "Success"
