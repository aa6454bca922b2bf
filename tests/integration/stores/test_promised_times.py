"""What is promised of a store that is away and of processes that die comes within the promised time.

By a virtual clock, with the settings as they are: no test waits, and none depends on how fast the machine is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from typing_extensions import override

from copilotkit_runtime import AgentProvider, CopilotRuntime, RuntimeConfig, events
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.memory import MemoryStore
from copilotkit_runtime.runtime.stores.records import Record, Stamp
from tests.support import virtual_time
from tests.support.gated_agent import GatedAgent

LEASE = 20.0
CLOSED_WITHIN = LEASE + 15.0
SUCCESS_WITHIN = 40.0
HOUR = 3600.0


class AwayStore(MemoryStore):
    """A store that answers nobody until a moment of the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.back_at = 0.0

    def _check(self) -> None:
        if virtual_time.now() < self.back_at:
            raise StoreUnavailableError

    @override
    async def _read(self, keys: Sequence[tuple[str, str]]) -> list[Record | None]:
        self._check()
        return await super()._read(keys)

    @override
    async def _write(self, thread_id: str, agent_name: str, payload: bytes, expected: int | None) -> Stamp | None:
        self._check()
        return await super()._write(thread_id, agent_name, payload, expected)


async def texts(runtime: CopilotRuntime) -> list[str]:
    state = await runtime.load_agent_state(thread_id="thread", agent_name="answering")
    return [message.content for message in state.messages if isinstance(message, TextMessage)] if state else []


async def ending_while_away(seconds: float) -> tuple[str, float, float, list[str]]:
    """Return how a run ends whose store is away from before its end on, for how long, and how long its turn waits."""
    agent, store = GatedAgent(), AwayStore()
    agent.gates["one"] = asyncio.Event()
    async with runtime_of(agent, store) as runtime:
        run = await runtime.start_run("answering", "one", thread_id="thread")
        await agent.begun.get()
        began = virtual_time.now()
        store.back_at = began + seconds
        agent.gates["one"].set()
        status = await run.join()
        ended = virtual_time.now() - began
        while runtime.service.turns.waiting:  # noqa: ASYNC110  # a turn has no moment that could be awaited
            await asyncio.sleep(1)
        waited = virtual_time.now() - began
        await asyncio.sleep(max(0.0, store.back_at - virtual_time.now()))
        said = await texts(runtime)
    return status, ended, waited, said


@pytest.mark.parametrize(
    ("away", "status", "kept"),
    [
        (SUCCESS_WITHIN - 2, "finished", True),
        (SUCCESS_WITHIN + 10, "failed", True),
        (HOUR - 10, "failed", True),
        (HOUR + 2 * SUCCESS_WITHIN, "failed", False),
    ],
)
def test_a_turn_waits_for_its_store_as_long_as_is_promised(away: float, status: str, kept: bool) -> None:
    with capture_logs() as logs:
        found, ended, waited, said = virtual_time.run(lambda: ending_while_away(away))
    assert found == status
    assert said == (["one", "answer to one"] if kept else [])
    assert ended <= SUCCESS_WITHIN + 10, "no client waits for longer"
    if kept:
        assert waited <= away + 5, "the turn is stored soon after the store is back"
    assert any(each["event"] == "turn_lost" for each in logs) is not kept


async def running(runtime: CopilotRuntime, agent: GatedAgent) -> None:
    """Start a runtime, and a run that waits."""
    await runtime.start()
    agent.gates["one"] = asyncio.Event()
    await runtime.start_run("answering", "one", thread_id="thread")
    await agent.begun.get()
    await asyncio.sleep(LEASE / 2)  # it has stored what it sent, and has given signs of life since


async def closing(runtime: CopilotRuntime, after: float) -> list[events.Event]:
    """Start a runtime after a while, follow the run to its end, and run the next one on its thread."""
    await asyncio.sleep(after)
    async with runtime:
        handle = await runtime.service.readers.attach("thread")
        assert handle is not None
        seen: list[events.Event] = []
        while batch := await handle.read():
            seen += batch
        handle.close()
        following = await runtime.start_run("answering", "two", thread_id="thread")
        assert await following.join() == "finished"
    return seen


@pytest.mark.parametrize("after", [0.0, LEASE - 1], ids=["looks at once", "looks before the lease is over"])
def test_a_run_whose_process_has_died_is_closed_and_its_thread_free_in_the_promised_time(
    after: float, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'runs.sqlite'}"
    agent = GatedAgent()
    with virtual_time.clock() as clock, clock.runner() as dead, clock.runner() as living:
        killed = runtime_of(agent, url)
        dead.run(running(killed, agent))
        clock.stand_still()
        killed_at = clock.now
        seen = living.run(closing(runtime_of(GatedAgent(), url), after))
        assert isinstance(seen[-1], events.RunError)
        assert clock.now - killed_at <= CLOSED_WITHIN
        dead.run(killed.stop())


def runtime_of(agent: AgentProvider, store: Any) -> CopilotRuntime:
    return CopilotRuntime(providers=[agent], store=store, config=RuntimeConfig(installed_providers=False))
