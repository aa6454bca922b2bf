"""A thread that is deleted is in none of the store's tables and under none of its keys any more."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import psycopg
import pytest
import redis
from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from psycopg import sql

from copilotkit_runtime import ApiKeyAuth, CopilotRuntime, RuntimeConfig
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from tests.integration.stores.conftest import (  # noqa: F401 - fixtures
    SHARED,
    postgres_url,
    redis_url,
    server_folder,
    url,
)
from tests.support.agui_client import run_input, user
from tests.support.local_server import PATH, client_of
from tests.support.polling import until
from tests.support.request_bodies import event, generate, scripted, text, text_message
from tests.support.scripted_agent import ScriptedProvider

ANN = {"x-api-key": "key-of-ann"}


def of_sqlite(place: str) -> list[str]:
    path = Path(unquote(place.partition("://")[2][1:]))
    with closing(sqlite3.connect(path)) as file:
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [f"{table}: {row}" for table in tables for row in file.execute(f'SELECT * FROM "{table}"')]


def of_redis(place: str) -> list[str]:
    read = {
        b"string": "GET {}",
        b"hash": "HGETALL {}",
        b"list": "LRANGE {} 0 -1",
        b"set": "SMEMBERS {}",
        b"zset": "ZRANGE {} 0 -1",
        b"stream": "XRANGE {} - +",
    }
    with redis.Redis.from_url(place) as client:
        found = []
        for key in client.scan_iter():
            command, _, rest = read[client.type(key)].partition(" {}")
            found.append(f"{key!r}: {client.execute_command(command, key, *rest.split())}")
        return found


def of_postgres(place: str) -> list[str]:
    with psycopg.connect(place) as connection:
        listed = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
        tables = [each for each in connection.execute(listed) if each[0] not in ("pg_catalog", "information_schema")]
        connection.execute("SET bytea_output TO escape")
        return [
            f"{table}: {row}"
            for table in tables
            for (row,) in connection.execute(sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(*table)))
        ]


def everything(place: str) -> list[str]:
    """Return all rows, or all keys with their values, of a store."""
    return {"sqlite": of_sqlite, "redis": of_redis, "postgresql": of_postgres}[place.partition(":")[0]](place)


def answer(state: MessagesState) -> dict[str, Any]:
    return {"messages": [AIMessage("secret of ann, by the graph")]}


@pytest.mark.parametrize("how", ["by its owner", "by the application", "with all of its owner"])
@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_a_deleted_thread_is_in_no_table_and_under_no_key(url: str, how: str) -> None:  # noqa: F811 - the fixture
    graph = StateGraph(MessagesState).add_node("answer", answer).add_edge(START, "answer").add_edge("answer", END)
    runtime = CopilotRuntime(
        providers=[ScriptedProvider(), LangGraphProvider({"graph": graph})],
        store=url,
        auth=ApiKeyAuth({"ann": "key-of-ann", "bob": "key-of-bob"}),
        config=RuntimeConfig(installed_providers=False),
    )
    thread = f"of-ann-{uuid4()}"

    def traces() -> list[str]:
        return [row for row in everything(url) if thread in row or "secret of ann" in row]

    async with client_of(runtime) as client:
        await client.post(
            f"{PATH}/agent/graph/run", json=run_input(user("secret of ann, asked", "u"), thread=thread), headers=ANN
        )
        spoken = [*text("m", "secret of ann"), event("STATE_SNAPSHOT", snapshot={"kept": "secret of ann"})]
        asked = generate(text_message("secret of ann"), agent="graph", threadId=thread)
        for body in (asked, scripted(*spoken, threadId=thread)):
            assert (await client.post(PATH, json=body, headers=ANN)).status_code == 200
        assert len(await asyncio.to_thread(traces)) > 3, "what is looked for can be found"
        match how:
            case "by its owner":
                assert (await client.delete(f"{PATH}/threads/{thread}", headers=ANN)).json()["deleted"]
            case "by the application":
                assert await runtime.delete_thread(thread)
            case _:
                assert await runtime.delete_threads(owner="ann") >= 1

        async def none_is_left() -> bool:
            return await asyncio.to_thread(traces) == []

        try:
            await until(none_is_left)
        except TimeoutError:
            assert traces() == []
