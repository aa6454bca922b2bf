"""What the interface does for a store that somebody else wrote."""

from __future__ import annotations

import asyncio

import pytest

from copilotkit_runtime.runtime.stores import interface
from copilotkit_runtime.runtime.stores.errors import StoreConflictError, StoreUnavailableError
from copilotkit_runtime.runtime.stores.interface import AgentState, StateStore, ThreadPage
from copilotkit_runtime.runtime.stores.locks import RunLock
from copilotkit_runtime.runtime.stores.memory import MemoryStore
from copilotkit_runtime.runtime.stores.settings import StoreSettings


class Notebook(StateStore):
    """A store with the least that one must have; ``rivals`` others write before each of its first saves."""

    def __init__(self, rivals: int = 0) -> None:
        self.rivals = rivals
        self._kept = MemoryStore()

    async def load(self, thread_id: str, agent_name: str) -> AgentState | None:
        return await self._kept.load(thread_id, agent_name)

    async def save(
        self, thread_id: str, agent_name: str, state: AgentState, *, expected_version: int | None = None
    ) -> AgentState:
        if self.rivals:
            self.rivals -= 1
            await self._kept.save(thread_id, agent_name, AgentState(state={f"rival-{self.rivals}": True}))
        return await self._kept.save(thread_id, agent_name, state, expected_version=expected_version)

    async def threads(self, *, owner: str | None = None, limit: int = 50, cursor: str | None = None) -> ThreadPage:
        return await self._kept.threads(owner=owner, limit=limit, cursor=cursor)

    async def delete_thread(self, thread_id: str) -> bool:
        return await self._kept.delete_thread(thread_id)

    async def claim(self, thread_id: str, owner: str) -> bool:
        return await self._kept.claim(thread_id, owner)

    async def owner_of(self, thread_id: str) -> str | None:
        return await self._kept.owner_of(thread_id)

    async def health(self) -> float:
        return await self._kept.health()

    def lock(self, thread_id: str, agent_name: str, *, wait: float | None = None, interrupt: bool = False) -> RunLock:
        return self._kept.lock(thread_id, agent_name, wait=wait, interrupt=interrupt)

    async def request_stop(self, thread_id: str, agent_name: str) -> None:
        await self._kept.request_stop(thread_id, agent_name)


async def test_many_are_loaded_one_by_one() -> None:
    store = Notebook()
    await store.start()
    await store.save("one", "agent", AgentState(state={"n": 1}))

    loaded = await store.load_many([("none", "agent"), ("one", "agent")])

    assert [entry and entry.state for entry in loaded] == [None, {"n": 1}]
    await store.stop()


async def test_a_merge_begins_anew_when_somebody_else_was_faster() -> None:
    store = Notebook(rivals=3)

    merged = await store.merge("thread", "agent", {"mine": True})

    assert merged.state == {"rival-0": True, "mine": True}


async def test_a_merge_gives_up_when_others_are_always_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interface, "_MERGE_SECONDS", 0.05)

    with pytest.raises(StoreConflictError):
        await Notebook(rivals=1_000_000).merge("thread", "agent", {"mine": True})


async def test_a_merge_does_not_wait_for_others_of_its_process_for_longer_than_the_limit() -> None:
    class Stuck(MemoryStore):
        reading = asyncio.Event()

        async def load(self, thread_id: str, agent_name: str) -> AgentState | None:
            self.reading.set()
            await asyncio.Event().wait()
            return None

    store = Stuck(StoreSettings(retry_for=0.05))
    first = asyncio.create_task(store.merge("thread", "agent", {}))
    await store.reading.wait()
    with pytest.raises(StoreUnavailableError):
        await store.merge("thread", "agent", {})
    first.cancel()
    await asyncio.wait([first])
