"""A run that a client has joined: it holds nobody up, and a client that falls behind gets the rest compacted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from ...runtime import events
from ...runtime.runs.catch_up import ReadEvents
from ...runtime.runs.handle import RunHandle
from ...runtime.runs.log import Push

Reopen: TypeAlias = Callable[[], Awaitable[RunHandle | Sequence[events.Event]]]


class JoinedRun:
    """Reads a run's log without slowing the run down.

    Args:
        handle: The reader's place in the log.
        reopen: Reads the log from its beginning: the run again, or all its events if it has ended.
    """

    def __init__(self, handle: RunHandle, reopen: Reopen) -> None:
        self._handle: RunHandle | None = handle
        self._reopen = reopen
        self._ledger = ReadEvents()
        self._behind = False
        self._rest: Sequence[events.Event] = ()

    def arrival(self, push: Push | None = None) -> asyncio.Future[None]:
        """Return a future that is done once there is something to take, or the log has ended."""
        if self._handle is not None and not self._rest:
            return self._handle.arrival()
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def take(self) -> Sequence[events.Event]:
        """Return the events since the last call; none once the log has been read to its end.

        Raises:
            Lagged: The reader has fallen behind: call ``catch_up``.
        """
        batch, self._rest = self._rest, ()
        if not batch and self._handle is not None:
            batch = self._handle.take()
        if self._behind:
            self._behind = False
            batch = list(self._ledger.rest_of(batch))
        self._ledger.note(batch)
        return batch

    async def catch_up(self) -> None:
        """Read the log from its beginning; ``take`` leaves out what has been taken before."""
        self.close()
        found = await self._reopen()
        self._behind = True
        if isinstance(found, RunHandle):
            self._handle = found
        else:
            self._handle, self._rest = None, found

    def close(self) -> None:
        """Stop reading."""
        if self._handle is not None:
            self._handle.close()
