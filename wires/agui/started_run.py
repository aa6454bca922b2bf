"""A run whose client has started it: the client paces it, unless it reads no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ...runtime.events import Event
from ...runtime.runs.handle import RunHandle
from ...runtime.runs.log import Lagged, Push
from .joined_run import JoinedRun


class StartedRun:
    """Reads a run's log, and slows the run down to what its client can read.

    A run belongs to its thread and not to its client: one that sleeps holds it up no longer once it is let go.

    Args:
        handle: The reader's place in the log.
    """

    __slots__ = ("_handle", "_joined")

    def __init__(self, handle: RunHandle) -> None:
        self._handle = handle
        self._joined: JoinedRun | None = None

    def arrival(self, push: Push | None = None) -> asyncio.Future[None]:
        """Return a future that is done once there is something to take, or the log has ended."""
        return self._handle.arrival(push) if self._joined is None else self._joined.arrival()

    def take(self) -> Sequence[Event]:
        """Return the events since the last call; none once the log has been read to its end.

        Raises:
            Lagged: The client, which was let go, has fallen behind: call ``catch_up``.
        """
        return self._handle.take() if self._joined is None else self._joined.take()

    def let_go(self) -> None:
        """Slow the run down no longer, for the client does not read."""
        if self._joined is None:
            try:
                self._joined = JoinedRun(self._handle, self._handle.reopened, self._handle.detach())
            except Lagged:
                return  # it slows nothing down

    async def catch_up(self) -> None:
        """Read the log from its beginning; ``take`` leaves out what has been taken before.

        Raises:
            Lagged: The client was never let go.
        """
        if self._joined is None:
            raise Lagged
        await self._joined.catch_up()

    def close(self) -> None:
        """Stop reading."""
        if self._joined is None:
            self._handle.close()
        else:
            self._joined.close()
