"""The interface of stores, and an agent's state on a thread."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from asyncio import sleep
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import StoreError
from ..events import Custom
from ..messages import Message
from .errors import StoreConflictError
from .settings import StoreSettings
from .thread_keys import thread_key

if TYPE_CHECKING:
    from .locks import RunLock

_MERGE_SECONDS = 10.0
_MERGE_PAUSE = 0.02
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

REMOVAL = "removal of the thread"
"""What stands among the names of agents in what is stored of a thread that is being removed: other releases, which may
work on the same store, write it there and look for it."""


class AgentState(msgspec.Struct, kw_only=True):
    """An agent's state and messages on one thread.

    ``interrupts`` are the open questions that the framework itself remembers; None if it remembers none that are asked,
    as stores do not. ``version`` counts the saves, from 1. The store sets it, and the fields that follow it.
    """

    state: dict[str, Any] = {}
    messages: list[Message] = []
    interrupts: list[Custom] | None = None
    version: int = 0
    owner: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class ThreadInfo(msgspec.Struct, kw_only=True, frozen=True):
    """A thread's record: its owner, the agents that work on it, and when it was first and last written.

    ``name`` and ``archived`` are for people who look through their threads. ``expires_at`` is when the thread is
    forgotten unless something is written to it before; ``expired`` means that this has happened, and that what is kept
    under the thread is still to be removed. ``removing`` means that somebody has begun to remove it all.
    """

    thread_id: str
    owner: str | None
    agents: list[str]
    created_at: datetime
    updated_at: datetime
    name: str | None = None
    archived: bool = False
    expires_at: datetime | None = None
    expired: bool = False
    removing: bool = False

    def __post_init__(self) -> None:
        """Separate the mark of a removal from the names of agents."""
        if REMOVAL in self.agents:
            msgspec.structs.force_setattr(self, "agents", [agent for agent in self.agents if agent != REMOVAL])
            msgspec.structs.force_setattr(self, "removing", True)

    @property
    def is_leaving(self) -> bool:
        """Whether the thread is about to be removed, so that nobody finds it any more."""
        return self.expired or self.removing


class ThreadPage(msgspec.Struct, kw_only=True, frozen=True):
    """Some threads, last written first; ``cursor`` leads to those after them, None at the end."""

    threads: list[ThreadInfo]
    cursor: str | None


class StateStore(ABC):
    """Keeps ``AgentState`` by thread and agent, and decides which run may work on it.

    Every method raises ``errors.StoreError``, and nothing else, when it cannot do its work.
    """

    url: str | None = None
    """The URL that the store was opened from, so that a framework can keep what is its own in the same place."""
    settings: StoreSettings | None = None
    """The limits that it was opened with, and the prefix of its keys, for what frameworks keep in the same place."""
    durable: bool = True
    """Whether what is kept outlives the process."""
    keeps_records: bool = False
    """Whether there is a record of every thread, also of those without an owner."""
    ttl: float | None = None
    """Seconds after its last write until a thread is forgotten; None for never."""

    @abstractmethod
    async def load(self, thread_id: str, agent_name: str) -> AgentState | None:
        """Return what was last saved, or None."""

    async def load_many(self, keys: Sequence[tuple[str, str]]) -> list[AgentState | None]:
        """Return what was last saved for each thread id and agent name, in their order."""
        return [await self.load(thread_id, agent_name) for thread_id, agent_name in keys]

    @abstractmethod
    async def save(
        self, thread_id: str, agent_name: str, state: AgentState, *, expected_version: int | None = None
    ) -> AgentState:
        """Replace what is kept.

        Args:
            thread_id: The thread.
            agent_name: The agent.
            state: Its state and messages; the other fields are ignored.
            expected_version: Write only if this is the kept version, 0 meaning that nothing is kept yet;
                None to write whatever is kept.

        Returns:
            ``state`` with its new version, owner and times.

        Raises:
            StoreConflictError: The kept version is another one.
            StateTooLargeError: The encoded state and messages exceed the store's limit.
        """

    async def merge(self, thread_id: str, agent_name: str, changes: dict[str, Any]) -> AgentState:
        """Set the keys of ``changes`` in the kept state, at once and without losing another writer's keys.

        Args:
            thread_id: The thread.
            agent_name: The agent.
            changes: The new values, by key.

        Returns:
            The state as it is kept now.

        Raises:
            StoreConflictError: Other writers were faster for ten seconds on end.
        """
        deadline = monotonic() + _MERGE_SECONDS
        while True:
            kept = await self.load(thread_id, agent_name) or AgentState()
            merged = AgentState(state={**kept.state, **changes}, messages=kept.messages)
            try:
                return await self.save(thread_id, agent_name, merged, expected_version=kept.version)
            except StoreConflictError:
                if monotonic() >= deadline:
                    raise
                await sleep(random.uniform(0, _MERGE_PAUSE))  # noqa: S311

    @abstractmethod
    async def threads(self, *, owner: str | None = None, limit: int = 50, cursor: str | None = None) -> ThreadPage:
        """Return the threads that are kept, last written first.

        Args:
            owner: Only the threads of this owner; None for all.
            limit: How many at most; no page has more than 1000.
            cursor: ``ThreadPage.cursor`` of the page before; None for the first.
        """

    async def thread(self, thread_id: str) -> ThreadInfo | None:
        """Look a thread's record up, by any spelling of its id (``thread_keys``).

        Returns:
            The record, whose ``thread_id`` is the spelling that everything is kept under, or None. One
            whose time is over is marked so.
        """
        for spelling in (thread_id, thread_key(thread_id)):
            owner = await self.owner_of(spelling)
            if owner is not None:
                return ThreadInfo(thread_id=thread_id, owner=owner, agents=[], created_at=_EPOCH, updated_at=_EPOCH)
        return None

    async def open_thread(
        self, thread_id: str, *, owner: str | None = None, agent_name: str | None = None
    ) -> ThreadInfo | None:
        """Make a thread's record, or renew the one that there is.

        Args:
            thread_id: The thread, in any spelling.
            owner: Who works on it; None for the application itself, which may work on all.
            agent_name: The agent that is to work on it, if one is.

        Returns:
            The record. None if there is one that is not ``owner``'s, be it somebody else's or nobody's. A record whose
            time is over is returned as it is, and neither renewed nor replaced.
        """
        del agent_name
        if owner is not None:
            for spelling in dict.fromkeys((thread_id, thread_key(thread_id))):
                if not await self.claim(spelling, owner):
                    return None
        return ThreadInfo(thread_id=thread_id, owner=owner, agents=[], created_at=_EPOCH, updated_at=_EPOCH)

    async def begin_removal(self, thread_id: str) -> ThreadInfo | None:
        """Mark a thread as one that is being removed, until its record goes; return the record."""
        return await self.open_thread(thread_id, agent_name=REMOVAL)

    async def expired_threads(self, limit: int = 100) -> list[str]:
        """List threads that are forgotten, so that what is kept of them elsewhere can be removed.

        Each is listed until ``delete_thread`` is called for it.
        """
        del limit
        return []

    async def rename_thread(self, thread_id: str, name: str | None, *, owner: str | None = None) -> bool:
        """Name a thread; return whether it is kept, and ``owner``'s if one is given.

        Raises:
            StoreError: The store does not keep names.
        """
        raise StoreError(f"{type(self).__name__} keeps no names of threads.")

    async def archive_thread(self, thread_id: str, archived: bool = True, *, owner: str | None = None) -> bool:
        """Put a thread into the archive, or take it out; return whether it is kept, and ``owner``'s if one is given.

        Raises:
            StoreError: The store has no archive.
        """
        raise StoreError(f"{type(self).__name__} has no archive of threads.")

    @abstractmethod
    async def delete_thread(self, thread_id: str) -> bool:
        """Delete a thread with all its agents' states and its owner; return whether it was kept."""

    async def disown_thread(self, thread_id: str) -> bool:
        """Delete a thread as ``delete_thread`` does, but leave a record without owner, which keeps clients out.

        At no time is there no record: whoever opens the thread meanwhile finds the one or the other. Here these are
        two operations, as a store that keeps no records has nothing to leave.

        Returns:
            Whether the thread was kept.
        """
        was_kept = await self.delete_thread(thread_id)
        await self.open_thread(thread_id)
        return was_kept

    @abstractmethod
    async def claim(self, thread_id: str, owner: str) -> bool:
        """Make ``owner`` the owner of a thread that has none; first come, first served.

        This is for the application: it hands over whatever is on the thread. What a client asks for goes through
        ``open_thread``.

        Returns:
            Whether the thread is now ``owner``'s. A thread of somebody else's must be answered for
            as one that does not exist.
        """

    @abstractmethod
    async def owner_of(self, thread_id: str) -> str | None:
        """Return who claimed the thread, or None."""

    @abstractmethod
    async def health(self) -> float:
        """Return how long the store takes to answer, in seconds.

        Raises:
            StoreUnavailableError: It does not answer, or takes no writes.
        """

    @abstractmethod
    def lock(self, thread_id: str, agent_name: str, *, wait: float | None = None, interrupt: bool = False) -> RunLock:
        """Return the right to run an agent on a thread, held by one run at a time over all processes.

        Args:
            thread_id: The thread.
            agent_name: The agent.
            wait: How many seconds to queue for it; 0 to give up at once, None for as long as it takes.
            interrupt: Whether to ask the runs ahead in the queue to stop.

        Returns:
            A context manager; entering it raises ``errors.ThreadBusyError`` when it cannot be had.
        """

    @abstractmethod
    async def request_stop(self, thread_id: str, agent_name: str) -> None:
        """Request the run that holds the lock, and those that queue for it, to stop."""

    async def compact(self) -> None:
        """Give the room back of what was deleted, where the store does not do so by itself. It may take minutes."""

    async def start(self) -> None:
        """Prepare; called once, before first use."""

    async def stop(self) -> None:
        """Clean up; called once, after last use."""
