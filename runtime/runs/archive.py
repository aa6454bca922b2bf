"""The durable side of runs: those of this process, and those of other processes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from contextlib import suppress
from itertools import takewhile
from time import monotonic
from typing import Any, TypeAlias
from uuid import uuid4

import structlog

from .. import events
from ..context import RunInput
from ..errors import CopilotKitError, RunHandedOverError, StoreError, ThreadLostError, ThreadNotFoundError
from ..messages import AgentStateMessage, Message, ReasoningMessage, ToolCallMessage, ToolResultMessage
from ..stores.errors import NotStoredError, StoreUnavailableError
from ..stores.records import START_SECONDS
from ..stores.retry import retry_unavailable
from ..stores.run_log import RunLogStore
from ..stores.run_records import RunElsewhereError, RunKey, RunLostError, RunRecord
from .about import ANSWERS, MESSAGES, REQUEST, UNIQUE_ID, about_ended
from .closing import WAITING, close_record
from .continuation import Continuation
from .late_ends import LateEnds, RunEnd, UnsavedTurns
from .recorder import Recorder
from .recording import AWAY_SECONDS, PATIENCE_SECONDS, Recording
from .remote import TRACE, RemoteRun
from .run import Run, RunStatus

_OPEN_SECONDS = 15.0
_CLOSE_SECONDS = 5.0
_RECENT_RUNS = 20
"""Among how many of a thread's last runs those that go on are looked for."""
_BEGIN_SECONDS = 1.0
_LOOK_SECONDS = 0.1

Confirm: TypeAlias = Callable[[str, str | None, str | None], Awaitable[None]]

log = structlog.get_logger(__name__)


