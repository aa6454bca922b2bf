"""Two runs of one agent on one thread, under each policy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from copilotkit_runtime import (
    AgentDescriptor,
    AgentProvider,
    CopilotRuntime,
    RunContext,
    RunInput,
    RuntimeConfig,
    events,
)
from copilotkit_runtime.runtime.stores.memory import MemoryStore
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from tests.parity.fold import fold
from tests.parity.wire import Answer, ask
from tests.support.local_server import PATH, client_of
from tests.support.locked_store import LockedStore
from tests.support.request_bodies import generate, text_message


class Gated(AgentProvider):
    """Each run sends a word, then waits until it is let go."""

    name = "gated"

    def __init__(self) -> None:
        self.begun: asyncio.Queue[int] = asyncio.Queue()
        self.release = asyncio.Event()
        self.running = 0
        self.most = 0

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="gated"), AgentDescriptor(name="other")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            id_ = f"answer to {run.messages[-1].id}"
            yield events.TextMessageStart(message_id=id_)
            yield events.TextMessageContent(message_id=id_, delta="word")
            self.begun.put_nowait(1)
            await self.release.wait()
        finally:
            self.running -= 1


def asking(client: httpx.AsyncClient, *ids: str, agent: str = "gated", thread: str = "t-1") -> asyncio.Task[Answer]:
    messages = [text_message("hi", id_=id_) for id_ in ids]
    return asyncio.create_task(ask(client, PATH, generate(*messages, agent=agent, threadId=thread)))


def status(answer: Answer) -> dict[str, Any]:
    assert answer.complete
    found: dict[str, Any] = fold(answer.parts)["status"]
    return found


def runtime_with(gated: Gated, policy: Any) -> CopilotRuntime:
    store = MemoryStore(StoreSettings(heartbeat=0.05))
    return CopilotRuntime(providers=[gated], store=store, config=RuntimeConfig(busy_policy=policy))


async def kept_ids(runtime: CopilotRuntime) -> list[str]:
    kept = await runtime.load_agent_state(thread_id="t-1", agent_name="gated")
    assert kept is not None
    return [message.id for message in kept.messages]


async def test_a_second_run_waits_for_its_turn() -> None:
    gated = Gated()
    async with client_of(runtime_with(gated, "queue")) as client, asyncio.timeout(10):
        first = asking(client, "u-1")
        await gated.begun.get()
        second = asking(client, "u-1", "u-2")
        other_agent, other_thread = asking(client, "u-1", agent="other"), asking(client, "u-1", thread="t-2")
        await gated.begun.get()
        await gated.begun.get()
        assert gated.running == 3
        gated.release.set()
        answers = await asyncio.gather(first, second, other_agent, other_thread)
    assert [status(answer)["code"] for answer in answers] == ["Success"] * 4
    assert gated.most == 3


async def test_as_many_runs_wait_as_may_and_the_next_is_refused() -> None:
    gated = Gated()
    most = RuntimeConfig().max_waiting_runs
    async with client_of(runtime_with(gated, "queue")) as client, asyncio.timeout(60):
        first = asking(client, "u-0")
        await gated.begun.get()
        others = [asking(client, f"u-{number}") for number in range(1, most + 2)]
        refused, waiting = await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        elsewhere = asking(client, "u-0", thread="t-2")
        await gated.begun.get()
        gated.release.set()
        answers = await asyncio.gather(first, elsewhere, *waiting)
    assert most == 16
    assert [status(task.result())["code"] for task in refused] == ["Failed"]
    assert "Too many runs wait for this thread." in str([task.result().parts for task in refused])
    assert [status(answer)["code"] for answer in answers] == ["Success"] * (2 + most)


async def test_a_second_run_is_rejected() -> None:
    gated = Gated()
    runtime = runtime_with(gated, "reject")
    async with client_of(runtime) as client, asyncio.timeout(10):
        first = asking(client, "u-1")
        await gated.begun.get()
        rejected = status(await asking(client, "u-1"))
        gated.release.set()
        assert status(await first)["code"] == "Success"
        assert status(await asking(client, "u-1", "answer to u-1", "u-2"))["code"] == "Success"
        assert await kept_ids(runtime) == ["u-1", "answer to u-1", "u-2", "answer to u-2"]
    assert rejected["details"]["originalError"]["code"] == "MISUSE"
    assert "Another run" in rejected["details"]["description"]


async def test_a_second_run_takes_the_place_of_the_first() -> None:
    gated = Gated()
    async with client_of(runtime_with(gated, "interrupt")) as client, asyncio.timeout(10):
        first = asking(client, "u-1")
        await gated.begun.get()
        second = asking(client, "u-1", "u-2")
        interrupted = status(await first)
        await gated.begun.get()
        gated.release.set()
        assert status(await second)["code"] == "Success"
    assert interrupted["details"]["description"] == "A newer run replaced this one."
    assert gated.most == 1


async def test_a_run_that_lost_its_place_ends_with_an_error_and_writes_nothing() -> None:
    gated, store = Gated(), LockedStore()
    runtime = CopilotRuntime(providers=[gated], store=store)
    async with client_of(runtime) as client, asyncio.timeout(10):
        first = asking(client, "u-1")
        await gated.begun.get()
        [lock] = store.locks
        lock.lose()
        assert "state store did not answer" in status(await first)["details"]["description"]
        assert await runtime.load_agent_state(thread_id="t-1", agent_name="gated") is None


async def test_a_run_that_waits_too_long_for_its_turn_ends() -> None:
    gated = Gated()
    runtime = CopilotRuntime(providers=[gated], config=RuntimeConfig(run_timeout_seconds=0.5))
    async with client_of(runtime) as client, asyncio.timeout(10):
        answers = await asyncio.gather(asking(client, "u-1"), asking(client, "u-1"))
    assert {status(answer)["code"] for answer in answers} == {"Failed"}


@pytest.mark.parametrize("policy", ["queue", "interrupt"])
async def test_a_turn_that_is_sent_twice_is_kept_once(policy: str) -> None:
    gated = Gated()
    runtime = runtime_with(gated, policy)
    async with client_of(runtime) as client, asyncio.timeout(10):
        first = asking(client, "u-1")
        await gated.begun.get()
        second = asking(client, "u-1")
        gated.release.set()
        await asyncio.gather(first, second)
        assert await kept_ids(runtime) == ["u-1", "answer to u-1"]


class Unkept(Gated):
    """Cannot store what it knows."""

    async def save_state(self, thread_id: str, agent_name: str, state: Any) -> None:
        raise RuntimeError("the disk is full")


async def test_an_answer_whose_state_cannot_be_stored_is_not_a_success() -> None:
    unkept = Unkept()
    unkept.release.set()
    async with client_of(runtime_with(unkept, "queue")) as client, asyncio.timeout(10):
        assert status(await asking(client, "u-1"))["code"] == "Failed"
