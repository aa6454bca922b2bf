"""The common part of all stores: entries are bytes with a version."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter, time_ns
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import msgspec
from typing_extensions import override

from ..errors import MisuseError
from .encoding import decode, encode
from .errors import StoreConflictError, StoreKeyError, StoreUnavailableError
from .interface import AgentState, StateStore, ThreadInfo, ThreadPage
from .locks import RunLock, RunLocks, TicketDesk
from .retry import retry_unavailable
from .settings import StoreSettings

MAX_KEY_BYTES = 1024
MAX_PAGE = 1000
START_SECONDS = 3.0
"""How long a start waits for a server that does not answer: who has mistaken its address should soon know."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Stamp(NamedTuple):
    """The metadata of an entry. Times are in microseconds since 1970."""

    version: int
    owner: str | None
    created: int
    updated: int


class Record(NamedTuple):
    """An entry as it is kept."""

    payload: bytes
    stamp: Stamp


class Place(NamedTuple):
    """Where a page of threads ended: its last thread, and when that was written."""

    updated: int
    thread_id: str


def now() -> int:
    """Return the present moment, in microseconds since 1970."""
    return time_ns() // 1000


def moment(micros: int) -> datetime:
    """Return a count of microseconds since 1970 as a point in time."""
    return _EPOCH + micros * _MICROSECOND