class RunArchive:
    """Keeps the events of runs in the store, and finds those of other processes' runs there.

    Args:
        store: Where the events of runs are kept.
        confirm: Raises ``ThreadNotFoundError`` unless a thread, given its id, the caller and the agent, is still the
            caller's; None where threads have no owners.
    """

    def __init__(self, store: RunLogStore, confirm: Confirm | None = None) -> None:
        self.store = store
        self._confirm = confirm or _is_theirs
        self.on_stop: Callable[[Run], None] = lambda _: None
        """Called with a run of this process that somebody elsewhere has asked to stop."""
        self.owner = uuid4().hex
        """This process's name in the store."""
        self._recorder = Recorder(store, self.owner)
        self._recordings: dict[Run, Recording] = {}
        self._finishing: set[Recording] = set()
        self._late = LateEnds()
        self._resumable: set[Run] = set()
        self._stops: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open the store of runs."""
        await retry_unavailable(self.store.start, min(self.store.settings.retry_for, START_SECONDS))

    async def stop(self) -> None:
        """Close the store of runs, once what was to be stopped has ended."""
        if self._stops:
            await asyncio.wait(self._stops, timeout=_CLOSE_SECONDS)
        await self._late.stop()
        await self._recorder.stop()
        await self.store.stop()

    def begin_again(self) -> None:
        """Go on on the running loop, once another one has ended."""
        self._late.go_on()

    def begin(self, run: Run, request: Mapping[str, Any] | None = None) -> None:
        """Begin to record a run, which is about to start.

        Args:
            run: The run.
            request: What another process needs to go on with it, if one may.
        """
        about = _about(run.input)
        if request is not None and self.store.shared:
            about[REQUEST] = request
        self._record(run, about, resumable=REQUEST in about)

    def go_on(self, run: Run, record: RunRecord, past: Continuation, *, resumable: bool) -> None:
        """Go on recording a run that another process began and this one has claimed.

        Args:
            run: The run.
            record: What is kept of it.
            past: What is stored of it.
            resumable: Whether a third process may go on with it.
        """
        run.follows = record.about.get(TRACE)
        self._record(run, record.about, (record, past), resumable=resumable)

    def was_handed_over(self, run: Run) -> bool:
        """Return whether this process executes a run for another one."""
        recording = self._recordings.get(run)
        return recording is not None and recording.began_elsewhere

    async def hand_over(
        self, request: RunInput, agent_name: str, about: Mapping[str, Any], seconds: float, identity: str | None
    ) -> RemoteRun:
        """Begin a run that another process is to execute.

        Until ``settle`` returns it may be forgotten, if the store's server crashes.

        Args:
            request: The run's input.
            agent_name: The agent, or "" for a model.
            about: What that process needs to know.
            seconds: For how long it waits for one.
            identity: The caller.

        Raises:
            ThreadNotFoundError: The thread was removed since it was opened.
        """
        record = await self.store.open(
            request.thread_id,
            run_id=request.run_id,
            agent_name=agent_name,
            owner=WAITING,
            about={**_about(request), **about},
            lease=seconds,
            durable=False,
        )
        try:
            await self._confirm(request.thread_id, identity, agent_name or None)
        except ThreadNotFoundError:
            await self.store.discard(record.key, WAITING)
            raise
        return RemoteRun(self.store, record, request)

    async def take(self, key: RunKey) -> RunRecord | None:
        """Take a run that waits for a process to execute it; None if it waits no longer.

        Until ``settle`` returns it may be given to another process, if the store's server crashes. Call it for one
        delivery of a run at a time.

        Raises:
            StoreError: The store does not answer; it may have been taken all the same.
        """
        try:
            record = await self.store.take(key, self.owner, WAITING)
        except StoreUnavailableError:
            record = await retry_unavailable(self._take_again, self.store.settings.retry_for, key)
        if record is not None:
            # It is delivered once more, so that the server has crashed and forgotten who took it before.
            for recording in [each for each in self._recordings.values() if each.key == key]:
                recording.lose()
        return record

    async def _take_again(self, key: RunKey) -> RunRecord | None:
        record = await self.store.take(key, self.owner, WAITING)
        if record is None and not any(each.key == key for each in self._recordings.values()):
            return await self.store.take(key, self.owner, self.owner)  # the answer was lost, and not what was done
        return record

    async def settle(self, record: RunRecord) -> None:
        """Return once a crash of the store's server does not forget a run that was handed over.

        Raises:
            RunLostError: It has been forgotten.
        """
        await retry_unavailable(self.store.settle, self.store.settings.retry_for, record)

    async def settle_taken(self, record: RunRecord) -> None:
        """Return once a crash of the store's server does not forget that this process took a run.

        Raises:
            ThreadLostError: That has been forgotten: others may have taken it.
        """
        try:
            await retry_unavailable(self.store.settle, self.store.settings.retry_for, record, self.owner)
        except RunLostError as error:
            raise ThreadLostError from error

    async def refuse(self, record: RunRecord, error: events.RunError) -> None:
        """End a run that was taken and cannot be executed."""
        await close_record(self.store, self.owner, record, "failed", error)

    def has(self, key: RunKey) -> bool:
        """Return whether a run is this process's, which executes it or has yet to store its end or hand it over."""
        return any(each.key == key for each in (*self._recordings.values(), *self._finishing)) or self._late.has(key)

    def is_resumable(self, run: Run) -> bool:
        """Return whether another process may go on with a run of this one."""
        return run in self._resumable

    def fail(self, run: Run, error: CopilotKitError) -> None:
        """End a run with an error; one that has lost its place is handed over, if another process can go on with it."""
        run.fail(RunHandedOverError() if self.is_to_go_on(run, error) else error)

    def is_to_go_on(self, run: Run, error: Exception) -> bool:
        """Return whether another process is to go on with a run that an error ends here: it has lost its place."""
        return isinstance(error, ThreadLostError) and self.is_resumable(run)

    async def finish(self, run: Run, turns: UnsavedTurns) -> None:
        """Store the end of a run, or hand it over.

        If the store does not answer in time, that is reported to the log, and the end is stored later.

        Args:
            run: The run, whose last event is known.
            turns: The turns that are yet to be put into their threads.
        """
        self._resumable.discard(run)
        recording = self._recordings.pop(run, None)
        if recording is None:
            return
        self._recorder.remove(recording)
        if run.status is RunStatus.RUNNING or run.ending is None:
            return
        self._finishing.add(recording)
        try:
            if isinstance(run.error, RunHandedOverError):
                await recording.hand_over()
            else:
                end = RunEnd(recording, run, run.status.value, run.ending, turns if self.store.shared else None)
                await self._finish(end, AWAY_SECONDS if isinstance(run.error, NotStoredError) else PATIENCE_SECONDS)
        except StoreError:
            log.exception("run_not_stored", thread_id=run.input.thread_id, run_id=run.input.run_id)
        finally:
            self._finishing.discard(recording)

    async def _finish(self, end: RunEnd, patience: float) -> None:
        try:
            await end.store(patience)
        except RunElsewhereError:
            self._late.put_off(end)
        except StoreUnavailableError:
            self._late.put_off(end)
            raise

    async def hold_unsaved(self, keys: Sequence[RunKey]) -> Set[RunKey]:
        """Return of runs those whose turns are still unsaved and this process's to store, and go on holding these.

        Raises:
            StoreUnavailableError: The store does not answer.
        """
        return set(await self.store.renew(keys, self.owner))

    async def note_saved(self, key: RunKey) -> None:
        """Note that the turn of a run is in its thread, or given up.

        Raises:
            StoreUnavailableError: The store does not answer.
        """
        await self.store.note_saved(key)

    async def leave_unsaved(self, key: RunKey) -> None:
        """Leave the turn of a run to other processes, if it is this one's.

        Raises:
            StoreUnavailableError: The store does not answer.
        """
        with suppress(RunLostError):
            await self.store.release(key, self.owner)

    async def find(self, thread_id: str) -> RemoteRun | None:
        """Return the run that goes on in a thread in another process, or None."""
        if not self.store.shared:
            return None
        running = await self._running(thread_id)
        return running[-1] if running else None

    async def find_all(self, thread_id: str) -> list[RemoteRun]:
        """Return all runs that go on in a thread as the store has them, oldest first; this process's too."""
        return await self._running(thread_id) if self.store.shared else []

    def place_of(self, run: Run) -> Callable[[], int | None]:
        """Return what returns the number of a run of this process, which goes on; None while it has none."""
        recording = self._recordings.get(run)
        return lambda: None if recording is None or recording.key is None else recording.key.number

    async def running_elsewhere(self, thread_id: str, run_id: str | None, *, wait: bool) -> list[RemoteRun]:
        """Return the runs that go on in a thread in other processes.

        Args:
            thread_id: The thread.
            run_id: Only the runs of that id; None for all.
            wait: Whether to wait a moment for a run of that id which is not there yet: it may be about to begin.
        """
        if not self.store.shared:
            return []
        running = await self._running(thread_id)
        if run_id is not None:
            if wait:
                running = await self._awaited(thread_id, run_id) or running
            running = [run for run in running if run.input.run_id == run_id]
        return running

    async def _awaited(self, thread_id: str, run_id: str) -> list[RemoteRun]:
        """Return the runs that go on in a thread, once it has or had one of that id, or a moment has passed."""
        deadline = monotonic() + _BEGIN_SECONDS
        while not any(record.run_id == run_id for record in await self.store.runs(thread_id, _RECENT_RUNS)):
            if monotonic() >= deadline:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        return await self._running(thread_id)

    async def _running(self, thread_id: str) -> list[RemoteRun]:
        records = await self.store.runs(thread_id, _RECENT_RUNS)
        return [RemoteRun(self.store, record) for record in records if record.status == "running"]

    async def last(self, thread_id: str, run_id: str | None = None) -> RemoteRun | None:
        """Return the last run of a thread, or the last one of that id, from what is stored of it; or None."""
        if run_id is None:
            latest = await self.store.latest(thread_id)
        else:
            records = await self.store.runs(thread_id)
            latest = next((record for record in reversed(records) if record.run_id == run_id), None)
        return RemoteRun(self.store, latest) if latest is not None else None

    async def runs(self, thread_id: str) -> list[RunRecord]:
        """List the runs of a thread that are kept, oldest first."""
        return await self.store.runs(thread_id)

    async def history(self, record: RunRecord) -> list[events.Event]:
        """Return what is kept of a run.

        Raises:
            RunLostError: It is kept no longer: its thread may have been deleted, and another run may have its place.
        """
        return await self.store.history(record)

    async def history_if_kept(self, record: RunRecord) -> list[events.Event]:
        """Return what is kept of a run; nothing if its thread has been deleted meanwhile."""
        with suppress(RunLostError):
            return await self.history(record)
        return []

    async def delete(self, thread_id: str) -> None:
        """Forget all runs of a thread."""
        await self.store.delete(thread_id)

    async def earlier(self, run: Run) -> RemoteRun | None:
        """Return a run of the same agent on the same thread that began before and goes on, or None.

        While a run waits for its thread, the lock of a process that died may run out before another one goes on with
        what it did.
        """
        recording = self._recordings.get(run)
        if recording is None or not self.store.shared:
            return None
        with suppress(TimeoutError):
            async with asyncio.timeout(_OPEN_SECONDS):
                await recording.opened.wait()
        if recording.key is None:
            return None
        for record in await self.store.runs(recording.key.thread_id):
            before = record.number < recording.key.number and record.agent_name == run.agent_name
            if before and record.status == "running":
                return RemoteRun(self.store, record)
        return None

    async def ended_since(self, run: Run) -> list[RunRecord]:
        """List the runs of the same agent on the same thread that have ended since a run's request came."""
        recording = self._recordings.get(run)
        place = recording.key if recording is not None else None
        others = [each for each in await self.runs(run.input.thread_id) if each.agent_name == run.agent_name]
        own = next((each for each in others if each.key == place), None)
        # Of the store's clock, if it has the run already: another machine's may have written the others.
        since = run.asked_at if own is None else own.started_at
        return [each for each in others if each.status != "running" and each.updated_at > since]

    def _record(
        self,
        run: Run,
        about: dict[str, Any],
        taken_over: tuple[RunRecord, Continuation] | None = None,
        *,
        resumable: bool,
    ) -> None:
        if resumable:
            self._resumable.add(run)
        aliases = taken_over[1].aliases if taken_over is not None else None
        recording = self._recordings[run] = Recording(
            self.store,
            _RecordedRun(self, run, about, aliases),
            self.owner,
            taken_over=None if taken_over is None else (taken_over[0], taken_over[1].last),
        )
        if self.store.shared:
            self._recorder.add(recording)

    async def open_run(self, run: Run, about: dict[str, Any]) -> RunRecord:
        """Make a run's record in the store."""
        asked = run.input
        if run.trace is not None:
            about[TRACE] = run.trace
        if UNIQUE_ID in about:
            # Not the first attempt: a store that does not answer may have done what it was to do.
            kept = await self.store.runs(asked.thread_id)
            opened = next((each for each in kept if each.about.get(UNIQUE_ID) == asked.unique_id), None)
            if opened is not None:
                return opened
        about[UNIQUE_ID] = asked.unique_id
        record = await self.store.open(
            asked.thread_id, run_id=asked.run_id, agent_name=run.agent_name, owner=self.owner, about=about
        )
        try:
            # Behind the opening: whoever deletes the thread from now on deletes the run with it.
            await self.check_caller(run)
        except ThreadNotFoundError as error:
            self._resumable.discard(run)
            await self.store.discard(record.key, self.owner)
            raise RunLostError from error
        return record

    async def check_caller(self, run: Run) -> None:
        """Check that a run's thread is still its caller's.

        Raises:
            ThreadNotFoundError: It is not.
        """
        await self._confirm(run.input.thread_id, run.context.identity, run.agent_name or None)

    def stop_run(self, run: Run) -> None:
        """Stop a run of this process, as somebody elsewhere has asked."""
        self.on_stop(run)
        task = asyncio.create_task(run.cancel(), name="stop-run")
        self._stops.add(task)
        task.add_done_callback(self._stops.discard)


