"""Two deployments on one Redis whose stores have different prefixes share nothing but the server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.runtime.config import RuntimeConfig
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.integration.execution.deployments import Deployment
from tests.support.agui_client import PATH
from tests.support.echo_agent import EchoProvider
from tests.support.local_server import client_of
from tests.support.polling import until

pytestmark = [pytest.mark.parametrize("url", ["redis"], indirect=True), pytest.mark.usefixtures("brief_takes")]

HELLO = {"query": "{hello}"}


def limited(url: str, prefix: str) -> CopilotRuntime:
    store = open_store(url, StoreSettings(prefix=prefix))
    return CopilotRuntime([EchoProvider()], store=store, config=RuntimeConfig(rate_limit="1/hour burst 1"))


async def statuses(*clients: httpx.AsyncClient) -> list[int]:
    return [(await client.post(PATH, json=HELLO)).status_code for client in clients]


async def test_rates_are_counted_with_those_that_share_the_prefix(url: str, settings: StoreSettings) -> None:
    prefix, other = settings.prefix, f"{settings.prefix}-other"
    async with (
        client_of(limited(url, prefix)) as one,
        client_of(limited(url, prefix)) as same,
        client_of(limited(url, other)) as neighbour,
    ):
        assert await statuses(one, same, neighbour) == [200, 429, 200]


async def test_the_store_that_is_an_argument_has_the_rates_too(url: str) -> None:
    database = f"{url.rpartition('/')[0]}/7"

    def runtime() -> CopilotRuntime:
        return CopilotRuntime([EchoProvider()], store=database, config=RuntimeConfig(rate_limit="1/hour burst 1"))

    async with client_of(runtime()) as one, client_of(runtime()) as same:
        assert await statuses(one, same) == [200, 429]


async def test_workers_are_those_of_web_processes_that_share_the_prefix(
    deployment: Deployment, url: str, settings: StoreSettings
) -> None:
    def store(prefix: str) -> dict[str, Any]:
        return {"store": open_store(url, StoreSettings(prefix=prefix))}

    await deployment.worker(EchoProvider(), **store(settings.prefix))
    own = await deployment.web(**store(settings.prefix))
    neighbour = await deployment.web(**store(f"{settings.prefix}-other"))

    async def knows_agents(client: httpx.AsyncClient) -> bool:
        return bool((await client.get(f"{PATH}/info")).json()["agents"])

    await until(lambda: knows_agents(own))
    assert not await knows_agents(neighbour)
