"""A store that is watched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from typing_extensions import override

from ..stores.interface import AgentState, StateStore, ThreadInfo, ThreadPage
from ..stores.locks import RunLock


class ObservedStore(StateStore):
    """Passes everything on to a store, each operation within a context.

    Args:
        inner: The store.
        observe: Gives the context of an operation of that name.
    """

    def __init__(self, inner: StateStore, observe: Callable[[str], AbstractContextManager[object]]) -> None:
        self._inner = inner
        self.url = inner.url
        self.settings = inner.settings
        self.durable = inner.durable
        self.keeps_records = inner.keeps_records
        self.ttl = inner.ttl
        self._observe = observe

    @override
    async def load(self, thread_id: str, agent_name: str) -> AgentState | None:
        with self._observe("load"):
            return await self._inner.load(thread_id, agent_name)

    @override
    async def load_many(self, keys: Sequence[tuple[str, str]]) -> list[AgentState | None]:
        with self._observe("load_many"):
            return await self._inner.load_many(keys)

    @override
    async def save(
        self, thread_id: str, agent_name: str, state: AgentState, *, expected_version: int | None = None
    ) -> AgentState:
        with self._observe("save"):
            return await self._inner.save(thread_id, agent_name, state, expected_version=expected_version)

    @override
    async def merge(self, thread_id: str, agent_name: str, changes: dict[str, Any]) -> AgentState:
        with self._observe("merge"):
            return await self._inner.merge(thread_id, agent_name, changes)

    @override
    async def compact(self) -> None:
        with self._observe("compact"):
            await self._inner.compact()

    @override
    async def threads(self, *, owner: str | None = None, limit: int = 50, cursor: str | None = None) -> ThreadPage:
        with self._observe("threads"):
            return await self._inner.threads(owner=owner, limit=limit, cursor=cursor)

    @override
    async def thread(self, thread_id: str) -> ThreadInfo | None:
        with self._observe("thread"):
            return await self._inner.thread(thread_id)

    @override
    async def open_thread(
        self, thread_id: str, *, owner: str | None = None, agent_name: str | None = None
    ) -> ThreadInfo | None:
        with self._observe("open_thread"):
            return await self._inner.open_thread(thread_id, owner=owner, agent_name=agent_name)

    @override
    async def expired_threads(self, limit: int = 100) -> list[str]:
        with self._observe("expired_threads"):
            return await self._inner.expired_threads(limit)

    @override
    async def rename_thread(self, thread_id: str, name: str | None, *, owner: str | None = None) -> bool:
        with self._observe("rename_thread"):
            return await self._inner.rename_thread(thread_id, name, owner=owner)

    @override
    async def archive_thread(self, thread_id: str, archived: bool = True, *, owner: str | None = None) -> bool:
        with self._observe("archive_thread"):
            return await self._inner.archive_thread(thread_id, archived, owner=owner)

    @override
    async def delete_thread(self, thread_id: str) -> bool:
        with self._observe("delete_thread"):
            return await self._inner.delete_thread(thread_id)

    @override
    async def disown_thread(self, thread_id: str) -> bool:
        with self._observe("disown_thread"):
            return await self._inner.disown_thread(thread_id)

    @override
    async def claim(self, thread_id: str, owner: str) -> bool:
        with self._observe("claim"):
            return await self._inner.claim(thread_id, owner)

    @override
    async def owner_of(self, thread_id: str) -> str | None:
        with self._observe("owner_of"):
            return await self._inner.owner_of(thread_id)

    @override
    async def health(self) -> float:
        return await self._inner.health()

    @override
    def lock(self, thread_id: str, agent_name: str, *, wait: float | None = None, interrupt: bool = False) -> RunLock:
        return self._inner.lock(thread_id, agent_name, wait=wait, interrupt=interrupt)

    @override
    async def request_stop(self, thread_id: str, agent_name: str) -> None:
        await self._inner.request_stop(thread_id, agent_name)

    @override
    async def start(self) -> None:
        await self._inner.start()

    @override
    async def stop(self) -> None:
        await self._inner.stop()
