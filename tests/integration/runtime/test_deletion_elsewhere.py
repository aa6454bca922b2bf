"""An owner's threads are deleted, with runs that go on in other processes, and where agents elsewhere remember them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from copilotkit_runtime import (
    AgentDescriptor,
    AgentProvider,
    ApiKeyAuth,
    CopilotRuntime,
    RunContext,
    RunInput,
    RuntimeConfig,
    events,
)
from tests.integration.stores.conftest import (  # noqa: F401 - fixtures
    SHARED,
    postgres_url,
    redis_url,
    server_folder,
    url,
)
from tests.support.agui_client import PATH, run_input, say, script, user
from tests.support.local_server import client_of
from tests.support.polling import until
from tests.support.request_bodies import generate, text_message
from tests.support.scripted_agent import ScriptedProvider

RUN, CONNECT = f"{PATH}/agent/scripted/run", f"{PATH}/agent/scripted/connect"
ANN, BOB = {"x-api-key": "key-of-ann"}, {"x-api-key": "key-of-bob"}


def runtime(store: str) -> CopilotRuntime:
    return CopilotRuntime(
        providers=[ScriptedProvider()],
        store=store,
        auth=ApiKeyAuth({"ann": "key-of-ann", "bob": "key-of-bob"}),
        config=RuntimeConfig(installed_providers=False),
    )


async def text(client: httpx.AsyncClient, path: str, headers: dict[str, str], body: object) -> str:
    return (await client.post(path, json=body, headers=headers)).text


@pytest.mark.timeout(120)
@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_runs_and_their_followers_end_and_leave_nothing(url: str) -> None:  # noqa: F811 - the fixture
    here, there, thread = runtime(url), runtime(url), f"thread-{uuid4()}"
    connecting = run_input(thread=thread, run="c")
    async with client_of(here) as first, client_of(there) as second:
        asked = run_input(script(*say("secret of ann"), {"hang": True}), thread=thread)
        running = asyncio.create_task(text(first, RUN, ANN, asked))

        async def is_seen() -> bool:
            handle = await there.service.readers.attach(thread, paces=False)
            if handle is not None:
                handle.close()
            return handle is not None

        await until(is_seen)
        shown = asyncio.Event()
        following = asyncio.create_task(_follow(second, connecting, shown))
        assert "secret" not in await text(second, CONNECT, BOB, connecting)
        await asyncio.wait_for(shown.wait(), 60)

        assert await there.delete_threads(owner="ann") == 1
        for ended in (await running, await following):
            assert ended.count('"RUN_ERROR"') == 1

        begun = await text(first, RUN, BOB, run_input(script(*say("of bob"), id_="v"), thread=thread))
        seen = [await text(client, CONNECT, BOB, connecting) for client in (first, second)]
        foreign = [await text(client, CONNECT, ANN, connecting) for client in (first, second)]
    assert all("of bob" in each and "secret" not in each for each in (begun, *seen))
    assert not any("of bob" in each for each in foreign)


async def _follow(client: httpx.AsyncClient, body: object, shown: asyncio.Event) -> str:
    """Return what the owner is sent of a run, and set ``shown`` once it has been said."""
    came = ""
    async with client.stream("POST", CONNECT, json=body, headers=ANN) as response:
        async for piece in response.aiter_text():
            came += piece
            if "secret of ann" in came:
                shown.set()
    return came


class Remembering(AgentProvider):
    """An agent elsewhere that remembers all that was said on a thread, and cannot be made to forget."""

    name = "remembering"
    keeps_threads_elsewhere = True
    deletes_threads = False

    def __init__(self) -> None:
        self._heard: dict[str, str] = {}

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="remembering")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        said = [str(getattr(message, "content", "")) for message in run.messages]
        self._heard[run.thread_id] = " ".join([self._heard.get(run.thread_id, ""), *said])
        message = uuid4().hex
        yield events.TextMessageStart(message_id=message)
        yield events.TextMessageContent(message_id=message, delta=self._heard[run.thread_id])
        yield events.TextMessageEnd(message_id=message)


@pytest.mark.parametrize("deleted_by", ["client", "application", "owner"])
async def test_a_deleted_thread_that_an_agent_elsewhere_remembers_is_begun_by_nobody_again(
    tmp_path: Path, deleted_by: str
) -> None:
    there = CopilotRuntime(
        providers=[Remembering()],
        store=f"sqlite:///{tmp_path}/store.sqlite",
        auth=ApiKeyAuth({"ann": "key-of-ann", "bob": "key-of-bob"}),
        config=RuntimeConfig(installed_providers=False),
    )
    running = f"{PATH}/agent/remembering/run"
    async with client_of(there) as client:
        assert "secret" in await text(client, running, ANN, run_input(user("secret of ann")))
        match deleted_by:
            case "client":
                assert (await client.delete(f"{PATH}/threads/t", headers=ANN)).json()["deleted"]
            case "application":
                assert await there.delete_thread("t")
            case _:
                assert await there.delete_threads(owner="ann") == 1
        for thread in ("t", "ck-t"):
            begun = generate(text_message("hello"), agent="remembering")
            begun["variables"]["data"]["threadId"] = thread
            answers = [
                await text(client, running, BOB, run_input(user("hello", id_="v"), thread=thread)),
                await text(client, PATH, BOB, begun),
            ]
            assert not any("secret" in answer for answer in answers)
        assert "secret" not in await text(client, running, ANN, run_input(user("hello", id_="w")))
