"""What the first tables and keys held is found again, by its owner alone.

``first_release.json`` is what the code before threads had keys wrote, on each kind of server: Ann's thread
``ck-1111…ab``, another spelling of it that Bob had claimed, a thread of Ann's without states, and one of nobody's.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
import pytest
import redis
from psycopg import sql

from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store, sqlite_path
from tests.integration.stores.conftest import SHARED

RECORDED = json.loads(Path(__file__).with_name("first_release.json").read_text(encoding="utf-8"))
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
