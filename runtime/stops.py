"""Stops of runs: of those that go on in any process, and of those that are about to begin."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import structlog

from .active_runs import ActiveRuns
from .cancellation import OwnedTasks
from .context import RunInput
from .errors import CopilotKitError, StoreError, ThreadNotFoundError
from .messages import now
from .runs.archive import RunArchive
from .runs.beginnings import Asked, Beginning, Beginnings
from .runs.remote import RemoteRun
from .runs.run import Run
from .stores.run_records import RunRecord
from .threads import Threads

STOP_AHEAD_SECONDS = 0.25
"""How long a stop waits for the run that it means: both requests may come at once, in any order."""
ABANDON_SECONDS = 5.0
"""How long a process that ends waits for stops of runs whose clients have left."""
JUST_ENDED = timedelta(seconds=5)

log = structlog.get_logger(__name__)


class RunStops:
    """Lets those who may work on a thread stop its runs.

    Args:
        threads: Decides who may.
        active: The runs of this process.
        archive: The runs of all processes.
    """

    def __init__(self, threads: Threads, active: ActiveRuns, archive: RunArchive) -> None:
        self._threads = threads
        self._active = active
        self._archive = archive
        self._beginnings = Beginnings()
        self._abandoned = OwnedTasks[None]()
        """Stops of runs whose clients left while they were handed over."""

    def about_to_begin(self, run: RunInput, identity: str | None) -> Beginning:
        """Return a block in which a run is about to begin: a stop is not lost meanwhile."""
        return Beginning(Asked(run.thread_id, run.run_id, identity), self._beginnings)

    async def stop(self, thread_id: str, *, run_id: str | None = None, identity: str | None = None) -> bool:
        """Stop the runs that go on in a thread, and wait until they have ended.

        Args:
            thread_id: The thread.
            run_id: Only the runs of that id; None for all.
            identity: The caller; None for the application itself.

        Returns:
            Whether there was one.

        Raises:
            ThreadNotFoundError: The thread does not exist, or is somebody else's.
        """
        stopped = self._beginnings.stop(Asked(thread_id, run_id, identity))

        async def here(spelling: str) -> list[Run]:
            return self._active.of(spelling, run_id)

        async def elsewhere(spelling: str) -> list[RemoteRun]:
            return await self._archive.running_elsewhere(spelling, run_id, wait=not stopped)

        # What is stopped was found while the thread was the caller's: it may be another's by now.
        try:
            runs = await self._threads.read(thread_id, identity, here)
            for run in runs:
                self._active.report_stop(run)
            await asyncio.gather(*(run.cancel() for run in runs))
            stopped = stopped or bool(runs)
            remote = await self._threads.read(thread_id, identity, elsewhere)
            return any(await asyncio.gather(*(run.cancel() for run in remote))) or stopped
        except ThreadNotFoundError:
            if not stopped:
                raise
        except StoreError:
            if not stopped:
                raise
            log.exception("stop_reached_no_other_process", thread_id=thread_id)
        return True

    async def stop_ahead(self, thread_id: str, *, run_id: str | None = None, identity: str | None = None) -> bool:
        """Stop the run of a client that is about to come: the request for its stop may be faster than its own.

        A stop that names no run means one that has just ended, if there is one, and no run that follows it.

        Args:
            thread_id: The thread.
            run_id: Only a run of that id; None for any.
            identity: The caller; None for the application itself.

        Returns:
            Whether a run came.
        """
        with suppress(ThreadNotFoundError):
            spelling = await self._threads.find(thread_id, identity)
            last = await self._archive.store.latest(spelling)
            if self._active.newest(spelling) is not None or (
                last is not None and run_id is None and _has_just_ended(last)
            ):
                return False
        return await self._beginnings.stop_next(Asked(thread_id, run_id, identity), STOP_AHEAD_SECONDS)

    def abandon(self, run: RunInput, identity: str | None) -> None:
        """Stop a run beside the caller, who is about to go, as the run's client did."""
        self._abandoned.begin(self._stop_abandoned(run, identity), "stop-abandoned-run")

    async def _stop_abandoned(self, run: RunInput, identity: str | None) -> None:
        try:
            await self.stop(run.thread_id, run_id=run.run_id, identity=identity)
        except CopilotKitError as error:
            log.warning("run_not_stopped", thread_id=run.thread_id, run_id=run.run_id, reason=error.message)

    async def end(self) -> None:
        """Wait for a limited time until the runs whose clients have gone have been stopped."""
        await self._abandoned.end(ABANDON_SECONDS)


def _has_just_ended(last: RunRecord | None) -> bool:
    return last is not None and now() - last.updated_at < JUST_ENDED
