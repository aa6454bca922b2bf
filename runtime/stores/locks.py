"""The right to run an agent on a thread: a queue of tickets, each kept alive by its holder's heartbeat.

A ticket is a row in the store. The oldest one that has not run out holds the lock, so that runs are served
in the order they came, over all processes, and a holder that died makes room when its lease ends. Whoever takes a
ticket drops those that ran out; a holder that was only paused finds its own as long as nobody has come for the thread.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import NamedTuple, Self
from weakref import WeakValueDictionary

import structlog

from ..cancellation import end_tasks
from ..errors import StoreError, ThreadBusyError
from ..fresh_ids import fresh_hex
from ..per_loop import PerLoop
from ..signals import Signal
from .retry import retry_unavailable
from .settings import StoreSettings

_FIRST_POLL = 0.05
_SLOWEST_POLL = 0.25

log = structlog.get_logger(__name__)


class Ticket(NamedTuple):
    """A place in the queue for one agent on one thread."""

    thread_id: str
    agent_name: str
    token: str


class Standing(NamedTuple):
    """Whether a ticket is the oldest, and whether its holder was asked to stop."""

    first: bool
    stop: bool


class TicketDesk(ABC):
    """Where a store keeps tickets. Leases are in seconds, by the store's own clock."""

    @abstractmethod
    async def enter(self, ticket: Ticket, lease: float) -> Standing:
        """Take a ticket, or prolong it if it was taken before, and drop those that ran out."""

    @abstractmethod
    async def renew(self, tickets: Sequence[Ticket], lease: float) -> Mapping[str, bool | StoreError]:
        """Renew the tickets that are there, if they have run out, too; return their tokens, and whether to stop.

        Where some of many servers do not answer, their tickets are returned with the error.
        """

    @abstractmethod
    async def leave(self, ticket: Ticket) -> None:
        """Give a ticket back."""

    @abstractmethod
    async def request_stop(self, thread_id: str, agent_name: str, before: str | None) -> None:
        """Mark all tickets to be stopped, or those older than the one with the token ``before``."""


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


