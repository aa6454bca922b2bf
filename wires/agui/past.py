"""What a client that connects gets: the runs of a thread that have ended, and those that go on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from operator import itemgetter
from sys import maxsize
from typing import NamedTuple

import msgspec

from ...runtime.messages import Message
from ...runtime.runs.about import ANSWERS, brought_by
from ...runtime.runs.archive import brought_messages
from ...runtime.runs.handle import RunHandle
from ...runtime.runs.run import RunStatus
from ...runtime.runs.taken_back import Attempt, ended_attempt, without_taken_back
from ...runtime.service import RuntimeService
from ...runtime.stores.interface import AgentState
from ...runtime.stores.run_records import RunRecord
from ..http.refusal import Refusal
from .agent_memory import remembered
from .agents import Agent
from .gate import Gate, GateOptions
from .history import Events, ThreadHistory
from .joined_run import JoinedRun
from .replay import started_input

_NOT_REMEMBERED = "The agent's memory of this conversation cannot be read now. Please try again."
_MORE_LOOKS = 3
"""How often a thread is looked at again in which runs begin or end just now."""


class GoingOn(NamedTuple):
    """A run that goes on, its record, if it has one yet, and where the client reads it."""

    handle: RunHandle
    record: RunRecord | None
    source: JoinedRun


class Past:
    """What one client has not got of a thread.

    Args:
        service: Keeps the thread.
        agent: The agent that the client sees.
        thread_id: The thread, as the client writes it.
        identity: The caller.
        options: What clients get.
        stays: Whether later runs will follow in the same stream.
    """

    def __init__(
        self,
        service: RuntimeService,
        agent: Agent,
        thread_id: str,
        identity: str | None,
        options: GateOptions,
        *,
        stays: bool = False,
    ) -> None:
        self.thread_id = thread_id
        """The thread, as it is kept once it has been found."""
        self.last: int | None = None
        """The number of the thread's last run that was found, 0 for none; None while the thread does not exist."""
        self.running: Sequence[GoingOn] = ()
        """The runs that go on, oldest first."""
        self._service = service
        self._agent = agent
        self._asked = thread_id
        self._identity = identity
        self._options = options
        self._in_history = msgspec.structs.replace(options, history=True)
        self._stays = stays
        self._history = ThreadHistory(service.archive, self._in_history, thread_id, agent.key)
        self._ended: Sequence[RunRecord] = ()
        self._kept = AgentState()
        self._got: set[int] = set()

    @property
    def is_empty(self) -> bool:
        """Whether the client has got all that was found."""
        return not self._ended and not self.running

    async def load(self) -> None:
        """Find what there is of the thread that the client has not got.

        Raises:
            ThreadNotFoundError: The thread is not there, or not the caller's.
            Refusal: Only its agent could show it, and cannot now.
        """
        first, self.last = self.last is None, None
        self.close()
        try:
            await self._service.threads.read(self._asked, self._identity, lambda id_: self._read(id_, first=first))
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        """Leave nothing of what was found: it may be another's."""
        self.close()
        self.running, self._ended, self._kept, self.last = (), (), AgentState(), None

    async def _read(self, thread_id: str, *, first: bool) -> None:
        self.thread_id = thread_id
        handles, records = await self._found()
        self.running = [self._going_on(handle, records) for handle in handles]
        self._got &= {record.number for record in records}
        followed = self._got | {handle.number for handle in handles}
        self._ended = [record for record in records if record.number not in followed and record.status != "running"]
        self._got.update(record.number for record in self._ended)
        await self._leave_out_what_is_taken_back()
        # What an agent remembers while it works is not what it will remember.
        self._kept = await self._remembered(records) if first and not handles else AgentState()
        self.last = max((record.number for record in records if record.status != "running"), default=0)

    def replay(self) -> AsyncGenerator[Events]:
        """Yield the events of what has ended."""
        return self._history.replay(self._ended, self._kept)

    def gate(self, run: GoingOn) -> Gate:
        """Return what the events of a run that goes on pass, once what came before it has been written."""
        handle = run.handle
        brought = self._history.new_of(_brought(run))
        self._history.seen.update(message.id for message in brought)
        started = started_input(self._asked, handle.run_id, brought)
        # To older clients, nothing may follow a failure.
        options = self._in_history if self._stays or run is not self.running[-1] else self._options
        return Gate(
            self._asked,
            handle.run_id,
            options,
            known=self._history.seen,
            answered=self._history.answers,
            started=started,
        )

    def followed(self, run: GoingOn, gate: Gate) -> None:
        """Take note that the client has got a run to its end."""
        self._history.seen.update(gate.sent_ids)
        if run.handle.number is not None:
            self._got.add(run.handle.number)

    def close(self) -> None:
        """Stop reading the runs that go on."""
        for run in self.running:
            run.source.close()

    async def _found(self) -> tuple[Sequence[RunHandle], Sequence[RunRecord]]:
        """Return the runs that go on, and what is kept of all."""
        handles, records = await self._looked()
        for _ in range(_MORE_LOOKS):
            if not _has_missed(handles, records):
                break
            for handle in handles:
                handle.close()
            handles, records = await self._looked()
        for handle in handles:
            if handle.status is not RunStatus.RUNNING:
                await handle.join()  # it has its number now, under which it may be among the records
        return handles, records

    async def _looked(self) -> tuple[Sequence[RunHandle], Sequence[RunRecord]]:
        handles = await self._service.readers.attach_all(self.thread_id)
        return handles, await self._service.archive.runs(self.thread_id)

    async def _leave_out_what_is_taken_back(self) -> None:
        attempts: list[tuple[int, Attempt[RunRecord | GoingOn]]] = [
            *((record.number, ended_attempt(record)) for record in self._ended),
            *((run.handle.number or maxsize, _attempt(run)) for run in self.running),
        ]
        in_order = [attempt for _, attempt in sorted(attempts, key=itemgetter(0))]
        current = await without_taken_back(in_order, self._service.archive)
        self._ended = [run for run in current if isinstance(run, RunRecord)]
        for run in self.running:
            if run not in current:
                run.source.close()
                self._got.update([] if run.handle.number is None else [run.handle.number])
        self.running = [run for run in current if isinstance(run, GoingOn)]

    def _going_on(self, handle: RunHandle, records: Sequence[RunRecord]) -> GoingOn:
        record = next((record for record in records if record.number == handle.number), None)
        return GoingOn(handle, record, JoinedRun(handle, handle.reopened))

    async def _remembered(self, records: Sequence[RunRecord]) -> AgentState:
        """Return what the agent remembers of the thread: it may be more than the runs that are kept."""
        kept = await remembered(self._agent, self.thread_id)
        if kept is None and not records and await self._service.threads.info(self.thread_id, self._identity):
            raise Refusal(_NOT_REMEMBERED, 503, code="unavailable")
        return kept or AgentState()


def _has_missed(handles: Sequence[RunHandle], records: Sequence[RunRecord]) -> bool:
    """Return whether a run goes on by its record that is not followed: it has just begun, and may end at once."""
    followed = {handle.number for handle in handles}
    return any(record.status == "running" and record.number not in followed for record in records)


def _answers(run: GoingOn) -> bool:
    """Return whether a run that goes on was to answer the questions of the one before it."""
    kept = run.record.about.get(ANSWERS) if run.record is not None else None
    return bool(run.handle.run.input.resume) if kept is None else bool(kept)


def _attempt(run: GoingOn) -> Attempt[RunRecord | GoingOn]:
    return Attempt(run, _brought(run), _answers(run), run.record)


def _brought(run: GoingOn) -> list[Message]:
    """Return the messages that came with a run that goes on."""
    return brought_by(run.record.about) if run.record is not None else brought_messages(run.handle.messages)
