"""Follow a run of another process through the store, as one of this process is followed through its log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from uuid import uuid4

from ..context import RunInput
from ..errors import CopilotKitError, ErrorCode
from ..events import Event, RunError
from ..stores.errors import StoreUnavailableError
from ..stores.run_log import RunLogStore
from ..stores.run_records import RunCompactedError, RunLostError, RunPart, RunRecord
from .closing import withdraw
from .log import Lagged, Push
from .run import RunStatus

GONE = "The run is gone: its thread was deleted, or its store has lost it."
TRACE = "trace"
"""Under this name the span of a run is kept with it."""
WAIT_SECONDS = 60.0
"""How long one wait for a run lasts at most; the store is read again after it."""
STOP_SECONDS = 10.0
AWAY_SECONDS = 120.0
"""How long a reader waits for a store that does not answer, longer than a request does: the run may go on meanwhile."""
PAUSE_SECONDS = 0.5
_STATUSES = {
    "running": RunStatus.RUNNING,
    "finished": RunStatus.FINISHED,
    "failed": RunStatus.FAILED,
    "cancelled": RunStatus.CANCELLED,
    "broken": RunStatus.FAILED,
}


class RemoteRun:
    """A run that another process executes.

    Args:
        store: Where its events are.
        record: What is kept of it.
        asked: Its input, where this process took the request.
    """

    def __init__(self, store: RunLogStore, record: RunRecord, asked: RunInput | None = None) -> None:
        self.input = asked or RunInput(thread_id=record.thread_id, run_id=record.run_id)
        self.sends_extensions = False
        """Whether the run may begin with extensions of the answer."""
        self.passing = False
        """Whether nothing of the run is kept once its client has left."""
        self.agent_name = record.agent_name
        self.record = record
        self.trace: str | None = record.about.get(TRACE)
        """The run's span in the process that executes it, as a ``traceparent`` header."""
        self.status = _STATUSES[record.status]
        self.error: CopilotKitError | None = None
        self._store = store

    def subscribe(self, after: int = 0) -> RemoteSubscription:
        """Follow the run's events from behind the number ``after``."""
        return RemoteSubscription(self._store, self.record, after)

    @property
    def is_over(self) -> bool:
        """Whether ``join`` has seen the run's end."""
        return self.status is not RunStatus.RUNNING

    async def join(self) -> None:
        """Wait until the run has ended and is stored, or is gone."""
        key, after = self.record.key, self.record.last
        while True:
            progress = (await self._store.peek([key])).get(key)
            if progress is None or progress.started != self.record.started_at:
                self.status = RunStatus.FAILED  # its thread was deleted, and another run may have its place
                return
            if progress.status != "running":
                self.status = _STATUSES[progress.status]
                return
            after = max(after, progress.last)
            await self._store.wait(key, after, WAIT_SECONDS)

    async def cancel(self) -> bool:
        """Request the run to stop, and wait, for a limited time, until it has; return whether it went on."""
        asked = await self._store.request_stop(self.record.key)
        if asked and not await withdraw(self._store, self.record, uuid4().hex):
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await self.join()
        if self.passing:
            await self._store.delete(self.record.thread_id)
        return asked


class RemoteSubscription:
    """A reader's place in a run of another process. One part is fetched ahead.

    Args:
        store: Where the events are.
        record: The run.
        after: The number of the last event that the reader has.
    """

    def __init__(self, store: RunLogStore, record: RunRecord, after: int) -> None:
        self.offset = after
        """The number of the last event taken."""
        self._store = store
        self._key = record.key
        self._started = record.started_at
        self._fetched: list[Event] = []
        self._history: list[Event] | None = None
        self._read_to = after
        self._ended = False
        self._failure: Exception | None = None
        self._arrived: asyncio.Future[None] | None = None
        self._taken = asyncio.Event()
        self._follower = store.follow(record.key)
        self._task = asyncio.create_task(self._fetch(), name="follow-run")

    def arrival(self, push: Push | None = None) -> asyncio.Future[None]:
        """Return a future that is done once there is something to take, or the run's events have all been read."""
        future = asyncio.get_running_loop().create_future()
        if self._fetched or self._history is not None or self._ended or self._failure is not None:
            future.set_result(None)
        else:
            self._arrived = future
        return future

    def take(self) -> Sequence[Event]:
        """Return the events since the last call; none, after an arrival, once all have been read.

        Raises:
            Lagged: What follows is only kept compacted: ``take_history`` returns it, or the reader subscribes anew.
            StoreError: The store does not answer.
        """
        if self._history is not None:
            raise Lagged
        if self._failure is not None and not self._fetched:
            raise self._failure
        events, self._fetched = self._fetched, []
        self.offset = self._read_to
        self._taken.set()
        return events

    def take_history(self) -> Sequence[Event]:
        """Return all events so far, the first ones compacted, after ``take`` has raised ``Lagged``."""
        events, self._history = self._history or [], None
        self.offset = self._read_to
        self._taken.set()
        return events

    async def read(self) -> Sequence[Event]:
        """Wait for events and take them: at least one; none once all have been read."""
        await self.arrival()
        return self.take()

    def close(self) -> None:
        """Stop reading."""
        self._task.cancel()
        self._follower.close()
        self._ended = True
        self._wake()

    async def _fetch(self) -> None:
        clock = asyncio.get_running_loop().time
        answered = clock()
        try:
            while not self._ended:
                try:
                    await self._fetch_next()
                except StoreUnavailableError:
                    if clock() - answered > AWAY_SECONDS:
                        raise
                    await asyncio.sleep(PAUSE_SECONDS)
                else:
                    answered = clock()
        except RunCompactedError:
            self._failure = Lagged()
        except RunLostError:
            self._end_gone()
        except Exception as error:  # noqa: BLE001 - whoever reads gets it, and does not wait for what cannot come
            self._failure = error
        self._wake()

    def _end_gone(self) -> None:
        """End a run of which nothing more is kept, and not its end either, as one that failed."""
        if not self._ended:
            self._fetched, self._ended = [RunError(message=GONE, code=str(ErrorCode.NOT_FOUND))], True

    async def _fetch_next(self) -> None:
        try:
            await self._fetch_part()
        except RunCompactedError:
            await self._fetch_history()

    async def _fetch_history(self) -> None:
        part = await self._read(0)
        self._taken.clear()
        self._history, self._read_to = part.events, part.last
        self._wake()
        await self._taken.wait()
        self._ended = self._ended or part.ended

    async def _fetch_part(self) -> None:
        part = await self._read(self._read_to)
        if part.events:
            self._taken.clear()
            self._fetched, self._read_to = part.events, part.last
            self._wake()
            await self._taken.wait()
        self._ended = self._ended or part.ended
        if not part.more and not part.ended:
            await self._wait()

    async def _read(self, after: int) -> RunPart:
        part = await self._store.read(self._key, after)
        if self._ended:
            raise RunLostError  # it was closed, and what reads the store swallowed that it was cancelled
        if part.started != self._started:
            raise RunLostError  # its thread was deleted, and another run has its place
        return part

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                await self._follower.changed(self._read_to)

    def _wake(self) -> None:
        arrived, self._arrived = self._arrived, None
        if arrived is not None and not arrived.done():
            arrived.set_result(None)
