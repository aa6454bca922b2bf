"""A store whose locks a test can take away."""

from __future__ import annotations

from copilotkit_runtime.runtime.stores.locks import RunLock
from copilotkit_runtime.runtime.stores.memory import MemoryStore
from copilotkit_runtime.runtime.stores.settings import StoreSettings


class LockedStore(MemoryStore):
    """Keeps the locks that it gave out."""

    def __init__(self) -> None:
        super().__init__(StoreSettings(heartbeat=0.05))
        self.locks: list[RunLock] = []

    def lock(self, thread_id: str, agent_name: str, *, wait: float | None = None, interrupt: bool = False) -> RunLock:
        self.locks.append(super().lock(thread_id, agent_name, wait=wait, interrupt=interrupt))
        return self.locks[-1]
