"""Stores the ends of runs that the store could not take, once it is back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol

import structlog

from .. import events
from ..errors import StoreError
from ..stores.errors import StoreUnavailableError
from ..stores.run_records import RunElsewhereError, RunKey, RunOutcome
from ..sweeper import Sweeper
from .backlog import Backlog
from .recording import Recording
from .turn import Turn

_RETRY_SECONDS = 0.5
_LAST_TRY_SECONDS = 5.0

log = structlog.get_logger(__name__)


class UnsavedTurns(Protocol):
    """The turns that are yet to be put into their threads."""

    def waits(self, run: Turn) -> bool:
        """Return whether the turn of a run is one of them."""

    def share(self, run: Turn, key: RunKey) -> bool:
        """Note where other processes find that a turn is unsaved; return whether it still is one of them."""


class RunEnd:
    """How a run ended.

    Args:
        recording: What is stored of the run.
        run: The run, as its turn is known by.
        status: Its status.
        ending: Its last event.
        turns: The turns that are yet to be put into their threads; None where other processes cannot do so.
    """

    def __init__(
        self, recording: Recording, run: Turn, status: RunOutcome, ending: events.Event, turns: UnsavedTurns | None
    ) -> None:
        self.recording = recording
        self._run = run
        self._status = status
        self._ending = ending
        self._turns = turns

    async def store(self, patience: float = 0.0) -> None:
        """Store it; other processes find there whether the run's turn is unsaved, should this one die.

        Args:
            patience: For how many seconds a store that is away is waited for.

        Raises:
            RunElsewhereError: Another process is about to close the run, and this one is to do it again behind it.
            StoreError: It could not be stored in time.
        """
        turns = self._turns if self._turns is not None and self._turns.waits(self._run) else None
        unsaved = turns is not None
        insists = unsaved or (self._turns is not None and self._run.provider.keeps_state)
        key = await self.recording.finish(
            self._status, self._ending, patience=patience, unsaved=unsaved, insists=insists
        )
        if turns is not None and key is not None and not turns.share(self._run, key):
            await self.recording.note_saved()


class LateEnds:
    """Keeps the ends of runs, and what they said during an outage, within bounds, until they are stored.

    Without them the run would be taken for one whose process has gone, and closed with what was stored before.
    """

    def __init__(self) -> None:
        self._late = Backlog[RunEnd](lambda end: _report_lost(end, "too much waits for the store"))
        self._sweeper = Sweeper("late-ends", self._try_all, lambda: _RETRY_SECONDS, lambda: bool(self._late))

    def put_off(self, end: RunEnd) -> None:
        """Store the end of a run once the store is back."""
        self._late.add(end, end.recording.size())
        self.go_on()

    def go_on(self) -> None:
        """Go on on the running loop, once another one has ended."""
        if self._late:
            self._sweeper.start()

    def has(self, key: RunKey) -> bool:
        """Return whether the end of a run is yet to be stored."""
        return any(end.recording.key == key for end in self._late)

    async def stop(self) -> None:
        """Try to store what still waits once more, for a limited time; other processes close the rest."""
        await self._sweeper.stop()
        if self._late:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_TRY_SECONDS):
                    await self._try_all()
        for end in self._late:
            self._late.remove(end)

    async def _try_all(self) -> None:
        for end in self._late:
            try:
                await end.store()
            except StoreUnavailableError as error:
                if self._late.has_waited_too_long(end):
                    self._give_up(end, "the store was away for too long")
                elif not isinstance(error, RunElsewhereError):
                    return
            except StoreError as error:
                self._give_up(end, str(error))
            else:
                log.info("run_stored_late", key=end.recording.key)
                self._late.remove(end)

    def _give_up(self, end: RunEnd, reason: str) -> None:
        if self._late.remove(end):
            _report_lost(end, reason)


def _report_lost(end: RunEnd, reason: str) -> None:
    log.error("run_not_stored", key=end.recording.key, error=reason)
