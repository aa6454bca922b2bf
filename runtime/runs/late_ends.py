"""Stores the ends of runs that the store could not take, once it is back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

import structlog

from .. import events
from ..errors import StoreError
from ..stores.errors import StoreUnavailableError
from ..stores.run_records import RunKey, RunOutcome
from ..sweeper import Sweeper
from .recording import Recording

LATE_SECONDS = 3600.0
"""How long an end is kept in memory."""
LATE_ENDS = 256
"""How many are: each with what its run said."""
_RETRY_SECONDS = 0.5
_LAST_TRY_SECONDS = 5.0

log = structlog.get_logger(__name__)


class _End(NamedTuple):
    """How a run ended, and until when that is to be stored."""

    status: RunOutcome
    ending: events.Event
    deadline: float


class LateEnds:
    """Keeps the ends of runs, and what they said during an outage, within bounds, until they are stored.

    Without them the run would be taken for one whose process has gone, and closed with what was stored before.
    """

    def __init__(self) -> None:
        self._late: dict[Recording, _End] = {}
        self._sweeper = Sweeper("late-ends", self._try_all, lambda: _RETRY_SECONDS, lambda: bool(self._late))

    def put_off(self, recording: Recording, status: RunOutcome, ending: events.Event) -> None:
        """Store the end of a run once the store is back."""
        self._late[recording] = _End(status, ending, monotonic() + LATE_SECONDS)
        if len(self._late) > LATE_ENDS:
            del self._late[next(iter(self._late))]
        self.go_on()

    def go_on(self) -> None:
        """Go on on the running loop, once another one has ended."""
        if self._late:
            self._sweeper.start()

    def has(self, key: RunKey) -> bool:
        """Return whether the end of a run is yet to be stored."""
        return any(recording.key == key for recording in self._late)

    async def stop(self) -> None:
        """Try to store what still waits once more, for a limited time; other processes close the rest."""
        await self._sweeper.stop()
        if self._late:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_TRY_SECONDS):
                    await self._try_all()
        self._late.clear()

    async def _try_all(self) -> None:
        for recording, (status, ending, deadline) in list(self._late.items()):
            try:
                await recording.finish(status, ending, patience=0.0)
            except StoreUnavailableError:
                if deadline > monotonic():
                    return
            except StoreError as error:
                log.warning("run_not_stored", key=recording.key, error=str(error))
            else:
                log.info("run_stored_late", key=recording.key)
            self._late.pop(recording, None)
