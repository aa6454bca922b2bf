"""What the first tables and keys held is found again, by its owner alone.

``first_release.json`` is what the code before threads had keys wrote, on each kind of server: Ann's thread
``ck-1111…ab``, another spelling of it that Bob had claimed, a thread of Ann's without states, and one of nobody's.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
import pytest
import redis
from psycopg import sql

from copilotkit_runtime import events
from copilotkit_runtime.providers.langgraph.savers import open_saver
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_run_log, open_store, sqlite_path
from tests.integration.stores.conftest import SHARED

RECORDED = json.loads(Path(__file__).with_name("first_release.json").read_text(encoding="utf-8"))
KEPT = "ck-thread {1}"
THREAD = "11111111-2222-4333-8444-5555555555ab"
SPELLINGS = [THREAD, f"ck-{THREAD}", THREAD.upper(), THREAD.replace("-", ""), f"{{{THREAD}}}", f"urn:uuid:{THREAD}"]


def _restore_sqlite(url: str) -> None:
    path = sqlite_path(unquote(url))
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as connection:
        connection.executescript("\n".join(RECORDED["sqlite"]))
    connection.close()


def _restore_redis(url: str, prefix: str) -> None:
    with redis.Redis.from_url(url, protocol=2) as client:
        for key, content in RECORDED["redis"].items():
            name = key.replace("copilotkit:", f"{prefix}:", 1)
            if any(isinstance(value, float) for value in content.values()):
                client.zadd(name, content)
            else:
                client.hset(name, mapping=content)


def _restore_postgres(url: str) -> None:
    recorded: dict[str, Any] = RECORDED["postgres"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE copilotkit_schema (version integer NOT NULL)")
        for statement in recorded["tables"]:
            connection.execute(statement)
        for table, rows in recorded["rows"].items():
            insert = sql.SQL("INSERT INTO {0} SELECT * FROM json_populate_recordset(NULL::{0}, %s)")
            connection.execute(insert.format(sql.Identifier(table)), (json.dumps(rows),))


def _restore(url: str, settings: StoreSettings) -> None:
    if url.startswith("sqlite"):
        _restore_sqlite(url)
    elif url.startswith("redis"):
        _restore_redis(url, settings.prefix)
    else:
        _restore_postgres(url)


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_what_the_first_release_kept_is_its_owner_s(url: str, settings: StoreSettings) -> None:
    _restore(url, settings)
    for _ in range(2):  # the second start finds the tables as the first one left them
        store = open_store(url, settings)
        await store.start()
        for spelling in SPELLINGS:
            record = await store.thread(spelling)
            assert record is not None
            assert (record.thread_id, record.owner, record.agents) == (f"ck-{THREAD}", "ann", ["writer"])
            assert await store.open_thread(spelling, owner="bob") is None
        kept = await store.load(f"ck-{THREAD}", "writer")
        assert kept is not None
        assert (kept.owner, kept.state) == ("ann", {"secret": "of ann"})
        assert await store.owner_of("plain thread: 1") == "ann"
        assert await store.open_thread("nobody's", owner="bob") is None
        assert await store.open_thread("nobody's") is not None
        await store.stop()


@pytest.mark.parametrize("url", ["redis"], indirect=True)
async def test_what_one_redis_kept_before_clusters_were_supported_goes_on(url: str, settings: StoreSettings) -> None:
    """``data/redis_keys.json`` is what the code before wrote: a run that has ended, one that goes on, a checkpoint."""
    kept = json.loads((Path(__file__).parent / "data" / "redis_keys.json").read_text(encoding="utf-8"))
    with redis.Redis.from_url(url) as client:
        for key, content in kept.items():
            client.delete(key)
            client.restore(key, 0, base64.b64decode(content))
    settings = StoreSettings()  # the names of runs' keys are among the leases
    store = open_store(url, settings)
    await store.start()
    runs = open_run_log(store, settings)

    record = await store.thread(KEPT)
    assert record is not None
    assert (record.owner, record.name, record.agents) == ("ann", "Holidays", ["agent"])
    state = await store.load(KEPT, "agent")
    assert state is not None
    assert state.state == {"step": 1}
    ended, going = await runs.runs(KEPT)
    assert (ended.status, going.status) == ("finished", "running")
    assert len(await runs.history(ended)) == 2
    assert going.key in [each.key for each in await runs.abandoned()]
    assert await runs.claim(going.key, "process-2")
    token = events.TextMessageContent(message_id="m", delta="y")
    assert await runs.append(going.key, "process-2", 2, [token]) is False
    assert (await runs.read(going.key, 1)).events == [token]
    async with open_saver(url, settings) as saver:
        found = await saver.aget_tuple({"configurable": {"thread_id": KEPT, "checkpoint_ns": ""}})
        assert found is not None
        assert found.checkpoint["channel_values"] == {"said": ["hello"]}
        await saver.adelete_thread(KEPT)
    await runs.delete(KEPT)
    assert await store.delete_thread(KEPT)
    await runs.stop()
    await store.stop()
    with redis.Redis.from_url(url) as client:
        assert client.exists(*kept) == 0