class RunLock:
    """The right to run an agent on a thread, from entering to leaving the context.

    ``queued`` is set when the lock has its place in the queue. ``lost`` is set when the right passed to another run,
    because the store was unreachable for longer than the lease. ``stop_requested`` is set when somebody asked this run
    to stop. Either of them calls ``on_end``.
    """

    __slots__ = ("_locks", "expires", "interrupt", "lost", "on_end", "queued", "stop_requested", "ticket", "wait")

    def __init__(self, locks: RunLocks, ticket: Ticket, wait: float | None, interrupt: bool) -> None:
        self.ticket = ticket
        self.wait = wait
        self.interrupt = interrupt
        self.queued = Signal()
        self.on_end: Callable[[], None] | None = None
        self.lost = Signal()
        self.stop_requested = Signal()
        self.expires = 0.0
        self._locks = locks

    @property
    def is_over(self) -> bool:
        """Whether another run may hold the lock by now.

        A process that was paused may look here before its heartbeat, which sets ``lost``, has had its turn.
        """
        return self.lost.is_set() or monotonic() >= self.expires

    async def confirm(self) -> bool:
        """Look in the store whether the lock is still held, or was left to nobody else, and renew it.

        Raises:
            StoreUnavailableError: The store does not answer.
        """
        return await self._locks.confirm(self)

    async def __aenter__(self) -> Self:
        await self._locks.acquire(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._locks.release(self)

    def lose(self) -> None:
        """Note that the right passed to another run."""
        self._note(self.lost)

    def request_stop(self) -> None:
        """Note that somebody asked this run to stop."""
        self._note(self.stop_requested)

    def _note(self, end: Signal) -> None:
        if end.set() and self.on_end is not None:
            self.on_end()


class RunLocks:
    """All run locks that this process holds on one store, and the one task that keeps them alive.

    Args:
        desk: Where the tickets are.
        settings: Gives the lease and the heartbeat.
    """

    def __init__(self, desk: TicketDesk, settings: StoreSettings) -> None:
        self._desk = desk
        self._settings = settings
        self._held: dict[str, RunLock] = {}
        self._keeper: asyncio.Task[None] | None = None
        self._released: WeakValueDictionary[tuple[str, str], asyncio.Event] = WeakValueDictionary()
        self._leaving = PerLoop(asyncio.Lock)
        self._hurry = asyncio.Event()

    def lock(self, thread_id: str, agent_name: str, *, wait: float | None, interrupt: bool) -> RunLock:
        """Return a lock that is not yet acquired."""
        return RunLock(self, Ticket(thread_id, agent_name, fresh_hex()), wait, interrupt)

    async def request_stop(self, thread_id: str, agent_name: str) -> None:
        """Request every holder of a ticket to stop."""
        await self._request_stop(thread_id, agent_name, None)

    async def acquire(self, lock: RunLock) -> None:
        """Queue until ``lock`` is held.

        Raises:
            ThreadBusyError: It was not to be had in ``lock.wait`` seconds, or a newer run took its place.
        """
        try:
            await self._queue(lock)
        except BaseException:
            await self._leave(lock.ticket)
            raise
        self._held[lock.ticket.token] = lock
        self._ensure_keeper()

    async def release(self, lock: RunLock) -> None:
        """Let the next in the queue have its turn. A store that is out of reach learns it from the lease."""
        if self._held.pop(lock.ticket.token, None) is not None:
            await self._leave(lock.ticket)

    async def confirm(self, lock: RunLock) -> bool:
        """Renew a lock's ticket; returns whether it was still there, so that nobody else has the lock.

        Raises:
            StoreUnavailableError: The store does not answer.
        """
        if lock.lost.is_set():
            return False
        sent_at = monotonic()
        stop = (await self._desk.renew([lock.ticket], self._settings.lease)).get(lock.ticket.token)
        if isinstance(stop, StoreError):
            raise stop
        await self._judge(lock, stop, sent_at + self._settings.lease)
        return not lock.lost.is_set()

    async def stop(self) -> None:
        """Release every lock and end the heartbeat."""
        if self._keeper is not None:
            await end_tasks(self._keeper)
        for lock in list(self._held.values()):
            lock.lose()
            await self.release(lock)

    async def _queue(self, lock: RunLock) -> None:
        poll = _FIRST_POLL
        deadline = None if lock.wait is None else monotonic() + lock.wait
        standing = await self._enter(lock)
        lock.queued.set()
        if not standing.first and lock.interrupt:
            await self._request_stop(*lock.ticket)
        while not standing.first:
            if standing.stop:
                raise ThreadBusyError("A newer run replaced this one.")
            await self._pause(lock.ticket, poll, deadline)
            poll = min(poll * 1.5, _SLOWEST_POLL)
            standing = await self._enter(lock)

    async def _enter(self, lock: RunLock) -> Standing:
        async def attempt() -> Standing:
            lock.expires = monotonic() + self._settings.lease
            return await self._desk.enter(lock.ticket, self._settings.lease)

        return await retry_unavailable(attempt, self._settings.retry_for)

    async def _request_stop(self, thread_id: str, agent_name: str, before: str | None) -> None:
        await retry_unavailable(self._desk.request_stop, self._settings.retry_for, thread_id, agent_name, before)
        self._hurry.set()

    async def _pause(self, ticket: Ticket, poll: float, deadline: float | None) -> None:
        left = poll if deadline is None else min(poll, deadline - monotonic())
        if left <= 0:
            raise ThreadBusyError("Another run of this agent is active on this thread.")
        released = self._released.setdefault(ticket[:2], asyncio.Event())
        await _wait(released, left)

    async def _leave(self, ticket: Ticket) -> None:
        try:
            async with self._leaving.here:
                await self._desk.leave(ticket)
        except StoreError as error:
            log.warning("run_lock_not_released", thread_id=ticket.thread_id, error=str(error))
        released = self._released.pop(ticket[:2], None)
        if released is not None:
            released.set()

    def _ensure_keeper(self) -> None:
        loop = asyncio.get_running_loop()
        if self._keeper is None or self._keeper.done() or self._keeper.get_loop() is not loop:
            self._hurry = asyncio.Event()
            self._keeper = loop.create_task(self._keep(), name="run-locks")

    async def _keep(self) -> None:
        try:
            while self._held:
                await _wait(self._hurry, self._settings.heartbeat)
                self._hurry.clear()
                await self._beat()
        except BaseException:
            for lock in self._held.values():
                lock.lose()
            raise

    async def _beat(self) -> None:
        held = list(self._held.values())
        sent_at = monotonic()
        try:
            stops = await self._desk.renew([lock.ticket for lock in held], self._settings.lease)
            failures = [stop for stop in stops.values() if isinstance(stop, StoreError)]
            if failures:
                log.warning("run_lock_heartbeat_failed", error=str(failures[0]), locks=len(failures))
            for lock in held:
                await self._judge(lock, stops.get(lock.ticket.token), sent_at + self._settings.lease)
        except StoreError as error:
            log.warning("run_lock_heartbeat_failed", error=str(error))
            for lock in held:
                self._lose_if_over(lock)

    async def _judge(self, lock: RunLock, stop: bool | StoreError | None, expires: float) -> None:
        if isinstance(stop, StoreError):
            self._lose_if_over(lock)
            return
        if stop is None:
            await self._regain(lock, expires)
            return
        lock.expires = expires
        if stop:
            lock.request_stop()

    def _lose_if_over(self, lock: RunLock) -> None:
        if monotonic() >= lock.expires:
            self._lose(lock)

    async def _regain(self, lock: RunLock, expires: float) -> None:
        """Take a new ticket for one that a restarted store forgot, if the lease is not over."""
        async with self._leaving.here:
            if lock.ticket.token not in self._held:
                return
            in_time = monotonic() < lock.expires
            standing = await self._desk.enter(lock.ticket, self._settings.lease) if in_time else None
        if standing is not None and standing.first:
            lock.expires = expires
        else:
            self._lose(lock)
            await self._leave(lock.ticket)

    def _lose(self, lock: RunLock) -> None:
        self._held.pop(lock.ticket.token, None)
        lock.lose()
