"""Leases go by the store's clock: a process whose wall clock jumps keeps what it holds, and takes nothing away."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from copilotkit_runtime.runtime.errors import ThreadBusyError
from copilotkit_runtime.runtime.stores import machine_clock, memory, memory_runs, records
from copilotkit_runtime.runtime.stores.interface import AgentState
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.integration.stores.conftest import KINDS, opened_runs, opened_store

HOUR = 3600.0


def jump(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    real, now = time.time, records.now
    monkeypatch.setattr(time, "time", lambda: real() + seconds)
    for module in (records, memory, memory_runs):
        monkeypatch.setattr(module, "now", lambda: now() + int(seconds * 1_000_000))


@pytest.mark.parametrize("url", KINDS, indirect=True)
@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
async def test_a_lock_survives_a_jump_of_the_wall_clock(
    url: str, settings: StoreSettings, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    async with opened_store(url, settings) as store:
        async with store.lock("thread", "agent") as held:
            jump(monkeypatch, seconds)
            with pytest.raises(ThreadBusyError):
                async with store.lock("thread", "agent", wait=0.2):
                    pass
            assert await held.confirm()
        async with store.lock("thread", "agent", wait=0.2):
            pass


@pytest.mark.parametrize("url", KINDS, indirect=True)
@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
async def test_no_run_is_taken_over_because_a_wall_clock_jumped(
    url: str, settings: StoreSettings, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    async with opened_runs(url, settings) as runs:
        record = await runs.open("thread", run_id="run", agent_name="agent", owner="one")
        jump(monkeypatch, seconds)
        assert await runs.abandoned() == []
        assert not await runs.claim(record.key, "two")
        assert await runs.renew([record.key], "one") == {record.key: False}


@pytest.mark.parametrize("url", [kind for kind in KINDS if kind != "sqlite"], indirect=True)
@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
async def test_no_thread_and_no_run_is_forgotten_because_a_wall_clock_jumped(
    url: str, settings: StoreSettings, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    short = msgspec.structs.replace(settings, ttl=HOUR / 2)
    async with opened_runs(url, short) as runs, opened_store(url, short) as store:
        await store.save("thread", "agent", AgentState(state={"n": 1}))
        record = await runs.open("thread", run_id="run", agent_name="agent", owner="one")
        await runs.close(record.key, "one", "finished", 0, [])
        jump(monkeypatch, seconds)
        assert [each.thread_id for each in (await store.threads()).threads] == ["thread"]
        assert await store.load("thread", "agent") is not None
        assert [each.run_id for each in await runs.runs("thread")] == ["run"]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_lock_from_before_the_machine_started_anew_is_over(
    url: str, settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(url, settings)
    await store.start()
    held: Any = store.lock("thread", "agent")
    await held.__aenter__()
    real = machine_clock.machine_seconds
    monkeypatch.setattr(machine_clock, "machine_seconds", lambda: real() - 30 * 24 * HOUR)

    async with store.lock("thread", "agent", wait=0.2):
        pass
    await store.stop()
