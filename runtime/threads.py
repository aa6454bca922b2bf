"""Threads: who may work on them, and everything that is kept under them, in the store and by providers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TypeVar

import structlog

from .errors import (
    ConfigurationError,
    CopilotKitError,
    MisuseError,
    ThreadBusyError,
    ThreadNotFoundError,
    TryLaterError,
)
from .fresh_ids import fresh_hex
from .provider import AgentProvider
from .runs.run import Run
from .runs.turn import Turn
from .stores.errors import StoreKeyError
from .stores.interface import REMOVAL, StateStore, ThreadInfo, ThreadPage
from .stores.locks import RunLock
from .sweeper import Sweeper

T = TypeVar("T")

log = structlog.get_logger(__name__)

STOP_SECONDS = 15.0
"""How long a deletion waits for runs that go on in the thread."""
_PAGE = 100
_SLOWEST_SWEEP = 60.0
_FASTEST_SWEEP = 0.2


class ThreadDeletedError(ThreadNotFoundError):
    """The thread was deleted while a run went on in it."""


class Threads:
    """The one root of what is kept: a thread's record in the store, with which all else lives and dies.

    Args:
        store: Keeps the records.
        providers: Lists the providers, which may keep conversations of their own.
        runs: Lists the runs that go on in this process.
        check_present: Raises ``TryLaterError`` if one of these agents is away, for it might remember something.
    """

    def __init__(
        self,
        store: StateStore,
        providers: Callable[[], Sequence[AgentProvider]],
        runs: Callable[[], Iterable[Run]],
        check_present: Callable[[Iterable[str | None]], Awaitable[None]],
    ) -> None:
        self._store = store
        self._providers = providers
        self._runs = runs
        self._check_present = check_present
        self._removers: list[Callable[[str], Awaitable[object]]] = []
        self._sweeper = Sweeper("threads", self.sweep, self._pause)
        self._guards = False
        self._remover = f"removal by {fresh_hex()}"
        """Whose a thread without record is while what was left of it is removed: nobody may begin it meanwhile."""

    def delete_with(self, remove: Callable[[str], Awaitable[object]]) -> None:
        """Have ``remove`` called for each thread that is deleted, before its record is."""
        self._removers.append(remove)

    def check_owners(self, *, production: bool) -> None:
        """Check, where clients are authenticated, that owners are kept as long as conversations are.

        Raises:
            ConfigurationError: In production, a provider's conversations outlive a store in memory.
        """
        self._guards = True
        outliving = [provider.name for provider in self._providers() if provider.keeps_threads_elsewhere]
        if self._store.durable or not outliving:
            return
        text = (
            f"Conversations of {', '.join(outliving)} outlive the owners of threads, which the store keeps in memory:"
            " after a restart their owners would be unknown. Use a durable store (sqlite, redis or postgresql)."
        )
        if production:
            raise ConfigurationError(text)
        log.warning("threads_outlive_their_owners", providers=outliving, reason=text)

    def start(self) -> None:
        """Begin to remove what is forgotten, if the store forgets."""
        if self._store.ttl is not None or not self._store.durable:
            self._sweeper.start()

    async def stop(self) -> None:
        """End what ``start`` began."""
        await self._sweeper.stop()

    async def open(self, thread_id: str, identity: str | None, agent_name: str | None = None) -> ThreadInfo:
        """Admit somebody to a thread, which is created if need be.

        Args:
            thread_id: The thread, in any spelling.
            identity: The caller; None for the application itself, or where nobody is authenticated.
            agent_name: The agent that is to work on it, if one is.

        Returns:
            The thread's record, with the spelling of its id that everything is kept under.

        Raises:
            ThreadNotFoundError: The thread is somebody else's. A conversation without a record is nobody's.
            StoreError: The store does not answer, or cannot keep such a name.
        """
        # The application itself may have any thread, so that one operation of the store is enough, most often.
        opened = await self._store.open_thread(thread_id, agent_name=agent_name) if identity is None else None
        if opened is None or opened.is_leaving:
            await self._make_way(thread_id, identity)
            opened = await self._store.open_thread(thread_id, owner=identity, agent_name=agent_name)
        if opened is None or opened.is_leaving:
            raise ThreadNotFoundError
        return opened

    async def confirm(self, thread_id: str, identity: str | None, agent_name: str | None) -> None:
        """Check that a thread that was opened is still the caller's, once the run has the right to it.

        It may have been removed since, and be another's by now. Whoever removes it from now on sees that it is the
        agent's to work on, and waits for the right to it.

        Args:
            thread_id: The thread, as it is kept.
            identity: The caller; the application itself, None, may have any thread.
            agent_name: The agent that is about to work on it.

        Raises:
            ThreadNotFoundError: It is not.
        """
        if identity is None:
            return
        record = await self._store.thread(thread_id)
        is_listed = agent_name is None or not self._store.keeps_records or (record and agent_name in record.agents)
        if record is None or record.is_leaving or record.owner != identity or not is_listed:
            raise ThreadNotFoundError

    async def read(self, thread_id: str, identity: str | None, read: Callable[[str], Awaitable[T]]) -> T:
        """Read something of a thread for somebody, who gets it if the thread is theirs all the while.

        Args:
            thread_id: The thread, in any spelling.
            identity: The caller; None for the application itself, or where nobody is authenticated.
            read: Reads it, given the spelling of the thread's id that everything is kept under.

        Raises:
            ThreadNotFoundError: The thread is not the caller's, or was removed meanwhile, and is perhaps another's.
        """
        record = await self._find(thread_id, identity)
        found = await read(thread_id if record is None else record.thread_id)
        if identity is not None:
            again = await self._find(thread_id, identity)
            if record is None or again is None or again.created_at != record.created_at:
                raise ThreadNotFoundError
        return found

    @asynccontextmanager
    async def kept(self, opened: ThreadInfo, identity: str | None) -> AsyncGenerator[None]:
        """Keep a thread that somebody has opened from being removed in the block.

        Raises:
            ThreadNotFoundError: It was removed since.
            ThreadBusyError: It is being removed, and that does not come to an end.
        """
        async with self._removal(opened.thread_id):
            await self._find(opened.thread_id, identity)
            yield

    async def _make_way(self, thread_id: str, identity: str | None) -> None:
        """Remove what is left of a thread whose time is over, before somebody opens it.

        Raises:
            ThreadNotFoundError: There is a conversation, which is nobody's.
            ThreadBusyError: Somebody else is removing it, and does not come to an end.
            TryLaterError: Who may remember what is to be removed is away.
        """
        record = await self._store.thread(thread_id)
        if record is not None and record.is_leaving:
            await self._remove_leaving(record, wait=STOP_SECONDS)
            record = await self._store.thread(thread_id)
        if record is None and identity is not None and await self._is_kept_elsewhere(thread_id):
            log.warning("thread_without_owner", identity=identity)
            raise ThreadNotFoundError

    async def find(self, thread_id: str, identity: str | None) -> str:
        """Look a thread up for somebody.

        Args:
            thread_id: The thread, in any spelling.
            identity: The caller; None for the application itself, or where nobody is authenticated.

        Returns:
            The spelling of the thread's id that everything is kept under.

        Raises:
            ThreadNotFoundError: It is somebody else's or nobody's, its time is over, or it does not exist.
        """
        record = await self._find(thread_id, identity)
        return thread_id if record is None else record.thread_id

    async def _find(self, thread_id: str, identity: str | None, *, removing: bool = False) -> ThreadInfo | None:
        """Return a thread's record; None if there is none, for the application. ``removing``: also of one half removed.

        Raises:
            ThreadNotFoundError: It is somebody else's or nobody's, its time is over, or it does not exist.
        """
        try:
            record = await self._store.thread(thread_id)
        except StoreKeyError as error:
            raise ThreadNotFoundError from error
        if record is None and identity is None:
            return None
        if record is None or identity not in (None, record.owner):
            raise ThreadNotFoundError
        if record.expired if removing else record.is_leaving:
            raise ThreadNotFoundError
        return record

    async def renew(self, run: Turn) -> bool:
        """Record that a run has written to its thread; returns whether the thread is still the run's.

        If it is not, for it was deleted or its time ran out meanwhile, what the run left with providers is removed.
        """
        thread_id, identity = run.input.thread_id, run.context.identity
        record = await self._store.thread(thread_id)
        if record is None and not self._store.keeps_records:
            return True
        if record is None or record.expired:
            await self._remove_leftovers(thread_id)
            return False
        if record.removing or identity not in (None, record.owner):
            return False
        if self._store.ttl is None:
            return True
        opened = await self._store.open_thread(thread_id, owner=identity)
        return opened is not None and not opened.is_leaving

    async def info(self, thread_id: str, identity: str | None = None) -> ThreadInfo | None:
        """Look a thread's record up; None if it does not exist, or is not ``identity``'s."""
        record = await self._store.thread(thread_id)
        if record is None or record.is_leaving or identity not in (None, record.owner):
            return None
        return record

    async def page(self, *, owner: str | None = None, limit: int = 50, cursor: str | None = None) -> ThreadPage:
        """List threads, last written first."""
        return await self._store.threads(owner=owner, limit=limit, cursor=cursor)

    async def is_gone(self, thread_id: str) -> bool:
        """Return whether a store that keeps records of threads has none of this one, or one whose time is over."""
        return self._store.keeps_records and await self.info(thread_id) is None

    async def rename(self, thread_id: str, name: str | None, *, identity: str | None = None) -> None:
        """Name a thread.

        Raises:
            ThreadNotFoundError: The thread does not exist, or is not ``identity``'s.
            StoreError: The store keeps no names.
        """
        if not await self._store.rename_thread(await self.find(thread_id, identity), name, owner=identity):
            raise ThreadNotFoundError

    async def name_once(self, opened: ThreadInfo, name: str) -> None:
        """Name a thread that had no name when it was opened; a store that fails leaves it without one."""
        if opened.name is not None:
            return
        try:
            await self._store.rename_thread(opened.thread_id, name, owner=opened.owner)
        except CopilotKitError as error:
            log.warning("thread_not_named", thread_id=opened.thread_id, reason=error.message)

    async def archive(self, thread_id: str, archived: bool = True, *, identity: str | None = None) -> None:
        """Put a thread into the archive, or take it out.

        Raises:
            ThreadNotFoundError: The thread does not exist, or is not ``identity``'s.
            StoreError: The store has no archive.
        """
        if not await self._store.archive_thread(await self.find(thread_id, identity), archived, owner=identity):
            raise ThreadNotFoundError

    async def delete(self, thread_id: str, *, identity: str | None = None) -> bool:
        """Delete a thread with every trace of it: states, checkpoints, logs, locks, conversations of providers.

        Runs that go on in it are stopped first. The record goes last, so that a deletion that failed half-way can be
        repeated, and hands nothing to anybody else.

        Returns:
            Whether there was a record.

        Raises:
            ThreadNotFoundError: The thread is not ``identity``'s.
            ThreadBusyError: A run in it did not stop.
            TryLaterError: Who may remember something of it is away.
        """
        record = await self._find(thread_id, identity, removing=True)
        await self._check_present(_agents_of(record) or [None])
        spelling = thread_id if record is None else record.thread_id
        await self._stop_runs(spelling)
        async with self._right_to_remove(spelling, record, STOP_SECONDS) as locks:
            await self._remove_for_good(spelling, await self._find(spelling, identity, removing=True), locks)
        return record is not None

    async def delete_of(self, owner: str) -> int:
        """Delete all threads of an owner, and what agents remember of them; returns how many threads there were.

        Raises:
            MisuseError: The owner is empty.
            ThreadBusyError: A run in one of them did not stop.
            TryLaterError: Who may remember something of them is away.
        """
        if not owner:
            raise MisuseError("Whose threads are to be deleted?")
        await self._check_present([None])
        deleted = 0
        while page := (await self._store.threads(owner=owner, limit=_PAGE)).threads:
            for thread in page:
                with suppress(ThreadNotFoundError):  # it was removed meanwhile, and may be another's
                    await self.delete(thread.thread_id, identity=owner)
            deleted += len(page)
        for provider in self._providers():
            await provider.delete_owner(owner)
        return deleted

    async def compact(self) -> int:
        """Let go of what no later run needs, in all threads in which none goes on; returns how many these were."""
        await self.sweep()
        compacted, cursor = 0, None
        while True:
            page = await self._store.threads(limit=_PAGE, cursor=cursor)
            for thread in page.threads:
                compacted += await self._compact(thread)
            cursor = page.cursor
            if cursor is None:
                break
        await self._store.compact()
        return compacted

    async def _compact(self, thread: ThreadInfo) -> bool:
        try:
            async with self._locked(thread.thread_id, thread.agents, wait=0.0):
                for provider in self._providers():
                    await provider.compact_thread(thread.thread_id)
        except ThreadBusyError:
            return False
        return True

    async def assign(self, thread_id: str, owner: str) -> None:
        """Make somebody the owner of a thread that has none, with all that is kept under it.

        Raises:
            ThreadNotFoundError: It is somebody else's.
        """
        if not await self._store.claim(thread_id, owner):
            raise ThreadNotFoundError

    async def sweep(self) -> None:
        """Remove what is forgotten; keep the threads in which runs go on, and those whose agents are away."""
        for run in list(self._runs()):
            if self._store.ttl is not None:
                await self._store.open_thread(run.input.thread_id, owner=run.context.identity)
        busy = {run.input.thread_id for run in self._runs()}
        for thread_id in await self._store.expired_threads():
            record = await self._store.thread(thread_id) if thread_id not in busy else None
            if record is not None:
                with suppress(ThreadBusyError, TryLaterError):
                    await self._remove_leaving(record)

    async def _remove_leaving(self, found: ThreadInfo, *, wait: float = 0.0) -> None:
        """Remove a thread whose time is over, or whose removal came to no end; not one that was opened anew meanwhile.

        Raises:
            ThreadBusyError: Somebody else is removing it, or works on it, and was not done after ``wait`` seconds.
            TryLaterError: Who may remember something of it is away.
        """
        async with self._right_to_remove(found.thread_id, found, wait) as locks:
            record = await self._store.thread(found.thread_id)
            if record is not None and record.is_leaving:
                await self._check_present(_agents_of(record) or [None])
                await self._remove_for_good(record.thread_id, record, locks)

    async def _remove_leftovers(self, thread_id: str) -> None:
        """Remove what a run left in a thread that is gone, unless the thread was opened anew since that was seen."""
        async with self._removal(thread_id):
            record = await self._store.thread(thread_id)
            if record is None and self._guards:
                record = await self._store.open_thread(thread_id, owner=self._remover)
                if record is None or record.owner != self._remover:
                    return
            if record is None or record.expired or record.owner == self._remover:
                await self._remove(thread_id)

    @asynccontextmanager
    async def _right_to_remove(
        self, thread_id: str, record: ThreadInfo | None, wait: float
    ) -> AsyncGenerator[AsyncExitStack]:
        """Hold the locks of a thread's agents, and the one of those who remove it."""
        async with self._locked(thread_id, _agents_of(record), wait=wait) as locks:
            await locks.enter_async_context(self._removal(thread_id, wait=wait))
            yield locks

    async def _remove_for_good(self, thread_id: str, record: ThreadInfo | None, locks: AsyncExitStack) -> None:
        """Let nobody begin anything in a thread any more, wait for those who have begun meanwhile, and remove it.

        Args:
            thread_id: The thread.
            record: Its record, as it was found with the right to remove it.
            locks: The locks that are held.

        Raises:
            ThreadBusyError: A run in it did not stop; the removal goes on when somebody opens the thread.
        """
        if record is not None and not record.expired:
            marked = await self._store.begin_removal(thread_id)
            late = set(_agents_of(marked)) - set(_agents_of(record))
            await self._stop_runs(thread_id)
            await self._lock(locks, thread_id, late, STOP_SECONDS)
        await self._remove(thread_id)

    async def _stop_runs(self, thread_id: str) -> None:
        stopped = [run for run in self._runs() if run.input.thread_id == thread_id]
        await asyncio.gather(*(run.stop(ThreadDeletedError()) for run in stopped))

    def _removal(self, thread_id: str, *, wait: float = STOP_SECONDS) -> RunLock:
        """Return the right to remove a thread: who opens it anew is not to lose it to another's removal."""
        return self._store.lock(thread_id, REMOVAL, wait=wait)

    def _pause(self) -> float:
        ttl = self._store.ttl
        return _SLOWEST_SWEEP if ttl is None else min(max(ttl / 3, _FASTEST_SWEEP), _SLOWEST_SWEEP)

    @asynccontextmanager
    async def _locked(
        self, thread_id: str, agents: Iterable[str], *, wait: float = STOP_SECONDS
    ) -> AsyncGenerator[AsyncExitStack]:
        """Hold the locks of agents; runs that go on are asked to stop if there is time to wait for them."""
        async with AsyncExitStack() as locks:
            await self._lock(locks, thread_id, agents, wait)
            yield locks

    async def _lock(self, locks: AsyncExitStack, thread_id: str, agents: Iterable[str], wait: float) -> None:
        for agent in sorted(agents):
            lock = self._store.lock(thread_id, agent, wait=wait, interrupt=wait > 0)
            await locks.enter_async_context(lock)

    async def _remove(self, thread_id: str) -> None:
        for provider in self._providers():
            await provider.delete_thread(thread_id)
        for remove in self._removers:
            await remove(thread_id)
        if self._guards and not all(provider.deletes_threads for provider in self._providers()):
            # What an agent may still remember is handed to nobody who writes the same id.
            await self._store.disown_thread(thread_id)
        else:
            await self._store.delete_thread(thread_id)

    async def _is_kept_elsewhere(self, thread_id: str) -> bool:
        answers = await asyncio.gather(*(provider.keeps_thread(thread_id) for provider in self._providers()))
        return any(answers)


def _agents_of(record: ThreadInfo | None) -> list[str]:
    return [] if record is None else record.agents
