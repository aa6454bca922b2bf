"""A thread whose time is over is nobody's, and whoever opens it next finds nothing of it, wherever it was kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, NamedTuple

import msgspec
import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, RunContext, RunInput, events
from copilotkit_runtime.runtime.errors import ThreadNotFoundError
from copilotkit_runtime.runtime.registry import ProviderRegistry
from copilotkit_runtime.runtime.stores.interface import ThreadInfo
from copilotkit_runtime.runtime.stores.memory import MemoryStore
from copilotkit_runtime.runtime.threads import Threads


class _Store(MemoryStore):
    """A store for which the time of threads is over when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.over: set[str] = set()
        self.at_each_step: Callable[[], object] = list

    async def thread(self, thread_id: str) -> ThreadInfo | None:
        return self._as_is(await super().thread(thread_id))

    async def open_thread(self, thread_id: str, **more: Any) -> ThreadInfo | None:
        return self._as_is(await super().open_thread(thread_id, **more))

    async def expired_threads(self, limit: int = 100) -> list[str]:
        return sorted(self.over)[:limit]

    async def delete_thread(self, thread_id: str) -> bool:
        self.over.discard(thread_id)
        was_kept = await super().delete_thread(thread_id)
        self.at_each_step()
        return was_kept

    async def disown_thread(self, thread_id: str) -> bool:
        self.over.discard(thread_id)
        was_kept = await super().disown_thread(thread_id)
        self.at_each_step()
        return was_kept

    def as_it_is(self, thread_id: str) -> ThreadInfo | None:
        """Return a thread's record without an operation of the store."""
        return self._info(thread_id) if thread_id in self._threads else None

    def _as_is(self, record: ThreadInfo | None) -> ThreadInfo | None:
        return record and msgspec.structs.replace(record, expired=record.thread_id in self.over)


class _Remembering(AgentProvider):
    """Keeps conversations of its own."""

    name = "remembering"

    def __init__(self) -> None:
        self.kept: set[str] = set()
        self.forgets = True

    @property
    def deletes_threads(self) -> bool:
        return self.forgets

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="agent")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        yield events.TextMessageStart(message_id="m")

    async def keeps_thread(self, thread_id: str) -> bool:
        return thread_id in self.kept

    async def delete_thread(self, thread_id: str) -> None:
        self.kept.discard(thread_id)


class _Run(NamedTuple):
    input: RunInput
    context: RunContext


def _run(thread_id: str, identity: str | None = None) -> Any:
    return _Run(RunInput(thread_id=thread_id, run_id="r"), RunContext(identity=identity))


class _World:
    def __init__(self, *runs: Any) -> None:
        self.store, self.agent, self.logs = _Store(), _Remembering(), {"here", "there"}
        self.threads = Threads(self.store, lambda: [self.agent], lambda: runs, ProviderRegistry().check_present)

        async def remove(thread_id: str) -> None:
            self.logs.discard(thread_id)

        self.threads.delete_with(remove)

    async def begin(self, *thread_ids: str, owner: str | None = None) -> None:
        for thread_id in thread_ids:
            await self.threads.open(thread_id, owner, "agent")
        self.agent.kept.update(thread_ids)


@pytest.mark.parametrize("identity", [None, "ann", "bob"])
async def test_whoever_opens_it_next_finds_nothing_of_it(identity: str | None) -> None:
    world = _World()
    await world.begin("here", "there", owner="ann")
    world.store.over.add("here")
    assert (await world.threads.open("here", identity, "agent")).thread_id == "here"
    record = await world.threads.info("here", identity)
    assert record is not None
    assert record.owner == identity
    assert world.agent.kept == world.logs == {"there"}


@pytest.mark.parametrize("identity", [None, "ann"])
async def test_it_is_found_by_nobody(identity: str | None) -> None:
    world = _World()
    await world.begin("here", owner="ann")
    world.store.over.add("here")
    assert await world.threads.info("here", identity) is None
    with pytest.raises(ThreadNotFoundError):
        await world.threads.find("here", identity)
    with pytest.raises(ThreadNotFoundError):
        await world.threads.rename("here", "name", identity=identity)
    with pytest.raises(ThreadNotFoundError):
        await world.threads.archive("here", identity=identity)