def micros(moment: datetime) -> int:
    """Return a point in time as a count of microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def check_key(*names: str) -> None:
    """Refuse what one of the stores could not use as a key, so that all refuse the same.

    Raises:
        StoreKeyError: A name is empty, longer than 1024 bytes, holds NUL, or is not valid Unicode.
    """
    for name in names:
        try:
            size = len(name.encode())
        except UnicodeEncodeError as error:
            raise StoreKeyError("A thread id, agent name or owner must be valid Unicode.") from error
        if not 0 < size <= MAX_KEY_BYTES or "\0" in name:
            raise StoreKeyError(
                f"A thread id, agent name or owner must be 1 to {MAX_KEY_BYTES} bytes long, without NUL."
            )


def _stamped(state: AgentState, stamp: Stamp) -> AgentState:
    return AgentState(
        state=state.state,
        messages=state.messages,
        version=stamp.version,
        owner=stamp.owner,
        created_at=moment(stamp.created),
        updated_at=moment(stamp.updated),
    )


def _parse(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    updated, _, thread_id = cursor.partition(".")
    if not updated.isdecimal() or len(updated) > 18 or not thread_id:
        raise MisuseError("The cursor is not valid.")
    check_key(thread_id)
    return Place(int(updated), thread_id)


class RecordStore(StateStore):
    """A store of records; its subclasses put them somewhere.

    Args:
        desk: Where run lock tickets are kept.
        settings: The limits.
    """

    keeps_records = True

    def __init__(self, desk: TicketDesk, settings: StoreSettings) -> None:
        self._settings = settings
        self.settings: StoreSettings = settings
        self.ttl = settings.ttl
        self._locks = RunLocks(desk, settings)
        self._merging: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    @override
    async def load(self, thread_id: str, agent_name: str) -> AgentState | None:
        check_key(thread_id, agent_name)
        record = (await retry_unavailable(self._read, self._settings.retry_for, [(thread_id, agent_name)]))[0]
        return record and _stamped(decode(record.payload), record.stamp)

    @override
    async def load_many(self, keys: Sequence[tuple[str, str]]) -> list[AgentState | None]:
        for key in keys:
            check_key(*key)
        if not keys:
            return []
        records = await retry_unavailable(self._read, self._settings.retry_for, keys)
        return [record and _stamped(decode(record.payload), record.stamp) for record in records]

    @override
    async def save(
        self, thread_id: str, agent_name: str, state: AgentState, *, expected_version: int | None = None
    ) -> AgentState:
        check_key(thread_id, agent_name)
        payload = encode(state, self._settings.max_bytes)
        stamp = await self._write(thread_id, agent_name, payload, expected_version)
        if stamp is None:
            raise StoreConflictError(expected_version or 0)
        return _stamped(state, stamp)

    @override
    async def merge(self, thread_id: str, agent_name: str, changes: dict[str, Any]) -> AgentState:
        check_key(thread_id, agent_name)
        turn = self._merging.setdefault((thread_id, agent_name), asyncio.Lock())
        try:
            async with asyncio.timeout(self._settings.retry_for):
                await turn.acquire()
        except TimeoutError as error:
            raise StoreUnavailableError from error
        try:
            return await super().merge(thread_id, agent_name, changes)
        finally:
            turn.release()

    @override
    async def threads(self, *, owner: str | None = None, limit: int = 50, cursor: str | None = None) -> ThreadPage:
        place = _parse(cursor)
        limit = min(max(limit, 1), MAX_PAGE)
        found = await retry_unavailable(self._list, self._settings.retry_for, owner, limit + 1, place)
        page = [self._dated(each) for each in found[:limit]]
        more = len(found) > limit
        last = f"{micros(page[-1].updated_at)}.{page[-1].thread_id}" if more else None
        return ThreadPage(threads=page, cursor=last)

    @override
    async def thread(self, thread_id: str) -> ThreadInfo | None:
        check_key(thread_id)
        found = await retry_unavailable(self._thread, self._settings.retry_for, thread_id)
        return found and self._dated(found)

    @override
    async def open_thread(
        self, thread_id: str, *, owner: str | None = None, agent_name: str | None = None
    ) -> ThreadInfo | None:
        check_key(*(name for name in (thread_id, owner, agent_name) if name is not None))
        opened = await retry_unavailable(self._open_thread, self._settings.retry_for, thread_id, owner, agent_name)
        return opened and self._dated(opened)

    @override
    async def expired_threads(self, limit: int = 100) -> list[str]:
        return await retry_unavailable(self._expired, self._settings.retry_for, limit)

    @override
    async def rename_thread(self, thread_id: str, name: str | None, *, owner: str | None = None) -> bool:
        check_key(thread_id, *([] if name is None else [name]))
        return await self._describe(thread_id, {"name": name}, owner)

    @override
    async def archive_thread(self, thread_id: str, archived: bool = True, *, owner: str | None = None) -> bool:
        check_key(thread_id)
        return await self._describe(thread_id, {"archived": archived}, owner)

    @override
    async def delete_thread(self, thread_id: str) -> bool:
        check_key(thread_id)
        return await self._delete(thread_id)

    @override
    async def disown_thread(self, thread_id: str) -> bool:
        check_key(thread_id)
        return await self._delete(thread_id, disown=True)

    @override
    async def claim(self, thread_id: str, owner: str) -> bool:
        check_key(thread_id, owner)
        return await retry_unavailable(self._claim, self._settings.retry_for, thread_id, owner)

    @override
    async def owner_of(self, thread_id: str) -> str | None:
        check_key(thread_id)
        return await retry_unavailable(self._owner, self._settings.retry_for, thread_id)

    @override
    async def health(self) -> float:
        started = perf_counter()
        await self._ping()
        return perf_counter() - started

    @override
    def lock(self, thread_id: str, agent_name: str, *, wait: float | None = None, interrupt: bool = False) -> RunLock:
        check_key(thread_id, agent_name)
        return self._locks.lock(thread_id, agent_name, wait=wait, interrupt=interrupt)

    @override
    async def request_stop(self, thread_id: str, agent_name: str) -> None:
        check_key(thread_id, agent_name)
        await self._locks.request_stop(thread_id, agent_name)

    @override
    async def start(self) -> None:
        await retry_unavailable(self._open, min(self._settings.retry_for, START_SECONDS))

    @override
    async def stop(self) -> None:
        await self._locks.stop()
        await self._close()

    @abstractmethod
    async def _open(self) -> None: ...

    @abstractmethod
    async def _close(self) -> None: ...

    @abstractmethod
    async def _read(self, keys: Sequence[tuple[str, str]]) -> list[Record | None]: ...

    @abstractmethod
    async def _write(self, thread_id: str, agent_name: str, payload: bytes, expected: int | None) -> Stamp | None:
        """Return None, having written nothing, when the version is not the expected one."""

    @abstractmethod
    async def _list(self, owner: str | None, limit: int, after: Place | None) -> list[ThreadInfo]: ...

    def _dated(self, thread: ThreadInfo) -> ThreadInfo:
        if self.ttl is None:
            return thread
        return msgspec.structs.replace(thread, expires_at=thread.updated_at + timedelta(seconds=self.ttl))

    @abstractmethod
    async def _thread(self, thread_id: str) -> ThreadInfo | None: ...

    @abstractmethod
    async def _open_thread(self, thread_id: str, owner: str | None, agent_name: str | None) -> ThreadInfo | None: ...

    @abstractmethod
    async def _expired(self, limit: int) -> list[str]: ...

    @abstractmethod
    async def _describe(self, thread_id: str, changes: dict[str, Any], owner: str | None) -> bool:
        """Set ``name`` or ``archived`` of a living thread, ``owner``'s if one is given; return whether there is one."""

    @abstractmethod
    async def _delete(self, thread_id: str, *, disown: bool = False) -> bool:
        """Delete a thread, and in the same step leave a record without owner if it is disowned."""

    @abstractmethod
    async def _claim(self, thread_id: str, owner: str) -> bool: ...

    @abstractmethod
    async def _owner(self, thread_id: str) -> str | None: ...

    @abstractmethod
    async def _ping(self) -> None: ...
