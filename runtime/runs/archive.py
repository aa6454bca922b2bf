"""The durable side of runs: those of this process, those of other processes, and those that broke off."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import uuid4

import msgspec
import structlog

from .. import events
from ..cancellation import end_tasks
from ..errors import StoreError, ThreadBusyError
from ..messages import AgentStateMessage, Message, ReasoningMessage, ToolCallMessage
from ..stores.run_log import RunLogStore
from ..stores.run_records import RunKey, RunRecord
from .compaction import compact, without_earlier_turns
from .recorder import Recording
from .remote import RemoteRun
from .run import Run, RunStatus
from .thread_lock import LOST
from .verifier import EventVerifier

BROKEN_OFF = "RUN_BROKEN_OFF"
"""The code of the error that ends a run whose process has died."""
BROKEN_OFF_TEXT = "The server that executed this run has gone. What it had said until then is kept."
SWEEP_SECONDS = 5.0
"""How often runs are looked for whose process has died."""
_CLOSE_SECONDS = 5.0

log = structlog.get_logger(__name__)


class RunArchive:
    """Keeps what runs say in the store, and finds there what the runs of other processes say.

    Args:
        store: Where the events of runs are kept.
    """

    def __init__(self, store: RunLogStore) -> None:
        self._store = store
        self._owner = uuid4().hex
        self._recordings: dict[Run, Recording] = {}
        self._stops: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the store of runs, and begin to look for runs that broke off."""
        await self._store.start()
        if self._store.shared:
            self._sweeper = asyncio.create_task(self._keep_sweeping(), name="broken-runs")

    async def stop(self) -> None:
        """End what ``start`` began."""
        if self._sweeper is not None:
            await end_tasks(self._sweeper)
            self._sweeper = None
        if self._stops:
            await asyncio.wait(self._stops, timeout=_CLOSE_SECONDS)
        await self._store.stop()

    def begin(self, run: Run) -> None:
        """Begin to record a run, which is about to start."""
        self._recordings[run] = Recording(
            self._store,
            run.log,
            partial(self._open, run),
            self._owner,
            on_stop=partial(self._stop, run),
            on_lost=lambda: run.fail(ThreadBusyError(LOST)),
        )

    async def finish(self, run: Run, ending: events.Event) -> None:
        """Store the end of a run. A store that does not answer in time is reported to the log."""
        recording = self._recordings.pop(run, None)
        if recording is None or run.status is RunStatus.RUNNING:
            return
        try:
            await recording.finish(run.status.value, ending)
        except StoreError:
            log.exception("run_not_stored", thread_id=run.input.thread_id, run_id=run.input.run_id)

    async def find(self, thread_id: str) -> RemoteRun | None:
        """Return the run that goes on in a thread in another process, or None."""
        if not self._store.shared:
            return None
        latest = await self._store.latest(thread_id)
        return RemoteRun(self._store, latest) if latest is not None and latest.status == "running" else None

    async def last(self, thread_id: str) -> RemoteRun | None:
        """Return the last run of a thread, from what is stored of it, or None."""
        latest = await self._store.latest(thread_id)
        return RemoteRun(self._store, latest) if latest is not None else None

    async def runs(self, thread_id: str) -> list[RunRecord]:
        """List the runs of a thread that are kept, oldest first."""
        return await self._store.runs(thread_id)

    async def history(self, record: RunRecord) -> list[events.Event]:
        """Return what is kept of a run."""
        return await self._store.history(record.key)

    async def delete(self, thread_id: str) -> None:
        """Forget all runs of a thread."""
        await self._store.delete(thread_id)

    async def sweep(self) -> None:
        """Close the runs whose process has died."""
        for record in await self._store.abandoned():
            if await self._store.claim(record.key, self._owner):
                log.warning("run_broken_off", thread_id=record.thread_id, run_id=record.run_id)
                await self._close(record)

    async def _open(self, run: Run) -> RunKey:
        asked = run.input
        about = {"messages": msgspec.to_builtins(brought_messages(asked.messages), str_keys=True)}
        record = await self._store.open(
            asked.thread_id, run_id=asked.run_id, agent_name=run.agent_name, owner=self._owner, about=about
        )
        return record.key

    def _stop(self, run: Run) -> None:
        task = asyncio.create_task(run.cancel(), name="stop-run")
        self._stops.add(task)
        task.add_done_callback(self._stops.discard)

    async def _keep_sweeping(self) -> None:
        while True:
            try:
                await self.sweep()
            except StoreError as error:
                log.warning("broken_runs_not_closed", error=str(error))
            await asyncio.sleep(SWEEP_SECONDS)

    async def _close(self, record: RunRecord) -> None:
        stored = await self._store.history(record.key)
        latest = (await self._store.peek([record.key])).get(record.key)
        ending = ending_of(record, stored)
        first = (latest.last if latest is not None else record.last) + 1
        await self._store.append(record.key, self._owner, first, ending)
        last = first + len(ending) - 1
        await self._store.close(
            record.key, self._owner, "broken", last, without_earlier_turns(compact([*stored, *ending]))
        )


def brought_messages(messages: Sequence[Message]) -> list[Message]:
    """Return the messages that came with a run: those behind the last that an agent wrote."""
    brought: list[Message] = []
    for message in reversed(messages):
        if isinstance(message, (ToolCallMessage, ReasoningMessage, AgentStateMessage)) or _role(message) == "assistant":
            break
        brought.insert(0, message)
    return brought


def _role(message: Message) -> Any:
    return getattr(message, "role", None)


def ending_of(record: RunRecord, stored: Sequence[events.Event]) -> list[events.Event]:
    """Return the events that end a run that broke off: closers of all that is open, and an error."""
    verifier = EventVerifier()
    for event in stored:
        verifier.check(event)
    started = [] if stored else [events.RunStarted(thread_id=record.thread_id, run_id=record.run_id)]
    return [*started, *verifier.closing(), events.RunError(message=BROKEN_OFF_TEXT, code=BROKEN_OFF)]
