"""Clients that stay connected to a thread get the runs that others start in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import time
from typing import Any

import httpx
import pytest
from starlette.requests import HTTPConnection

from copilotkit_runtime import Authenticator, CopilotRuntime, Identity, RuntimeConfig
from copilotkit_runtime.wires.http import credentials
from tests.support.agui_client import PATH, connect, events_of, run, run_input, say, script, types_of
from tests.support.local_server import served
from tests.support.polling import until
from tests.support.scripted_agent import ScriptedProvider

PATIENCE = 30


class Tab:
    """A client that stays connected to a thread."""

    def __init__(self, pieces: AsyncIterator[str]) -> None:
        self.text = ""
        self._pieces = pieces

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events so far."""
        return events_of(self.text[: self.text.rfind("\n\n") + 2])

    async def until(self, word: str, times: int = 1) -> None:
        """Read until a word has come so many times."""
        async with asyncio.timeout(PATIENCE):
            while self.text.count(word) < times:
                self.text += await anext(self._pieces)

    async def to_end(self) -> None:
        """Read until the server ends the stream."""
        async with asyncio.timeout(PATIENCE):
            async for piece in self._pieces:
                self.text += piece


@asynccontextmanager
async def tab(client: httpx.AsyncClient, thread: str = "t", **options: Any) -> AsyncGenerator[Tab]:
    body = run_input(thread=thread, run="c")
    async with client.stream("POST", f"{PATH}/agent/scripted/connect", json=body, **options) as response:
        assert response.status_code == 200
        yield Tab(response.aiter_text())


@asynccontextmanager
async def runtime(
    auth: Authenticator | None = None, **settings: Any
) -> AsyncGenerator[tuple[CopilotRuntime, httpx.AsyncClient]]:
    config = RuntimeConfig(**{"connect_stays_open": True, "keep_alive_seconds": 0.2, **settings})
    made = CopilotRuntime(providers=[ScriptedProvider()], config=config, auth=auth)
    async with served(made.create_app()) as origin, httpx.AsyncClient(base_url=origin, timeout=PATIENCE) as client:
        yield made, client
        # The server waits for connections that are open: they are to end with the runtime.
        await made.service.drain(0)


def turn(number: int) -> dict[str, Any]:
    return run_input(script(*say(f"answer {number}", f"a{number}"), id_=f"u{number}"), run=f"r{number}")


async def test_tabs_that_stay_get_each_run_once_and_in_order() -> None:
    async with runtime() as (_, client):
        await run(client, "scripted", turn(1))
        async with tab(client) as one, tab(client) as other:
            await one.until("answer 1")
            for number in (2, 3):
                await run(client, "scripted", turn(number))
                for each in (one, other):
                    await each.until("RUN_FINISHED", number)
            await one.until(": keep-alive")
            kept = await connect_and_leave(client)
    for each in (one, other):
        assert [event["runId"] for event in each.events if event["type"] == "RUN_STARTED"] == ["r1", "r2", "r3"]
        brought = [event["input"]["messages"] for event in each.events if event["type"] == "RUN_STARTED"]
        assert [[message["id"] for message in messages] for messages in brought] == [["u1"], ["u2"], ["u3"]]
        assert [event["delta"] for event in each.events if "delta" in event] == ["answer 1", "answer 2", "answer 3"]
    assert types_of(kept) == types_of(one.events)


