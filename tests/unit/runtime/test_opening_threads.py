"""Opening a thread takes no more operations of the store than it needs: each is a round trip before the first word."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from copilotkit_runtime.runtime.registry import ProviderRegistry
from copilotkit_runtime.runtime.stores.interface import StateStore, ThreadInfo
from copilotkit_runtime.runtime.stores.memory import MemoryStore
from copilotkit_runtime.runtime.threads import Threads


class _Counted(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.operations: list[str] = []
        self.expired = False

    async def thread(self, thread_id: str) -> ThreadInfo | None:
        self.operations.append("thread")
        return self._as_is(await super().thread(thread_id))

    async def open_thread(self, thread_id: str, **more: Any) -> ThreadInfo | None:
        self.operations.append("open")
        return self._as_is(await super().open_thread(thread_id, **more))

    async def rename_thread(self, thread_id: str, name: str | None, *, owner: str | None = None) -> bool:
        self.operations.append("rename")
        return await super().rename_thread(thread_id, name, owner=owner)

    async def delete_thread(self, thread_id: str) -> bool:
        self.operations.append("delete")
        self.expired = False
        return await super().delete_thread(thread_id)

    def _as_is(self, record: ThreadInfo | None) -> ThreadInfo | None:
        return record if record is None or not self.expired else msgspec.structs.replace(record, expired=True)


def _threads(store: StateStore) -> Threads:
    return Threads(store, list, list, ProviderRegistry().check_present)


@pytest.mark.parametrize(("identity", "operations"), [(None, ["open"]), ("ann", ["thread", "open"])])
async def test_a_thread_is_opened_in_as_few_operations_as_can_be(identity: str | None, operations: list[str]) -> None:
    store = _Counted()
    for _ in range(2):
        store.operations.clear()
        assert (await _threads(store).open("here", identity, "agent")).thread_id == "here"
        assert store.operations == operations


async def test_what_is_left_of_a_thread_whose_time_is_over_is_removed_before_it_is_opened() -> None:
    store = _Counted()
    await _threads(store).open("here", None, "agent")
    store.expired = True
    store.operations.clear()
    assert (await _threads(store).open("here", None, "agent")).thread_id == "here"
    assert store.operations == ["open", "thread", "thread", "delete", "thread", "open"]


async def test_naming_a_thread_takes_one_operation_and_none_once_it_has_a_name() -> None:
    store = _Counted()
    threads = _threads(store)
    await threads.name_once(await threads.open("here", None, "agent"), "First words")
    assert store.operations == ["open", "rename"]
    await threads.name_once(again := await threads.open("here", None, "agent"), "Other words")
    assert (store.operations, again.name) == (["open", "rename", "open"], "First words")
