"""The store of one process, gone when it ends."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from heapq import nlargest
from itertools import islice
from time import monotonic
from typing import Any

import msgspec
from typing_extensions import override

from .interface import ThreadInfo
from .locks import Standing, Ticket, TicketDesk
from .records import Place, Record, RecordStore, Stamp, moment, now
from .settings import StoreSettings
from .thread_keys import thread_key


class _Thread(msgspec.Struct):
    created: int
    updated: int
    written: float = 0.0
    """When it was last written to, by a clock that nobody sets."""
    owner: str | None = None
    records: dict[str, Record] = {}
    agents: set[str] = set()
    name: str | None = None
    archived: bool = False

    @property
    def size(self) -> int:
        return sum(len(record.payload) for record in self.records.values())


class _Place(msgspec.Struct):
    token: str
    expires: float
    stop: bool = False


class MemoryTickets(TicketDesk):
    """Tickets in a dict, oldest first."""

    def __init__(self) -> None:
        self._queues: dict[tuple[str, str], dict[str, _Place]] = {}

    @override
    async def enter(self, ticket: Ticket, lease: float) -> Standing:
        queue = self._queues.setdefault(ticket[:2], {})
        for token in [token for token, place in queue.items() if place.expires < monotonic()]:
            del queue[token]
        mine = queue.setdefault(ticket.token, _Place(ticket.token, 0))
        mine.expires = monotonic() + lease
        return Standing(next(iter(queue)) == ticket.token, mine.stop)

    @override
    async def renew(self, tickets: Sequence[Ticket], lease: float) -> dict[str, bool]:
        places = [self._queues.get(ticket[:2], {}).get(ticket.token) for ticket in tickets]
        kept = [place for place in places if place is not None]
        for place in kept:
            place.expires = monotonic() + lease
        return {place.token: place.stop for place in kept}

    @override
    async def leave(self, ticket: Ticket) -> None:
        queue = self._queues.get(ticket[:2], {})
        queue.pop(ticket.token, None)
        if not queue:
            self._queues.pop(ticket[:2], None)

    @override
    async def request_stop(self, thread_id: str, agent_name: str, before: str | None) -> None:
        for token, place in self._queues.get((thread_id, agent_name), {}).items():
            if token == before:
                return
            place.stop = True


class MemoryStore(RecordStore):
    """Keeps states in this process, and lets go of the threads used least recently when there are too many.

    Args:
        settings: ``ttl``, ``max_bytes``, ``max_threads`` and ``max_total_bytes`` bound it.
    """

    durable = False

    def __init__(self, settings: StoreSettings | None = None) -> None:
        super().__init__(MemoryTickets(), settings or StoreSettings())
        self._threads: OrderedDict[str, _Thread] = OrderedDict()
        self._spellings: dict[str, str] = {}
        self._departed: OrderedDict[str, ThreadInfo] = OrderedDict()
        self._bytes = 0

    @override
    async def _open(self) -> None:
        self._drop_old()

    @override
    async def _close(self) -> None:
        return

    @override
    async def _ping(self) -> None:
        return

    @override
    async def _read(self, keys: Sequence[tuple[str, str]]) -> list[Record | None]:
        return [self._record(thread_id, agent_name) for thread_id, agent_name in keys]

    @override
    async def _write(self, thread_id: str, agent_name: str, payload: bytes, expected: int | None) -> Stamp | None:
        existing = self._record(thread_id, agent_name)
        version = existing.stamp.version if existing else 0
        if expected is not None and expected != version:
            return None
        thread = self._touch(thread_id)
        created = existing.stamp.created if existing else thread.updated
        stamp = Stamp(version + 1, thread.owner, created, thread.updated)
        self._bytes += len(payload) - (len(existing.payload) if existing else 0)
        thread.records[agent_name] = Record(payload, stamp)
        self._shrink()
        return stamp

    @override
    async def _list(self, owner: str | None, limit: int, after: Place | None) -> list[ThreadInfo]:
        self._drop_old()
        places = (
            Place(thread.updated, thread_id)
            for thread_id, thread in self._threads.items()
            if owner is None or thread.owner == owner
        )
        newest = nlargest(limit, (place for place in places if after is None or place < after))
        return [self._info(place.thread_id) for place in newest]

    @override
    async def _thread(self, thread_id: str) -> ThreadInfo | None:
        spelling = self._spelling(thread_id)
        if self._living(spelling) is not None:
            return self._info(spelling)
        return self._departed.get(spelling)

    @override
    async def _open_thread(self, thread_id: str, owner: str | None, agent_name: str | None) -> ThreadInfo | None:
        spelling = self._spelling(thread_id)
        existing = self._living(spelling)
        if existing is None and spelling in self._departed:
            return self._departed[spelling]
        if existing is not None and owner not in (None, existing.owner):
            return None
        thread = self._touch(spelling)
        thread.owner = thread.owner if owner is None else owner
        thread.agents.update([] if agent_name is None else [agent_name])
        self._shrink()
        return self._info(spelling)

    @override
    async def _expired(self, limit: int) -> list[str]:
        self._drop_old()
        return list(islice(self._departed, limit))

    @override
    async def _describe(self, thread_id: str, changes: dict[str, Any], owner: str | None) -> bool:
        thread = self._living(self._spelling(thread_id))
        if thread is None or owner not in (None, thread.owner):
            return False
        thread.name = changes.get("name", thread.name)
        thread.archived = changes.get("archived", thread.archived)
        return True

    @override
    async def _delete(self, thread_id: str, *, disown: bool = False) -> bool:
        spelling = self._spelling(thread_id)
        existing = self._living(spelling) is not None
        self._forget(spelling)
        self._departed.pop(spelling, None)
        self._spellings.pop(thread_key(spelling), None)
        if disown:
            self._touch(spelling)
            self._shrink()
        return existing

    @override
    async def _claim(self, thread_id: str, owner: str) -> bool:
        if await self._owner(thread_id) not in (None, owner):
            return False
        spelling = self._spelling(thread_id)
        self._touch(spelling).owner = owner
        self._shrink()
        return True

    @override
    async def _owner(self, thread_id: str) -> str | None:
        thread = self._living(self._spelling(thread_id))
        return thread.owner if thread else None

    def _spelling(self, thread_id: str) -> str:
        return self._spellings.get(thread_key(thread_id), thread_id)

    def _living(self, thread_id: str) -> _Thread | None:
        thread = self._threads.get(thread_id)
        if thread is not None and self._is_old(thread):
            self._let_go(thread_id)
            return None
        return thread

    def _is_old(self, thread: _Thread) -> bool:
        ttl = self._settings.ttl
        return ttl is not None and monotonic() - thread.written > ttl

    def _record(self, thread_id: str, agent_name: str) -> Record | None:
        thread = self._living(thread_id)
        record = thread.records.get(agent_name) if thread else None
        if thread is None or record is None:
            return None
        self._threads.move_to_end(thread_id)
        if record.stamp.owner == thread.owner:
            return record
        return Record(record.payload, record.stamp._replace(owner=thread.owner))

    def _touch(self, thread_id: str) -> _Thread:
        present = now()
        thread = self._living(thread_id) or _Thread(present, present)
        thread.updated, thread.written = present, monotonic()
        self._threads[thread_id] = thread
        self._threads.move_to_end(thread_id)
        self._spellings.setdefault(thread_key(thread_id), thread_id)
        self._departed.pop(thread_id, None)
        return thread

    def _info(self, thread_id: str) -> ThreadInfo:
        thread = self._threads[thread_id]
        return ThreadInfo(
            thread_id=thread_id,
            owner=thread.owner,
            agents=sorted(thread.agents | thread.records.keys()),
            created_at=moment(thread.created),
            updated_at=moment(thread.updated),
            name=thread.name,
            archived=thread.archived,
        )

    def _let_go(self, thread_id: str) -> None:
        """Delete a thread, and remember that what is kept of it elsewhere is to be removed."""
        info = msgspec.structs.replace(self._info(thread_id), expired=True)
        self._forget(thread_id)
        self._departed[thread_id] = info
        if len(self._departed) > self._settings.max_threads:
            forgotten, _ = self._departed.popitem(last=False)
            self._spellings.pop(thread_key(forgotten), None)

    def _forget(self, thread_id: str) -> None:
        thread = self._threads.pop(thread_id, None)
        if thread is not None:
            self._bytes -= thread.size

    def _drop_old(self) -> None:
        for thread_id in [thread_id for thread_id, thread in self._threads.items() if self._is_old(thread)]:
            self._let_go(thread_id)

    def _shrink(self) -> None:
        while len(self._threads) > 1 and self._is_full():
            self._let_go(next(iter(self._threads)))

    def _is_full(self) -> bool:
        longest_unused = next(iter(self._threads.values()))
        return (
            len(self._threads) > self._settings.max_threads
            or self._bytes > self._settings.max_total_bytes
            or self._is_old(longest_unused)
        )