class _RecordedRun:
    """A run of this process, as its recording sees it: one object, for each open run has one.

    Args:
        archive: Keeps it.
        run: The run.
        about: What is kept with it while it goes on.
        aliases: The ids under which its agent keeps what was shown under others.
    """

    __slots__ = ("_about", "_aliases", "_archive", "_run", "log")

    def __init__(self, archive: RunArchive, run: Run, about: dict[str, Any], aliases: Mapping[str, str] | None) -> None:
        self.log = run.log
        self._archive = archive
        self._run = run
        self._about = about
        self._aliases = aliases

    async def open(self) -> RunRecord:
        return await self._archive.open_run(self._run, self._about)

    def stop(self) -> None:
        self._archive.stop_run(self._run)

    def lose(self) -> None:
        self._archive.fail(self._run, ThreadLostError())

    def about_ended(self) -> dict[str, Any] | None:
        return about_ended(self._about, self._aliases)


async def _is_theirs(_thread_id: str, _identity: str | None, _agent_name: str | None) -> None:
    """Do nothing: threads have no owners."""


def _about(asked: RunInput) -> dict[str, Any]:
    """Return what is kept of a run's input."""
    return {MESSAGES: brought_messages(asked.messages), ANSWERS: bool(asked.resume)}


def brought_messages(messages: Sequence[Message]) -> list[Message]:
    """Return the messages that came with a run: those behind the last that an agent wrote.

    Before them, the results of the same turn: clients put a result behind its call, which the agent's text may follow.
    """
    begin = len(messages)
    while begin and not _is_agents(messages[begin - 1]):
        begin -= 1
    turn = takewhile(lambda message: _role(message) != "user", reversed(messages[:begin]))
    results = [message for message in turn if isinstance(message, ToolResultMessage)]
    return [*reversed(results), *messages[begin:]]


def _is_agents(message: Message) -> bool:
    is_agents = isinstance(message, (ToolCallMessage, ReasoningMessage, AgentStateMessage))
    return is_agents or _role(message) == "assistant"


def _role(message: Message) -> Any:
    return getattr(message, "role", None)
