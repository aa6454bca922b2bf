"""What CrewAI itself keeps of a thread: memories of crews, agents and flows, and the states of flows that persist."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from .thread_memory import ThreadMemories, is_memory, reopened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .thread_storage import ThreadStorage

log = structlog.get_logger(__name__)

_TABLES = ("flow_states", "pending_feedback")
_CONFIGURED = "__flow_persistence_config__"


class Traces:
    """The places in which CrewAI keeps what one crew or flow leaves behind. It works in the calling thread.

    Args:
        made: The crew or flow.
    """

    def __init__(self, made: Any) -> None:
        self._memories = list(_memories(made))
        self._stores = list(_stores(made))

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self._memories or self._stores)

    def hold(self, thread_id: str) -> bool:
        """Return whether anything is kept of a thread."""
        if any(store.load_state(thread_id) or store.load_pending_feedback(thread_id) for store in self._stores):
            return True
        return any(part.count() for part in self._parts(thread_id))

    def delete(self, thread_id: str) -> None:
        """Remove what is kept of a thread."""
        for part in self._parts(thread_id):
            part.reset()
        for store in self._stores:
            _delete_state(store, thread_id)

    def _parts(self, thread_id: str) -> Iterator[ThreadStorage]:
        memories = ThreadMemories(thread_id)
        return (memories.part_of(reopened(memory)) for memory in self._memories)


def persists(source: Any) -> bool:
    """Return whether an agent is seen to keep conversations before it is made: as a crew's memory, or a flow's."""
    if hasattr(source, "tasks") and not isinstance(source, type):
        return any(True for _ in _memories(source))
    return any(True for _ in _configured(source if isinstance(source, type) else type(source)))


def _memories(made: Any) -> Iterator[Any]:
    holders = ((made, "_memory"), *((agent, "memory") for agent in getattr(made, "agents", ())))
    if not hasattr(made, "tasks"):
        holders = ((made, "memory"),)
    for holder, attribute in holders:
        memory = getattr(holder, attribute, None)
        if is_memory(memory):
            yield memory


def _stores(made: Any) -> Iterator[Any]:
    if hasattr(made, "tasks"):
        return
    found = [made.persistence, *_configured(type(made)), _default_store()]
    seen: list[Any] = []
    for store in found:
        if store is not None and store not in seen:
            seen.append(store)
            yield store


def _configured(kind: type[Any]) -> Iterator[Any]:
    """Yield the stores that ``@persist`` gave a class of flows, or its methods."""
    members = (member for each in kind.__mro__ for member in vars(each).values())
    for target in (kind, *members):
        config = getattr(target, _CONFIGURED, None)
        if config is not None:
            yield config.persistence


def _default_store() -> Any:
    """Return CrewAI's default store, in which flows wait for feedback; None before it is set."""
    factory = import_module("crewai.flow.persistence.factory")
    if getattr(factory, "_factory", None) is not None:
        return factory.default_flow_persistence()
    sqlite = import_module("crewai.flow.persistence.sqlite")
    path = Path(sqlite.db_storage_path()) / "flow_states.db"
    return sqlite.SQLiteFlowPersistence(str(path)) if path.exists() else None


def _delete_state(store: Any, thread_id: str) -> None:
    """Remove a thread's states from a flow's store; one of the application's own needs a method ``delete_state``."""
    store.clear_pending_feedback(thread_id)
    delete = getattr(store, "delete_state", None)
    if delete is not None:
        delete(thread_id)
    elif isinstance(store, import_module("crewai.flow.persistence").SQLiteFlowPersistence):
        _delete_rows(store.db_path, thread_id)
    elif store.load_state(thread_id) is not None:
        log.warning(
            "crewai_state_not_deleted",
            thread_id=thread_id,
            store=type(store).__name__,
            hint="The flow's persistence has no method delete_state(flow_uuid).",
        )


def _delete_rows(path: str, thread_id: str) -> None:
    with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        for table in _TABLES:
            connection.execute(f"DELETE FROM {table} WHERE flow_uuid = ?", (thread_id,))  # noqa: S608 - our own names
