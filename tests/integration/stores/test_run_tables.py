"""Databases of earlier releases are brought up to date by themselves, and those of later ones are left alone."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from copilotkit_runtime.runtime.errors import StoreError
from copilotkit_runtime.runtime.stores import postgres_run_statements, sqlite_runs
from copilotkit_runtime.runtime.stores.interface import AgentState
from copilotkit_runtime.runtime.stores.urls import sqlite_path
from tests.integration.stores.conftest import opened_runs, opened_store, runs_beside

OLD_FILE = Path(__file__).with_name("data") / "step7.sqlite"
_NEWER = "UPDATE copilotkit_run_schema SET version = version + 1"


async def test_a_file_from_before_runs_were_kept_keeps_its_threads_and_takes_runs(tmp_path: Path) -> None:
    shutil.copy(OLD_FILE, tmp_path / "states.sqlite")
    for _ in range(2):
        async with opened_store(f"sqlite:///{tmp_path / 'states.sqlite'}") as store, runs_beside(store) as runs:
            kept = await store.load("old", "agent")
            assert kept is not None
            assert (kept.state, [message.id for message in kept.messages]) == ({"turns": 2}, ["m1"])
            assert await store.owner_of("old") == "alice"
            await runs.open("old", run_id="r", agent_name="agent", owner="process")


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
async def test_a_server_from_before_runs_were_kept_takes_runs(url: str) -> None:
    async with opened_store(url) as store:
        saved = await store.save("old", "agent", AgentState(state={"turns": 2}))
        async with runs_beside(store) as runs:
            await runs.open("old", run_id="r", agent_name="agent", owner="process")
            assert await store.load("old", "agent") == saved


@pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)
async def test_tables_of_runs_of_each_earlier_release_are_brought_up_to_date(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_file = url.startswith("sqlite")
    module, name = (sqlite_runs, "_MIGRATIONS") if is_file else (postgres_run_statements, "MIGRATIONS")
    newest = getattr(module, name)
    insert = (
        "INSERT INTO copilotkit_runs (thread_id, number, run_id, agent_name, owner, about, {}) VALUES"
        " ('old', 1, 'r', 'agent', 'process', '{{}}', {})"
    )
    times = (
        ("expires, started, updated", "0, 1, 1")
        if is_file
        else ("expires_at, started_at, updated_at", "'epoch', now(), now()")
    )
    for version in range(1, len(newest)):
        monkeypatch.setattr(module, name, newest[:version])
        async with opened_runs(url):
            _execute(url, "DELETE FROM copilotkit_runs")
            _execute(url, insert.format(*times))
        monkeypatch.setattr(module, name, newest)
        async with opened_runs(url) as runs:
            (old,) = await runs.abandoned()
            assert (old.run_id, old.status, old.unsaved) == ("r", "running", False)
            assert await runs.claim(old.key, "another")
            await runs.close(old.key, "another", "broken", 0, [], unsaved=True)
            (old,) = await runs.runs("old")
            assert (old.status, old.unsaved) == ("broken", True)
        for table in ("copilotkit_run_events", "copilotkit_runs", "copilotkit_run_trimming", "copilotkit_run_schema"):
            _execute(url, f"DROP TABLE IF EXISTS {table}")


def _execute(url: str, statement: str) -> None:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(sqlite_path(url), isolation_level=None)) as file:
            file.execute(statement)
    else:
        with psycopg.connect(url) as connection:
            connection.execute(statement.encode())


@pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)
async def test_tables_of_runs_of_a_newer_release_are_left_alone(url: str) -> None:
    async with opened_runs(url) as runs:
        _execute(url, _NEWER)
        with pytest.raises(StoreError, match="newer release"):
            await runs.start()
