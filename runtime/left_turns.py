"""The turns of runs whose processes have gone: another process stores them, if it has their agents."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import msgspec

from .errors import AgentNotFoundError
from .events import Event
from .registry import ProviderRegistry
from .runs.archive import RunArchive
from .runs.taken_back import ended_attempt, without_taken_back
from .runs.turn import StoredTurn, stored_turn
from .runs.turn_saver import TurnSaver
from .stores.run_records import RunRecord
from .threads import Threads


class LeftTurns:
    """Stores what runs of other processes have left in their threads.

    Args:
        threads: Know which threads are still there.
        registry: The providers of agents.
        archive: Has the events of the runs.
        turns: Stores turns.
    """

    def __init__(self, threads: Threads, registry: ProviderRegistry, archive: RunArchive, turns: TurnSaver) -> None:
        self._threads = threads
        self._registry = registry
        self._archive = archive
        self._turns = turns

    async def keep(self, record: RunRecord, history: Sequence[Event]) -> bool:
        """Store the turn of a run that this process is about to close for another one, if it has its agent.

        Returns:
            Whether nothing is left to be stored: False if another run has the thread.
        """
        turn = await self._turn_of(msgspec.structs.replace(record, status="broken"), history)
        return turn is None or await self._turns.insert(turn)

    async def adopt(self, record: RunRecord) -> None:
        """Store the turn of a run of a process that has gone as soon as its thread is free."""
        turn = await self._turn_of(record, await self._archive.history(record))
        if turn is None:
            await self._archive.note_saved(record.key)
        else:
            self._turns.adopt(turn, record.key)

    async def _turn_of(self, record: RunRecord, history: Sequence[Event]) -> StoredTurn | None:
        """Return the turn of a run of another process, if the runtime is to keep it and this process has its agent."""
        if not record.agent_name or await self._threads.is_gone(record.thread_id):
            return None
        with suppress(AgentNotFoundError):
            provider = await self._registry.owner_of(record.agent_name)
            if not provider.keeps_state and await self._counts(record):
                return await stored_turn(record, provider, history)
        return None

    async def _counts(self, record: RunRecord) -> bool:
        """Return whether no later run has answered the message of one that has ended."""
        kept = [record if each.key == record.key else each for each in await self._archive.runs(record.thread_id)]
        records = [each for each in kept if each.status != "running"]
        current = await without_taken_back([ended_attempt(each) for each in records], self._archive)
        return any(each.number == record.number for each in current)
