"""A stop that is faster than the run that it means: clients before 1.73.1 send both at once, and name no run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from copilotkit_runtime.runtime import stops
from copilotkit_runtime.runtime.stores.interface import AgentState
from tests.support.agui_client import PATH, run, run_input, say, script, types_of
from tests.support.local_server import client_of
from tests.support.scripted_agent import ScriptedProvider

PATIENCE = 20.0
HELD = run_input(script({"hang": True}))


class SlowMemory(ScriptedProvider):
    """Reads what it keeps of a thread only when the test lets it."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.go_on = asyncio.Event()

    async def load_state(self, thread_id: str, agent_name: str) -> AgentState | None:
        """Wait."""
        self.reads.set()
        await self.go_on.wait()
        return None


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stops wait for longer than a test takes."""
    monkeypatch.setattr(stops, "STOP_AHEAD_SECONDS", PATIENCE)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a runtime with the scripted agent."""
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()])) as client:
        yield client


async def stop(client: httpx.AsyncClient, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = await client.post(f"{PATH}/agent/scripted/stop/t", json=body or {})
    assert answer.status_code == 200
    return dict(answer.json())


@pytest.mark.parametrize("body", [None, {"runId": "r"}])
@pytest.mark.usefixtures("patient")
async def test_a_run_that_comes_behind_its_stop_ends_at_once(
    client: httpx.AsyncClient, body: dict[str, Any] | None
) -> None:
    stopping = asyncio.create_task(stop(client, body))
    await asyncio.wait([stopping], timeout=0.2)
    shown = await run(client, "scripted", HELD)
    assert (await stopping)["stopped"] is True
    assert types_of(shown) == ["RUN_STARTED", "RUN_FINISHED"]


async def test_a_stop_is_not_lost_while_the_thread_is_read() -> None:
    memory = SlowMemory()
    async with client_of(CopilotRuntime(providers=[memory])) as client:
        running = asyncio.create_task(run(client, "scripted", HELD))
        async with asyncio.timeout(PATIENCE):
            await memory.reads.wait()
        assert (await stop(client))["stopped"] is True
        memory.go_on.set()
        shown = await running
    assert types_of(shown) == ["RUN_STARTED", "RUN_FINISHED"]


@pytest.mark.usefixtures("patient")
async def test_a_stop_of_a_run_that_has_just_ended_leaves_the_next_one_alone(client: httpx.AsyncClient) -> None:
    await run(client, "scripted", run_input(script(*say("one", "a"))))
    assert (await stop(client))["stopped"] is False
    shown = await run(client, "scripted", run_input(script(*say("two", "b"), id_="u2"), run="r2"))
    assert "two" in str(shown)


@pytest.mark.parametrize("meant", [{"runId": "other"}, {}])
@pytest.mark.usefixtures("patient")
async def test_a_stop_of_another_run_or_of_somebody_else_stops_nothing(meant: dict[str, Any]) -> None:
    config = RuntimeConfig(api_keys=("ann:key-of-ann-0123456789", "bob:key-of-bob-0123456789"))
    ann, bob = ({"authorization": f"Bearer key-of-{name}-0123456789"} for name in ("ann", "bob"))
    runtime = CopilotRuntime(providers=[ScriptedProvider()], config=config)
    # Without a server between them the stop ends with its caller; else the runtime's own end would wait for it.
    transport = httpx.ASGITransport(runtime.create_app())
    async with runtime, httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        address = f"{PATH}/agent/scripted/stop/t"
        headers = ann if meant else bob
        stopping = asyncio.create_task(client.post(address, json=meant, headers=headers))
        await asyncio.wait([stopping], timeout=0.2)
        client.headers.update(ann)
        shown = await run(client, "scripted", run_input(script(*say("said"))))
        assert not stopping.done()
        stopping.cancel()
        await asyncio.wait([stopping])
    assert "said" in str(shown)


async def test_a_stop_where_nothing_comes_answers_soon(client: httpx.AsyncClient) -> None:
    assert await stop(client) == {"stopped": False, "message": "No active run for thread 't'."}
