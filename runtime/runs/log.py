"""One run's events, numbered from 1, and the subscriptions that follow them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

from ..events import Event
from .compaction import PIECES, Compactor

TAIL_EVENTS = 512
"""How many of the last events are kept one by one; those before them are kept compacted."""


Push: TypeAlias = Callable[[Event], bool]
"""Takes an event where it is appended, if it can; returns whether it has."""


class Lagged(Exception):  # noqa: N818 - a condition that readers handle, not a failure
    """A reader has fallen behind what the log keeps one by one: it subscribes anew, to the compacted history."""


class LogClosedError(RuntimeError):
    """An event came after the run had ended: its provider ignored that it had been cancelled."""


class RunLog:
    """An append-only log of one run's events, with any number of readers at any offset.

    Attached readers are those that somebody waits behind. The fastest of them paces the run: while it lags by
    ``bound`` events, writers wait. The others fall behind without holding anybody up, and get ``Lagged`` once the
    events that they have not read are no longer kept one by one. Without an attached reader, nobody waits.

    Args:
        bound: By how many events the fastest attached reader may lag.
    """

    __slots__ = (
        "__weakref__",
        "_bound",
        "_compactor",
        "_cut",
        "_free_until",
        "_full_at",
        "_readers",
        "_tail",
        "closed",
        "last",
        "loop",
        "room",
        "waiting",
    )

    def __init__(self, bound: int) -> None:
        self.last = 0
        """The number of the last event."""
        self.closed = False
        """Whether the last event has been written."""
        self._bound = bound
        self._compactor: Compactor | None = None  # most runs are short
        self._tail: list[Event] = []
        self._cut = 0  # the number of the last event that is compacted
        self._readers: list[Subscription] = []
        self._full_at = 2 * TAIL_EVENTS
        self._free_until = 0  # the number of the first event before which _look() is called
        self.loop = asyncio.get_running_loop()
        """The run's loop, kept because looking it up costs a system call each time."""
        self.waiting: list[Subscription] = []
        """The readers that have read all there is, and wait."""
        self.room: asyncio.Event | None = None
        """What writers wait for, if they do."""

    def restore(self, history: Sequence[Event], last: int) -> None:
        """Begin with what another process wrote.

        Args:
            history: Its events, of which the first may be compacted.
            last: The number of the last one.
        """
        self.last = last
        if len(history) == last:
            self._tail = list(history)
        else:
            self._compactor = Compactor()
            self._compactor.add_all(history)
            self._cut = last
        self._full_at = self._cut + 2 * TAIL_EVENTS
        while self.last >= self._full_at:
            self._compact()

    def append_nowait(self, event: Event) -> bool:
        """Append an event unless the readers lag too far behind; return whether it was appended.

        Raises:
            LogClosedError: The log has ended.
        """
        # Written out, and not in calls of force() and takes(): each token passes here.
        if self.last >= self._free_until and not self._look():
            return False
        self._tail.append(event)
        self.last += 1
        waiting = self.waiting
        if len(waiting) == 1:
            # A run with one reader; as Subscription.takes().
            reader = waiting[0]
            if reader.push is not None and reader.push(event):
                reader.offset += 1
            else:
                self.waiting = []
                reader.wake()
        elif waiting:
            self.waiting = [reader for reader in waiting if reader.takes(event)]
        return True

    def _look(self) -> bool:
        """Do what is not to do for every event; return whether the next one may be appended.

        Raises:
            LogClosedError: The log has ended.
        """
        if self.closed:
            raise LogClosedError
        if self.last >= self._full_at:
            self._compact()
        offsets = [reader.offset for reader in self._readers if reader.attached]
        full_at = self._full_at
        self._free_until = min(full_at, max(offsets) + self._bound) if offsets else full_at
        if self.last >= self._free_until:
            return False
        # Those whom events are pushed to are woken too, so that a provider which never waits gives others a turn.
        self._wake_readers()
        return True

    async def append(self, event: Event) -> int:
        """Append an event when a reader has made room for it; return its number.

        Raises:
            LogClosedError: The log has ended.
        """
        while not self.append_nowait(event):
            if self.room is None:
                self.room = asyncio.Event()
            await self.room.wait()
        return self.last

    def force(self, event: Event) -> None:
        """Append an event at once, whatever readers lag: for the few that begin or end a run."""
        self._tail.append(event)
        self.last += 1
        if self.last >= self._full_at:
            self._compact()
        self._wake_readers()

    def close(self) -> None:
        """End the log: no event will follow."""
        self.closed = True
        self._free_until = 0
        self._wake_readers()

    def subscribe(self, after: int = 0, *, attached: bool = True) -> Subscription:
        """Follow the log from behind event ``after``: what is there already, then what comes.

        Args:
            after: The number of the last event that the reader has; 0 for all, of which the first may come compacted.
            attached: Whether the reader may slow the run down.

        Raises:
            Lagged: What follows ``after`` is no longer kept one by one.
        """
        if 0 < after < self._cut:
            raise Lagged
        reader = Subscription(self, min(after, self.last), attached=attached)
        self._readers.append(reader)
        self.pace_changed()
        return reader

    def since(self, after: int) -> list[Event]:
        """Return the events behind the number ``after``, for those who look from time to time and wait for nothing.

        Raises:
            Lagged: They are no longer kept one by one.
        """
        if after < self._cut:
            raise Lagged
        return self._tail[after - self._cut :]

    def everything(self) -> list[Event]:
        """Return all events, of which the first may come compacted."""
        return [*self._compactor.compacted(), *self._tail] if self._compactor is not None else list(self._tail)

    @property
    def pieces(self) -> int:
        """How many pieces of texts and of arguments have come, which are not tokens: one may hold several."""
        compacted = 0 if self._compactor is None else self._compactor.pieces
        return compacted + sum(type(event) in PIECES for event in self._tail)

    def until(self, offset: int) -> list[Event]:
        """Return the events up to a number, of which the first may come compacted.

        Raises:
            Lagged: Those behind it are no longer kept one by one.
        """
        if offset < self._cut:
            raise Lagged
        whole = self.everything()
        return whole[: len(whole) - (self.last - offset)]

    def remove(self, reader: Subscription) -> None:
        """Forget a reader."""
        if reader in self.waiting:
            self.waiting.remove(reader)
        if reader in self._readers:
            self._readers.remove(reader)
            self.pace_changed()

    def behind(self, offset: int) -> Sequence[Event]:
        """Return the events behind one; all of them, the first part compacted, for 0.

        Raises:
            Lagged: They are no longer kept one by one.
        """
        return self.since(offset) if offset or not self._cut else self.everything()

    def _wake_readers(self) -> None:
        waiting, self.waiting = self.waiting, []
        for reader in waiting:
            reader.wake()

    def _compact(self) -> None:
        if self._compactor is None:
            self._compactor = Compactor()
        self._compactor.add_all(self._tail[:TAIL_EVENTS])
        del self._tail[:TAIL_EVENTS]
        self._cut += TAIL_EVENTS
        self._full_at = self._cut + 2 * TAIL_EVENTS

    def pace_changed(self) -> None:
        """Look anew at who may slow the run down."""
        self._free_until = 0
        self.make_room()

    def make_room(self) -> None:
        """Let writers go on, if the readers now lag less."""
        if self.room is not None:
            self.room.set()
            self.room = None


