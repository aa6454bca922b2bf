"""An owner's threads are deleted in one process while runs in them go on, and are followed, in others."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import httpx
import pytest

from copilotkit_runtime import ApiKeyAuth, CopilotRuntime, RuntimeConfig
from tests.integration.stores.conftest import (  # noqa: F401 - fixtures
    SHARED,
    postgres_url,
    redis_url,
    server_folder,
    url,
)
from tests.support.agui_client import PATH, run_input, say, script
from tests.support.local_server import client_of
from tests.support.polling import until
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
            handle = await there.service.attach(thread, paces=False)
            if handle is not None:
                handle.close()
            return handle is not None

        await until(is_seen)
        following = asyncio.create_task(text(second, CONNECT, ANN, connecting))
        assert "secret" not in await text(second, CONNECT, BOB, connecting)

        assert await there.delete_threads(owner="ann") == 1
        for ended in (await running, await following):
            assert ended.count('"RUN_ERROR"') == 1

        begun = await text(first, RUN, BOB, run_input(script(*say("of bob"), id_="v"), thread=thread))
        seen = [await text(client, CONNECT, BOB, connecting) for client in (first, second)]
        foreign = [await text(client, CONNECT, ANN, connecting) for client in (first, second)]
    assert all("of bob" in each and "secret" not in each for each in (begun, *seen))
    assert not any("of bob" in each for each in foreign)
