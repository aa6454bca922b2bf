"""The part of a memory's storage that is one thread's."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

ALL = 1_000_000
"""More records than any thread has, for storages that list a number of them."""


def scope_of_thread(thread_id: str, owner: str | None = None) -> str:
    """Return the path of a thread's memories, or of those of one owner below it.

    It is made of digests, because CrewAI's own names are lossy.
    """
    path = f"/thread/{_digest(thread_id)}"
    return path if owner is None else f"{path}/{_digest(owner)}"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]


class ThreadStorage:
    """Keeps what a thread remembers below a path of its own; to its users it is a whole storage.

    It has the methods of CrewAI's ``StorageBackend``. Ids lead to the thread's records alone, which CrewAI's own
    storages do not see to; and what is removed is removed by id, because some take along what is at their root.

    Args:
        backend: Where the records are kept.
        path: The path.
        check: Raises if nothing may be written any more.
    """

    def __init__(self, backend: Any, path: str, check: Callable[[], None]) -> None:
        self._backend = backend
        self._path = path
        self._check = check

    def save(self, records: list[Any]) -> None:
        """Keep records."""
        self._check()
        self._backend.save([self._kept(record) for record in records])

    def update(self, record: Any) -> None:
        """Replace a record.

        Raises:
            ValueError: The thread has none of its id.
        """
        self._check()
        if self.get_record(record.id) is None:
            raise ValueError(f"Record not found: {record.id}")
        self._backend.update(self._kept(record))

    def touch_records(self, record_ids: list[str]) -> None:
        """Note that records were read, if the storage notes that."""
        touch = getattr(self._backend, "touch_records", None)
        if touch is not None:
            self._check()
            touch(self._own(record_ids))

    def search(
        self, query_embedding: list[float], scope_prefix: str | None = None, **how: Any
    ) -> list[tuple[Any, float]]:
        """Return the records that are nearest to a vector, with their scores."""
        found = self._backend.search(query_embedding, scope_prefix=self._below(scope_prefix), **how)
        return [(self._shown(record), score) for record, score in found]

    def get_record(self, record_id: str) -> Any:
        """Return a record, or None if the thread has none of this id."""
        record = self._backend.get_record(record_id)
        return None if record is None or not self._has(record.scope) else self._shown(record)

    def list_records(self, scope_prefix: str | None = None, limit: int = 200, offset: int = 0) -> list[Any]:
        """Return records, newest first."""
        found = self._backend.list_records(scope_prefix=self._below(scope_prefix), limit=limit, offset=offset)
        return [self._shown(record) for record in found]

    def delete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        """Remove the records that all criteria fit, and return how many they were."""
        self._check()
        chosen = [
            record.id
            for record in self.list_records(scope_prefix, limit=ALL)
            if (record_ids is None or record.id in record_ids)
            and (categories is None or not set(categories).isdisjoint(record.categories))
            and (older_than is None or record.created_at < older_than)
            and _fits(record.metadata, metadata_filter or {})
        ]
        return int(self._backend.delete(record_ids=chosen)) if chosen else 0

    def reset(self, scope_prefix: str | None = None) -> None:
        """Remove all records of a scope."""
        self.delete(scope_prefix)

    def get_scope_info(self, scope: str) -> Any:
        """Return what is in a scope."""
        info = self._backend.get_scope_info(self._below(scope))
        children = [self._without_path(child) for child in info.child_scopes]
        return info.model_copy(update={"path": self._without_path(info.path), "child_scopes": children})

    def list_scopes(self, parent: str = "/") -> list[str]:
        """Return the scopes right below one."""
        return [self._without_path(scope) for scope in self._backend.list_scopes(self._below(parent))]

    def list_categories(self, scope_prefix: str | None = None) -> dict[str, int]:
        """Return the categories in a scope, with how many records have them."""
        found: dict[str, int] = self._backend.list_categories(scope_prefix=self._below(scope_prefix))
        return found

    def count(self, scope_prefix: str | None = None) -> int:
        """Return how many records are in a scope."""
        return int(self._backend.count(scope_prefix=self._below(scope_prefix)))

    async def asave(self, records: list[Any]) -> None:
        """Keep records, without blocking the loop."""
        await asyncio.to_thread(self.save, records)

    async def asearch(self, query_embedding: list[float], **how: Any) -> list[tuple[Any, float]]:
        """Search, without blocking the loop."""
        return await asyncio.to_thread(self.search, query_embedding, **how)

    async def adelete(self, **criteria: Any) -> int:
        """Remove records, without blocking the loop."""
        return await asyncio.to_thread(self.delete, **criteria)

    def close(self) -> None:
        """Close the storage underneath, if it can be closed."""
        close = getattr(self._backend, "close", None)
        if close is not None:
            close()

    def _below(self, scope: str | None) -> str:
        inner = (scope or "").strip("/")
        return f"{self._path}/{inner}" if inner else self._path

    def _without_path(self, scope: str) -> str:
        return scope.removeprefix(self._path) or "/"

    def _has(self, scope: str) -> bool:
        return f"{scope}/".startswith(f"{self._path}/")

    def _own(self, record_ids: Iterable[str]) -> list[str]:
        return [record_id for record_id in record_ids if self.get_record(record_id) is not None]

    def _kept(self, record: Any) -> Any:
        return record.model_copy(update={"scope": self._below(record.scope)})

    def _shown(self, record: Any) -> Any:
        return record.model_copy(update={"scope": self._without_path(record.scope)})


def _fits(metadata: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(metadata.get(key) == value for key, value in wanted.items())
