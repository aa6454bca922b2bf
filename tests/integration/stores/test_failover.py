"""Servers that take no writes while another one takes over, as standbys and replicas, are as good as away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
import redis

from copilotkit_runtime import CopilotRuntime, events
from copilotkit_runtime.runtime.config import RuntimeConfig
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.interface import AgentState
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.integration.stores.conftest import opened_runs, opened_store
from tests.integration.stores.servers import PostgresServer, Server
from tests.support.agui_client import connect, run, run_input, types_of, user
from tests.support.echo_agent import EchoProvider
from tests.support.local_server import client_of
from tests.support.polling import until

PATIENCE = 60.0
IMPATIENT = StoreSettings(retry_for=0.0)
TOKEN = events.TextMessageContent(message_id="m", delta="x")
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


FULL = "a server whose memory is full"
REFUSING: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "a replica": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    "a replica that serves nothing old": (
        ("CONFIG SET", "replica-serve-stale-data", "no"),
        ("CONFIG SET", "replica-serve-stale-data", "yes"),
    ),
    "a master that has lost its replicas": (
        ("CONFIG SET", "min-replicas-to-write", "1"),
        ("CONFIG SET", "min-replicas-to-write", "0"),
    ),
    FULL: (("CONFIG SET", "maxmemory", "1"), ("CONFIG SET", "maxmemory", "0")),
}
"""Commands after which a Redis server refuses writes, and those that end it."""


@pytest.mark.parametrize("server", ["redis"], indirect=True)
@pytest.mark.parametrize("state", REFUSING)
async def test_a_redis_server_that_takes_no_writes_is_away_until_it_does(server: Server, state: str) -> None:
    begin, end = REFUSING[state]
    also = state.startswith("a replica that")
    replica, alone = REFUSING["a replica"]
    begins, ends = ([begin, replica], [alone, end]) if also else ([begin], [end])
    async with opened_store(server.url, IMPATIENT) as store, opened_runs(server.url, IMPATIENT) as runs:
        await store.save("thread", "agent", AgentState())
        key = (await runs.open("thread", run_id="r", agent_name="agent", owner="me")).key
        command(server, *begins)
        writes: list[Callable[[], Awaitable[object]]] = [
            lambda: store.save("thread", "agent", AgentState()),
            lambda: runs.append(key, "me", 1, [TOKEN]),
            lambda: runs.open("thread", run_id="2", agent_name="agent", owner="me"),
            lambda: store.claim("other", "somebody"),
            store.health,
            *([] if state == FULL else [lambda: store.delete_thread("thread")]),  # which would make room
        ]
        try:
            for write in writes:
                with pytest.raises(StoreUnavailableError, match="no room" if state == FULL else "does not answer"):
                    await write()
        finally:
            command(server, *ends)
        assert not await runs.append(key, "me", 1, [TOKEN])
        assert (await store.save("thread", "agent", AgentState())).version == 2


def set_full(server: Server, full: bool) -> None:
    begin, end = REFUSING[FULL]
    command(server, begin if full else end)


def set_read_only(server: Server, read_only: bool) -> None:
    """Do what providers of databases do while a disk is nearly full."""
    with psycopg.connect(server.url, autocommit=True, options="-c default_transaction_read_only=off") as connection:
        connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if read_only else 'off'}")
        connection.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    ("server", "refuse"),
    [("redis", set_full), ("postgres", set_read_only)],
    indirect=["server"],
    ids=["redis", "postgres"],
)
async def test_a_process_is_not_ready_while_its_store_takes_no_writes(
    server: Server, refuse: Callable[[Server, bool], None]
) -> None:
    config = RuntimeConfig(store=server.url, metrics=True)
    async with client_of(CopilotRuntime([EchoProvider()], config=config)) as client:

        async def answers(status: int, store: str) -> bool:
            answer = await client.get("/ready")
            return (answer.status_code, answer.json()["checks"]["store"]) == (status, store)

        refuse(server, True)
        try:
            await until(lambda: answers(503, "failed"))
            # The alert goes on while load balancers send no requests.
            assert 'copilotkit_store_failures_total{operation="health"}' in (await client.get("/metrics")).text
        finally:
            refuse(server, False)
        await until(lambda: answers(200, "ok"))


def command(server: Server, *commands: tuple[str, ...]) -> None:
    with redis.Redis.from_url(server.url) as client:
        for each in commands:
            client.execute_command(*each)


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
            shown = types_of(await connect(client, "echo", thread))
            assert shown[-1] == "RUN_FINISHED"
            assert "TEXT_MESSAGE_CONTENT" in shown
