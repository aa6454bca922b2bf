"""A run that a client has joined: it holds nobody up, and a client that falls behind gets the rest compacted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from ...runtime import events
from ...runtime.runs.catch_up import ReadEvents
from ...runtime.runs.handle import RunHandle
from ...runtime.runs.log import Push

Reopen: TypeAlias = Callable[[], Awaitable[RunHandle]]


class JoinedRun:
    """Reads a run's log without slowing the run down.

    Args:
        handle: The reader's place in the log.
        reopen: Reads the log from its beginning.
        taken: What has been taken of it.
    """

    def __init__(self, handle: RunHandle, reopen: Reopen, taken: Sequence[events.Event] = ()) -> None:
        self._handle = handle
        self._reopen = reopen
        self._ledger = ReadEvents()
        self._ledger.note(taken)
        self._behind = False

    def arrival(self, push: Push | None = None) -> asyncio.Future[None]:
        """Return a future that is done once there is something to take, or the log has ended."""
        return self._handle.arrival()

    def take(self) -> Sequence[events.Event]:
        """Return the events since the last call; none once the log has been read to its end.

        Raises:
            Lagged: The reader has fallen behind: call ``catch_up``.
        """
        batch = self._handle.take()
        if self._behind:
            self._behind = False
            batch = list(self._ledger.rest_of(batch))
        self._ledger.note(batch)
        return batch

    async def catch_up(self) -> None:
        """Read the log from its beginning; ``take`` leaves out what has been taken before."""
        self.close()
        self._handle = await self._reopen()
        self._behind = True

    def close(self) -> None:
        """Stop reading."""
        self._handle.close()
