"""A PostgreSQL server that dies while its standby is there: the store's URL names both, and all goes on there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.runtime.config import RuntimeConfig
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.integration.stores.servers import PostgresServer
from tests.support.agui_client import connect, run, run_input, types_of, user
from tests.support.echo_agent import EchoProvider
from tests.support.polling import until

PATIENCE = 60.0
AGUI = "/api/copilotkit/agent"
_REPLAYED = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"


class Pair:
    """A server, and its standby.

    Args:
        folder: A folder that ``nobody`` can enter.
    """

    def __init__(self, folder: Path) -> None:
        self.first = PostgresServer(folder / "first", survives="server")
        self.second = PostgresServer(folder / "second", survives="server")
        places = ",".join(each.url.partition("@")[2].partition("/")[0] for each in (self.first, self.second))
        self.url = f"postgresql://postgres@{places}/postgres?target_session_attrs=read-write"

    def fail_over(self) -> None:
        """Kill the server once the standby has all that it confirmed, and make that the one that is written to."""
        with psycopg.connect(self.first.url, autocommit=True) as connection:
            (written,) = connection.execute("SELECT pg_current_wal_lsn()").fetchone() or ("",)
        with psycopg.connect(self.second.url, autocommit=True) as standby:
            while standby.execute(_REPLAYED, (written,)).fetchone() != (True,):
                standby.execute("SELECT pg_sleep(0.02)")
            self.first.kill()
            standby.execute("SELECT pg_promote()")


@pytest.fixture
def pair(server_folder: Path) -> Iterator[Pair]:
    pair = Pair(server_folder / uuid4().hex)
    with ExitStack() as stack:
        pair.first.create()
        for server, start in ((pair.first, pair.first.start), (pair.second, lambda: pair.second.follow(pair.first))):
            start()
            stack.callback(server.kill)
        yield pair


async def test_a_run_goes_on_while_a_standby_becomes_the_server(pair: Pair) -> None:
    with pytest.raises(StoreUnavailableError):  # it is as good as away, and not broken
        await open_store(pair.second.url).start()
    provider = EchoProvider()
    runtime = CopilotRuntime([provider], config=RuntimeConfig(store=pair.url))
    transport = httpx.ASGITransport(runtime.create_app())
    async with runtime, httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        await run(client, "echo", run_input(user("hello"), thread="before"))
        running = asyncio.create_task(run(client, "patient", run_input(user("wait"), thread="during")))
        await asyncio.wait_for(provider.waiting.wait(), PATIENCE)

        await asyncio.to_thread(pair.fail_over)

        async def again() -> bool:
            answer = await client.post(f"{AGUI}/echo/run", json=run_input(user("hello"), thread="after"))
            return "RUN_FINISHED" in answer.text

        await until(again, PATIENCE)
        assert (await client.post(f"{AGUI}/patient/stop/during")).json()["stopped"] is True
        assert types_of(await asyncio.wait_for(running, PATIENCE))[-1] == "RUN_FINISHED"
        for thread in ("before", "during", "after"):
            events = await connect(client, "echo", thread)
            assert types_of(events)[-1] == "RUN_FINISHED"
            assert "TEXT_MESSAGE_CONTENT" in types_of(events)