@pytest.mark.parametrize("deleted", [True, False])
async def test_a_run_that_outlives_its_thread_leaves_nothing_behind(*, deleted: bool) -> None:
    world = _World()
    await world.begin("here", "there", owner="ann")
    if deleted:
        await world.threads.delete("here", identity="ann")
        world.agent.kept.add("here")  # what the run wrote after that
        world.logs.add("here")
    else:
        world.store.over.add("here")
    assert await world.threads.renew(_run("here", "ann")) is False
    assert world.agent.kept == world.logs == {"there"}
    assert await world.threads.renew(_run("there", "ann")) is True


async def test_a_run_whose_thread_is_somebody_else_s_by_now_removes_nothing_of_theirs() -> None:
    world = _World()
    await world.begin("here", owner="bob")
    assert await world.threads.renew(_run("here", "ann")) is False
    assert world.agent.kept == {"here"}
    assert await world.threads.info("here", "bob") is not None


async def test_the_sweep_removes_every_trace_and_spares_where_runs_go_on() -> None:
    world = _World(_run("there", "ann"))
    await world.begin("here", "there", owner="ann")
    world.store.over.update(("here", "there"))
    await world.threads.sweep()
    assert world.agent.kept == world.logs == {"there"}
    assert world.store.over == {"there"}


async def test_the_sweep_spares_a_thread_that_was_opened_anew_since_it_was_listed() -> None:
    world = _World()
    await world.begin("here", "there", owner="ann")
    world.store.over.update(("here", "there"))
    remove, removed = world.agent.delete_thread, []

    async def remove_slowly(thread_id: str) -> None:
        await remove(thread_id)
        removed.append(thread_id)
        if removed == ["here"]:  # while this one is removed, ann comes back to the next one
            await world.begin("there", owner="ann")

    world.agent.delete_thread = remove_slowly  # type: ignore[method-assign]
    await world.threads.sweep()
    assert removed == ["here", "there"], "once by the sweep, once when ann opened it"
    assert world.agent.kept == {"there"}
    record = await world.threads.info("there", "ann")
    assert record is not None


async def test_who_opens_a_thread_that_is_being_removed_waits_and_gets_a_new_one() -> None:
    world = _World()
    await world.begin("here", owner="ann")
    world.store.over.add("here")
    remove, begun, go_on = world.agent.delete_thread, asyncio.Event(), asyncio.Event()

    async def remove_slowly(thread_id: str) -> None:
        begun.set()
        await go_on.wait()
        await remove(thread_id)

    world.agent.delete_thread = remove_slowly  # type: ignore[method-assign]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(world.threads.sweep())
        await begun.wait()
        opening = tasks.create_task(world.begin("here", owner="ann"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not opening.done()
        go_on.set()
    assert world.agent.kept == {"here"}
    assert await world.threads.info("here", "ann") is not None


@pytest.mark.parametrize("how", ["sweep", "delete"])
async def test_what_an_agent_may_still_remember_is_nobody_s_at_any_moment_of_its_removal(how: str) -> None:
    world = _World()
    world.agent.forgets = False
    world.threads.check_owners(production=False)
    await world.begin("here", owner="ann")
    seen: list[ThreadInfo | None] = []
    world.store.at_each_step = lambda: seen.append(world.store.as_it_is("here"))
    for _ in range(3):  # the record that keeps the thread from others has its own time, and is swept in turn
        if how == "sweep":
            world.store.over.add("here")
            await world.threads.sweep()
        else:
            await world.threads.delete("here")
    assert len(seen) == 3
    assert None not in seen
    for person in ("ann", "bob"):
        with pytest.raises(ThreadNotFoundError):
            await world.threads.open("here", person, "agent")
