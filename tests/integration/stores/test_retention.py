"""What ended runs no longer need goes, also where nothing happens any more, and no query reads a whole table."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg import AsyncCursor

from copilotkit_runtime import CopilotRuntime, RunInput, events
from copilotkit_runtime.runtime.stores.interface import AgentState
from copilotkit_runtime.runtime.stores.run_log import RunLogStore
from copilotkit_runtime.runtime.stores.run_records import RunKey
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_run_log, open_store, sqlite_path
from tests.integration.stores.conftest import opened_runs
from tests.support.polling import until

OWNER = "process-1"
TOKEN = events.TextMessageContent(message_id="m", delta="x")
FINISHED = events.RunFinished(thread_id="t", run_id="r")
MANY = 60_000
"""So many that a table costs more than the hundred searches that PostgreSQL expects of a group of batches."""
on_disk = pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)


_UNTRIMMED = (
    "DROP INDEX copilotkit_runs_by_lease",
    "ALTER TABLE copilotkit_runs DROP COLUMN unsaved",
    "CREATE INDEX copilotkit_runs_by_lease ON copilotkit_runs (number)",
    "DROP TABLE copilotkit_run_trimming",
    "UPDATE copilotkit_run_schema SET version = version - 2",
)
"""Makes the tables those of the release before runs were trimmed."""


def _query(url: str, statement: str) -> list[Any]:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(sqlite_path(url), isolation_level=None)) as file:
            return file.execute(statement).fetchall()
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def _let_minutes_pass(url: str) -> None:
    past = "updated = updated - 120000000" if url.startswith("sqlite") else "updated_at = updated_at - interval '2 min'"
    _query(url, f"UPDATE copilotkit_runs SET {past}")


def _singles(url: str) -> list[str]:
    return [row[0] for row in _query(url, "SELECT thread_id FROM copilotkit_run_events ORDER BY thread_id")]


async def _begun(runs: RunLogStore, thread: str) -> RunKey:
    record = await runs.open(thread, run_id="r", agent_name="agent", owner=OWNER)
    await runs.append(record.key, OWNER, 1, [TOKEN])
    return record.key


async def _ended(runs: RunLogStore, thread: str) -> RunKey:
    key = await _begun(runs, thread)
    await runs.close(key, OWNER, "finished", 2, [TOKEN, FINISHED])
    return key


async def _history(runs: RunLogStore, key: RunKey) -> list[events.Event]:
    return await runs.history(next(record for record in await runs.runs(key.thread_id) if record.key == key))


@on_disk
async def test_single_events_of_a_quiet_thread_go_a_minute_after_its_last_run(url: str) -> None:
    async with opened_runs(url) as runs:
        quiet, going = await _ended(runs, "quiet"), await _begun(runs, "going")
        await runs.trim()
        assert _singles(url) == ["going", "quiet"]

        _let_minutes_pass(url)
        recent = await _ended(runs, "recent")
        await runs.trim()
        assert _singles(url) == ["going", "recent"]
        assert await _history(runs, quiet) == [TOKEN, FINISHED]
        assert (await runs.read(going)).events == [TOKEN]

        await runs.close(going, OWNER, "finished", 2, [TOKEN, FINISHED])
        _let_minutes_pass(url)
        await runs.trim()
        assert _singles(url) == []
        assert await _history(runs, recent) == [TOKEN, FINISHED]


@on_disk
async def test_what_an_earlier_release_left_is_trimmed_a_little_at_a_time(url: str) -> None:
    async with opened_runs(url) as runs:
        for number in range(5):
            await _ended(runs, f"thread-{number}")
    for change in _UNTRIMMED:
        _query(url, change)
    _let_minutes_pass(url)

    async with opened_runs(url) as runs:
        left = []
        while await runs.trim(2) == 2 and _singles(url):
            left.append(len(_singles(url)))
    assert _singles(url) == []
    assert left[0] == 3
    assert left == sorted(left, reverse=True)


async def _use_everything(url: str, settings: StoreSettings) -> None:
    store = open_store(url, settings)
    await store.start()
    runs = open_run_log(store, settings)
    await runs.start()
    await store.open_thread("mine", owner="ann", agent_name="agent")
    await store.save("mine", "agent", AgentState())
    await store.load("mine", "agent")
    await store.rename_thread("mine", "name")
    for owner in (None, "ann"):
        await store.threads(owner=owner, limit=5)
    await store.expired_threads()
    async with store.lock("mine", "agent") as lock:
        await lock.confirm()
        await store.request_stop("mine", "agent")
    key = await _begun(runs, "mine")
    await runs.renew([key], OWNER)
    await runs.peek([key])
    await runs.read(key)
    await runs.compact(key, OWNER, 1, [TOKEN])
    await runs.request_stop(key)
    await runs.abandoned()
    await runs.take(key, OWNER, OWNER)
    await runs.claim(key, OWNER)
    await runs.runs("mine")
    await runs.close(key, OWNER, "finished", 2, [TOKEN, FINISHED])
    await _history(runs, key)
    await runs.trim()
    await runs.delete("mine")
    await store.delete_thread("mine")
    await runs.stop()
    await store.stop()


def _read_whole(plan: Any) -> set[str]:
    """Return the tables that a plan reads from beginning to end, by themselves or by an index."""
    node = plan["Node Type"]
    whole = node == "Seq Scan" or (node in ("Index Scan", "Index Only Scan") and "Index Cond" not in plan)
    found = {plan["Relation Name"]} if whole else set()
    return found.union(*(_read_whole(each) for each in plan.get("Plans", [])))


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
async def test_no_query_reads_a_table_from_beginning_to_end(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = StoreSettings(ttl=3600.0)
    async with opened_runs(url, settings):
        pass
    _query(
        url,
        f"""
        INSERT INTO copilotkit_threads (thread_id, key, owner)
            SELECT 'thread-' || n, gen_random_uuid(), 'owner-' || n FROM generate_series(1, {MANY}) AS n;
        INSERT INTO copilotkit_states
            SELECT 'thread-' || n, 'agent', 1, now(), now(), 'x' FROM generate_series(1, {MANY}) AS n;
        INSERT INTO copilotkit_runs (thread_id, number, run_id, agent_name, owner, status, expires_at, about)
            SELECT 'thread-' || n, 1, 'r', 'agent', 'p', CASE WHEN n % 2 = 0 THEN 'running' ELSE 'finished' END,
                now() + interval '1 hour', 'x' FROM generate_series(1, {MANY}) AS n;
        INSERT INTO copilotkit_run_events
            SELECT 'thread-' || n, 1, e, e, 'x' FROM generate_series(1, {MANY}) AS n, generate_series(1, 2) AS e;
        INSERT INTO copilotkit_tickets (thread_id, agent_name, token, expires_at)
            SELECT 'thread-' || n, 'agent', 'token-' || n, now() + interval '1 hour'
            FROM generate_series(1, {MANY}) AS n;
        ANALYZE copilotkit_threads, copilotkit_states, copilotkit_runs, copilotkit_run_events, copilotkit_tickets
        """,
    )
    asked: dict[str, Any] = {}
    execute = AsyncCursor.execute

    async def noted(self: AsyncCursor, query: Any, params: Any = None, **options: Any) -> Any:
        if isinstance(query, str) and "copilotkit_" in query and params is not None:
            asked[query] = params
        return await execute(self, query, params, **options)

    with monkeypatch.context() as patch:
        patch.setattr(AsyncCursor, "execute", noted)
        await _use_everything(url, settings)
    with psycopg.connect(url, autocommit=True) as connection:
        for query, params in asked.items():
            row = connection.execute(f"EXPLAIN (FORMAT JSON) {query}", params).fetchone()  # type: ignore[arg-type]
            assert row is not None
            plan = row[0] if isinstance(row[0], list) else json.loads(row[0])
            assert _read_whole(plan[0]["Plan"]) <= {"copilotkit_run_trimming"}, query
    assert len(asked) > 25


@on_disk
async def test_a_runtime_trims_by_itself(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("copilotkit_runtime.runtime.runs.retention.TRIM_SECONDS", 0.05)

    async def model(_: RunInput) -> AsyncIterator[str]:
        yield "done"

    async with CopilotRuntime(model=model, store=url) as runtime:
        run = await runtime.start_run(None, "Say so.", thread_id="quiet")
        assert await run.join() == "finished"
        assert _singles(url)
        _let_minutes_pass(url)

        async def trimmed() -> bool:
            return not _singles(url)

        await until(trimmed, 30)
        assert [type(event) async for event in runtime.follow("quiet")][-1] is events.RunFinished
