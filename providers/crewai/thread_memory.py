"""CrewAI's memories, limited to one thread: nothing is recalled from another one."""

from __future__ import annotations

import os
import sys
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from .thread_storage import ThreadStorage, scope_of_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

MAX_PLACES = 256

log = structlog.get_logger(__name__)


class ThreadMemories:
    """Gives memories the part of a storage that is one thread's.

    Args:
        thread_id: The thread.
        check: Raises if nothing may be remembered for the run any more.
        owner: Whose memories they are alone; None for whoever has the thread. Of memories that runs make by themselves
            nobody knows after a restart where they are, so that the thread's next owner must not find them there.
    """

    def __init__(self, thread_id: str, check: Callable[[], None] = lambda: None, *, owner: str | None = None) -> None:
        self._path = scope_of_thread(thread_id, owner)
        self._check = check

    def part(self, backend: Any) -> ThreadStorage:
        """Return the thread's part of a storage."""
        return ThreadStorage(backend, self._path, self._check)

    def part_of(self, memory: Any) -> ThreadStorage:
        """Return the thread's part of where a memory keeps things."""
        return self.part(_whole(memory)._storage)  # noqa: SLF001 - it has no other way to all its records

    def view(self, memory: Any) -> Any:
        """Return a memory that is the thread's part of another; None for what is not a memory."""
        whole = _whole(memory)
        if whole is not memory:
            return memory.model_copy().bind(self.view(whole))
        if not hasattr(memory, "scope"):
            return None
        if not hasattr(memory, "_storage"):
            root = (getattr(memory, "root_scope", None) or "").rstrip("/")
            return memory.scope(f"{root}{self._path}")
        copy = memory.model_copy()
        if not isinstance(memory._storage, ThreadStorage):  # noqa: SLF001 - a new memory would load its model anew
            copy._storage = self.part(memory._storage)  # noqa: SLF001 - see above
        return copy

    def lend(self, back: ExitStack, holder: Any, attribute: str) -> None:
        """Replace the memory of a crew, an agent or a flow by the thread's part of it, until ``back`` is closed."""
        given = getattr(holder, attribute, None)
        view = self.view(given)
        if view is not None:
            back.callback(setattr, holder, attribute, given)
            setattr(holder, attribute, view)


def is_memory(holder: Any) -> bool:
    """Return whether something is one of CrewAI's memories, or a scope or a slice of one."""
    return hasattr(_whole(holder), "_storage")


def reopened(memory: Any) -> Any:
    """Return a memory that sees what other instances, here or in other processes, have written since it was made."""
    memory = _whole(memory)
    if not isinstance(memory.storage, str):
        return memory
    return type(memory)(storage=memory.storage, root_scope=memory.root_scope)


def _whole(memory: Any) -> Any:
    """Return the memory that a scope or a slice is a view of."""
    return getattr(memory, "_memory", None) or memory


class MemoryPlaces:
    """Where runs keep the memories that they make by themselves, within a flow for instance."""

    def __init__(self) -> None:
        self._named: dict[str, None] = {}
        self._given: dict[object, Any] = {}

    def add(self, place: str) -> None:
        """Note a place; not more of them than there is room for."""
        if self._has_room():
            self._named[place] = None

    def add_storage(self, storage: Any) -> None:
        """Note a storage that was given as an object."""
        table = _table_of(storage)
        if self._has_room():
            self._given[table or id(storage)] = storage

    def parts(self, thread_id: str) -> list[ThreadStorage]:
        """Return a thread's part of CrewAI's own place, and of all that were noted."""
        memories = ThreadMemories(thread_id)
        places = dict.fromkeys(self._named)
        if _default_place().exists():
            places["lancedb"] = None
        storages = [*(storage_at(place) for place in places), *map(_reopened_storage, self._given.values())]
        return [memories.part(storage) for storage in storages]

    def _has_room(self) -> bool:
        has_room = len(self._named) + len(self._given) < MAX_PLACES
        if not has_room:
            log.warning("crewai_memory_place_not_noted", most=MAX_PLACES)
        return has_room


def _table_of(storage: Any) -> tuple[str, str] | None:
    """Return where a storage of LanceDB keeps its records, which any other of the same place does, too."""
    module = sys.modules.get("crewai.memory.storage.lancedb_storage")
    if module is None or not isinstance(storage, module.LanceDBStorage):
        return None
    return str(storage._path), storage._table_name  # noqa: SLF001 - it has no other names


def _reopened_storage(storage: Any) -> Any:
    """Return a storage that sees what others of the same place have written since it was made."""
    table = _table_of(storage)
    if table is None:
        return storage
    path, name = table
    return import_module("crewai.memory.storage.lancedb_storage").LanceDBStorage(path=path, table_name=name)


class RunMemories(msgspec.Struct, frozen=True):
    """Whose memories a run makes, and where it makes them."""

    thread: ThreadMemories
    places: MemoryPlaces


MEMORIES: ContextVar[RunMemories | None] = ContextVar("copilotkit_run_memories", default=None)


class ThreadStorages:
    """Gives memories that a run makes by itself its thread's part of their storage.

    It first asks whoever chose the application's storages before it, and leaves those alone that are made outside of
    runs.
    """

    def __init__(self, chosen_before: Callable[[str], Any] | None) -> None:
        self._chosen_before = chosen_before

    def __call__(self, place: str) -> Any:
        """Return the storage for a place; None for CrewAI's own choice."""
        run = MEMORIES.get()
        if run is None:
            return self.chosen(place)
        run.places.add(place)
        return run.thread.part(storage_at(place))

    def chosen(self, place: str) -> Any:
        """Return the storage that the application chose for a place; None if it chose none."""
        return None if self._chosen_before is None else self._chosen_before(place)


def install_thread_storages() -> None:
    """Let memories that runs make be their threads'."""
    installed = _installed()
    if not isinstance(installed, ThreadStorages):
        import_module("crewai.memory.storage.factory").set_memory_storage_factory(ThreadStorages(installed))
        _limit_given_storages()


def _limit_given_storages() -> None:
    """Let memories be their threads', too, that runs make of storages as objects: CrewAI asks no factory for them."""
    memory = import_module("crewai.memory.unified_memory").Memory
    make = memory.model_post_init

    def model_post_init(self: Any, context: Any, /) -> None:
        make(self, context)
        run, storage = MEMORIES.get(), self._storage
        if run is not None and not isinstance(storage, ThreadStorage):
            run.places.add_storage(storage)
            self._storage = run.thread.part(storage)

    memory.model_post_init = model_post_init


def storage_at(place: str) -> Any:
    """Return the whole storage at a place, as CrewAI chooses it."""
    installed = _installed()
    chosen = installed.chosen(place) if isinstance(installed, ThreadStorages) else None
    if chosen is not None:
        return chosen
    if place == "qdrant-edge":
        return import_module("crewai.memory.storage.qdrant_edge_storage").QdrantEdgeStorage()
    storage = import_module("crewai.memory.storage.lancedb_storage").LanceDBStorage
    return storage() if place == "lancedb" else storage(path=place)


def _installed() -> Any:
    return import_module("crewai.memory.storage.factory")._factory  # noqa: SLF001 - CrewAI has a setter only


def _default_place() -> Path:
    given = os.environ.get("CREWAI_STORAGE_DIR")
    return Path(given or import_module("crewai_core.paths").db_storage_path()) / "memory"