class Subscription:
    """One reader's place in a run's log."""

    __slots__ = ("_log", "_waiting", "attached", "offset", "push")

    def __init__(self, log: RunLog, offset: int, *, attached: bool) -> None:
        self.offset = offset
        """The number of the last event taken."""
        self.attached = attached
        self.push: Push | None = None
        """Takes events where they are appended, while the reader waits."""
        self._waiting: asyncio.Future[None] | None = None
        self._log = log

    def arrival(self, push: Push | None = None) -> asyncio.Future[None]:
        """Return a future that is done once there is something to take, or the log has ended.

        For one reader, who calls it again after each ``take``.

        Args:
            push: Called with each event that comes meanwhile, where it is appended. If it returns True, it has taken
                the event, and the reader waits on; it must neither raise nor take long.
        """
        log = self._log
        if self in log.waiting:
            log.waiting.remove(self)
        waiting = self._waiting = log.loop.create_future()
        if log.last > self.offset or log.closed:
            waiting.set_result(None)
        else:
            self.push = push
            log.waiting.append(self)
        return waiting

    def takes(self, event: Event) -> bool:
        """Offer the next event to a waiting reader; wake it and return False if it does not take it at once."""
        if self.push is not None and self.push(event):
            self.offset += 1
            return True
        self.wake()
        return False

    def wake(self) -> None:
        """Let a waiting reader look at the log."""
        self.push = None  # it knows what is written, and that knows this reader
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def take(self) -> Sequence[Event]:
        """Return the events since the last call; none, after an arrival, once the log has been read to its end.

        The first of them come compacted if they are all events of the log, and not few.

        Raises:
            Lagged: The reader has fallen behind: what follows is no longer kept one by one.
        """
        log, offset = self._log, self.offset
        batch = log.behind(offset)
        self.offset = log.last
        if log.room is not None:
            log.make_room()
        return batch

    async def read(self) -> Sequence[Event]:
        """Wait for events and take them: at least one; none once the log has been read to its end."""
        await self.arrival()
        return self.take()

    def detach(self) -> list[Event]:
        """Slow the run down no longer; return the events that have been taken, the first of them compacted.

        Raises:
            Lagged: The reader has fallen behind a faster one, and slows nothing down.
        """
        taken = self._log.until(self.offset)
        self.attached = False
        self._log.pace_changed()
        return taken

    def close(self) -> None:
        """Stop reading, and stop slowing the run down."""
        self._log.remove(self)
        self.wake()