async def connect_and_leave(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    async with tab(client) as late:
        await late.until("RUN_FINISHED", 3)
    return late.events


async def test_a_run_that_goes_on_is_seen_as_it_goes_on() -> None:
    async with runtime() as (_, client), tab(client) as watching:
        held = script(*say("so far", "a1"), {"hang": True}, id_="u1")
        running = asyncio.create_task(run(client, "scripted", run_input(held, run="r1")))
        await watching.until("so far")
        await client.post(f"{PATH}/agent/scripted/stop/t", json={})
        await running
        await watching.until("RUN_FINISHED")
    assert types_of(watching.events)[-1] == "RUN_FINISHED"


async def test_a_run_that_waits_for_another_one_is_seen_behind_it() -> None:
    async with runtime(connect_stays_open=False) as (made, client):
        held = script(*say("so far", "a1"), {"hang": True}, id_="u1")
        first = asyncio.create_task(run(client, "scripted", run_input(held, run="r1")))
        await until(lambda: are_going_on(made, 1))
        second = asyncio.create_task(run(client, "scripted", turn(2)))
        await until(lambda: are_going_on(made, 2))
        async with tab(client) as watching:
            await watching.until("so far")
            await client.post(f"{PATH}/agent/scripted/stop/t", json={"runId": "r1"})
            await watching.to_end()
        await asyncio.gather(first, second)
    assert [event["runId"] for event in watching.events if event["type"] == "RUN_STARTED"] == ["r1", "r2"]
    assert "answer 2" in watching.text


async def are_going_on(made: CopilotRuntime, number: int) -> bool:
    return made.service.active_runs == number


async def test_a_thread_that_is_not_there_yet_is_waited_for() -> None:
    async with runtime() as (_, client):
        async with tab(client, "new") as early:
            await early.until(": keep-alive")
            await run(client, "scripted", {**turn(1), "threadId": "new"})
            await early.until("RUN_FINISHED")
        assert "answer 1" in early.text


async def test_a_run_that_fails_does_not_end_the_stream_for_older_clients() -> None:
    async with runtime() as (_, client), tab(client) as watching:
        failed = await run(client, "scripted", run_input(script({"raise": "no"}, id_="u1"), run="r1"))
        await watching.until("RUN_FINISHED")
        await run(client, "scripted", turn(2))
        await watching.until("RUN_FINISHED", 2)
    assert types_of(failed)[-1] == "RUN_ERROR"
    assert "RUN_ERROR" not in types_of(watching.events)
    assert [event["name"] for event in watching.events if event["type"] == "CUSTOM"] == ["run_failed"]


async def test_a_thread_that_is_deleted_and_begun_anew_is_followed() -> None:
    async with runtime() as (_, client):
        await run(client, "scripted", turn(1))
        async with tab(client) as watching:
            await watching.until("answer 1")
            assert (await client.request("DELETE", f"{PATH}/threads/t", json={})).status_code == 200
            await run(client, "scripted", turn(2))
            await watching.until("answer 2")
        assert [event["runId"] for event in watching.events if event["type"] == "RUN_STARTED"] == ["r1", "r2"]


async def test_a_run_of_another_process_comes_too(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'threads.sqlite'}"
    async with runtime(store=store) as (_, here), runtime(store=store) as (_, there):
        await run(there, "scripted", turn(1))
        async with tab(here) as watching:
            await watching.until("answer 1")
            for number in (2, 3):
                await run(there, "scripted", turn(number))
                await watching.until(f"answer {number}")
            await run(here, "scripted", turn(4))
            await watching.until("answer 4")
            await watching.until("RUN_FINISHED", 4)
    assert [event["runId"] for event in watching.events if event["type"] == "RUN_STARTED"] == ["r1", "r2", "r3", "r4"]


async def test_a_thread_of_somebody_else_s_stays_silent() -> None:
    keys = ("ann:key-of-ann-0123456789", "bob:key-of-bob-0123456789")
    ann, bob = ({"authorization": f"Bearer {key.partition(':')[2]}"} for key in keys)
    async with runtime(api_keys=keys) as (_, client):
        async with tab(client, headers=bob) as stranger, tab(client, headers=ann) as owner:
            client.headers.update(ann)
            await run(client, "scripted", turn(1))
            await owner.until("answer 1")
            await stranger.until(": keep-alive", 10)
        assert stranger.events == []


@pytest.mark.parametrize("thread", ["t", "nowhere"])
async def test_the_end_of_the_runtime_ends_the_stream(thread: str) -> None:
    async with runtime() as (made, client):
        await run(client, "scripted", turn(1))
        async with tab(client, thread) as watching:
            await watching.until(": keep-alive")
            await made.service.drain(0)
            await watching.to_end()
        async with tab(client, thread) as late:
            await late.to_end()
        assert ("answer 1" in late.text) is (thread == "t")


class ShortLived(Authenticator):
    """Lets everybody in for a moment."""

    def authenticate(self, request: HTTPConnection) -> Identity:
        """Return somebody whose credentials are about to run out."""
        return Identity("ann", {"exp": time() + 0.5})


async def test_credentials_that_run_out_end_the_stream() -> None:
    async with runtime(auth=ShortLived()) as (_, client):
        async with tab(client) as watching:
            await watching.to_end()
        await run(client, "scripted", turn(1))
        async with tab(client) as watching:
            await watching.to_end()
        assert "answer 1" in watching.text


async def test_credentials_that_are_revoked_end_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "RENEWAL_SECONDS", 0.01)
    known = {"ann": Identity("ann")}
    async with runtime(auth=lambda _request: known.get("ann")) as (_, client):
        await run(client, "scripted", turn(1))
        async with tab(client) as watching:
            await watching.until("answer 1")
            known.clear()
            await watching.to_end()


async def test_an_authenticator_that_fails_for_a_while_ends_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "RENEWAL_SECONDS", 0.01)
    failures: list[None] = []
    away = asyncio.Event()

    def authenticate(_request: HTTPConnection) -> Identity:
        if away.is_set():
            failures.append(None)
            raise ConnectionError("the provider of identities is away")
        return Identity("ann")

    async def has_failed() -> bool:
        return bool(failures)

    async with runtime(auth=authenticate) as (_, client), tab(client) as watching:
        await watching.until(": keep-alive")
        away.set()
        await until(has_failed)
        away.clear()
        await run(client, "scripted", turn(1))
        await watching.until("answer 1")


async def test_a_client_that_leaves_is_no_longer_waited_with() -> None:
    async with runtime() as (made, client):
        async with tab(client) as watching:
            await watching.until(": keep-alive")
            assert made.service.next_runs.watched == 1

        async def is_forgotten() -> bool:
            return made.service.next_runs.watched == 0

        await until(is_forgotten)
        await run(client, "scripted", turn(1))


async def test_by_default_a_connection_ends_with_the_history() -> None:
    made = CopilotRuntime(providers=[ScriptedProvider()])
    async with served(made.create_app()) as origin, httpx.AsyncClient(base_url=origin, timeout=PATIENCE) as client:
        assert await connect(client, "scripted") == []
        await run(client, "scripted", turn(1))
        assert types_of(await connect(client, "scripted"))[-1] == "RUN_FINISHED"
