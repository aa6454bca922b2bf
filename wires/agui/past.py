"""What a client that connects gets: the runs of a thread that have ended, and the one that goes on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from functools import partial

import msgspec

from ...runtime.events import Event
from ...runtime.runs.archive import brought_messages
from ...runtime.runs.handle import RunHandle
from ...runtime.runs.remote import RemoteRun
from ...runtime.runs.run import RunStatus
from ...runtime.service import RuntimeService
from ...runtime.stores.interface import AgentState
from ...runtime.stores.run_records import RunRecord
from .agents import Agent
from .gate import Gate, GateOptions
from .history import Events, ThreadHistory, brought_by
from .joined_run import JoinedRun, Reopen
from .replay import started_input


class Past:
    """A thread's past for one client. Make one with ``Histories.open``.

    Args:
        history: Reads the runs.
        records: Those that have ended, oldest first.
        kept: What the agent remembers.
        running: The run that goes on, if one does, and its record, if it has one yet.
        options: What clients get of the run that goes on.
        thread_id: The thread, as the client writes it.
        reopen: Reads the run that goes on from its beginning.
    """

    def __init__(
        self,
        history: ThreadHistory,
        records: Sequence[RunRecord],
        kept: AgentState,
        running: tuple[RunHandle, RunRecord | None] | None,
        options: GateOptions,
        thread_id: str,
        reopen: Reopen,
    ) -> None:
        self.running = None if running is None else JoinedRun(running[0], reopen)
        self.run = running[0] if running is not None else None
        """The run that goes on, as others see it, or None."""
        self._record = running[1] if running is not None else None
        self._history = history
        self._records = records
        self._kept = kept
        self._options = options
        self._thread_id = thread_id

    def replay(self) -> AsyncGenerator[Events]:
        """Yield the events of what has ended."""
        # What an agent remembers while it works is not what it will remember.
        return self._history.replay(self._records, AgentState() if self.running is not None else self._kept)

    def gate(self) -> Gate:
        """Return what the events of the run that goes on pass, once the past has been written."""
        run = self.run
        if run is None:
            raise RuntimeError("no run goes on")
        brought = brought_by(self._record) if self._record is not None else brought_messages(run.messages)
        brought = self._history.new_of(brought)
        known = {*self._history.seen, *(message.id for message in brought)}
        started = started_input(self._thread_id, run.run_id, brought)
        return Gate(self._thread_id, run.run_id, self._options, known=known, started=started)

    def close(self) -> None:
        """Stop reading the run that goes on."""
        if self.running is not None:
            self.running.close()


class Histories:
    """Opens the past of threads.

    Args:
        service: Keeps them.
    """

    def __init__(self, service: RuntimeService) -> None:
        self._service = service

    async def open(self, agent: Agent, thread_id: str, identity: str | None, options: GateOptions) -> Past:
        """Find what there is of a thread.

        Raises:
            ThreadNotFoundError: The thread is not there, or not the caller's.
        """
        spelling = await self._service.threads.find(thread_id, identity)
        running, records = await self._running(spelling), await self._service.archive.runs(spelling)
        if running is not None and _has_ended(running, records):
            # Once it is stored, it is one of the others.
            await running.join()
            running.close()
            running, records = None, await self._service.archive.runs(spelling)
        ended = [record for record in records if record.status != "running" or running is None]
        open_record = next((record for record in records if record.status == "running"), None)
        history = ThreadHistory(
            self._service.archive, msgspec.structs.replace(options, history=True), thread_id, agent.key
        )
        return Past(
            history,
            ended,
            await self._remembered(agent, spelling),
            None if running is None else (running, open_record),
            options,
            thread_id,
            partial(self._reopen, spelling),
        )

    async def _reopen(self, spelling: str) -> RunHandle | Sequence[Event]:
        running = await self._running(spelling)
        if running is not None:
            return running
        records = await self._service.archive.runs(spelling)
        return await self._service.archive.history(records[-1]) if records else ()

    async def _running(self, spelling: str) -> RunHandle | None:
        return await self._service.attach(spelling, paces=False)

    async def _remembered(self, agent: Agent, spelling: str) -> AgentState:
        """Return what an agent remembers of a thread: it may be more than the runs that are kept."""
        if agent.name is None:
            return AgentState()
        return await agent.provider.load_state(spelling, agent.name) or AgentState()


def _has_ended(running: RunHandle, records: Sequence[RunRecord]) -> bool:
    """Whether a run ended between being found and the listing of what is kept."""
    run = running.run
    if isinstance(run, RemoteRun):
        return any(record.number == run.record.number and record.status != "running" for record in records)
    return run.status is not RunStatus.RUNNING
