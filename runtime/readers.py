"""Readers of runs, whichever process they go on in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from sys import maxsize

from .active_runs import ActiveRuns
from .run_starter import follow
from .runs.archive import RunArchive
from .runs.handle import RunHandle
from .runs.remote import RemoteRun
from .threads import Threads


class RunReaders:
    """Lets those who may read a thread follow its runs.

    Args:
        threads: Decides who may.
        active: The runs of this process.
        archive: The runs of all processes.
    """

    def __init__(self, threads: Threads, active: ActiveRuns, archive: RunArchive) -> None:
        self._threads = threads
        self._active = active
        self._archive = archive

    async def attach(
        self, thread_id: str, *, identity: str | None = None, after: int = 0, paces: bool = True
    ) -> RunHandle | None:
        """Follow the run that goes on in a thread, in this process or another: the newest, if there are several.

        Args:
            thread_id: The thread.
            identity: The caller; None for the application itself.
            after: The number of the last event that the reader has.
            paces: Whether the reader may slow the run down.

        Returns:
            None if no run goes on there.

        Raises:
            ThreadNotFoundError: The thread does not exist, or is somebody else's.
            Lagged: What follows ``after`` is only kept compacted.
        """
        return await self._of_theirs(thread_id, identity, lambda id_: self._attached(id_, after, paces=paces))

    async def _of_theirs(
        self, thread_id: str, identity: str | None, look: Callable[[str], Awaitable[RunHandle | None]]
    ) -> RunHandle | None:
        """Return a run of a thread that is the caller's all the while it is looked for.

        Raises:
            ThreadNotFoundError: The thread does not exist, or is somebody else's.
        """
        found: list[RunHandle] = []

        async def read(spelling: str) -> None:
            handle = await look(spelling)
            found.extend([] if handle is None else [handle])

        try:
            await self._threads.read(thread_id, identity, read)
        except BaseException:
            for handle in found:
                handle.close()
            raise
        return found[0] if found else None

    async def _attached(self, spelling: str, after: int, *, paces: bool) -> RunHandle | None:
        run = self._active.newest(spelling)
        if run is not None:
            return follow(run, after, paces=paces)
        elsewhere = await self._archive.find(spelling)
        return RunHandle(elsewhere, elsewhere.subscribe(after)) if elsewhere is not None else None

    async def attach_all(self, spelling: str) -> list[RunHandle]:
        """Follow all runs that go on in a thread, in this process and others, without slowing them down.

        Args:
            spelling: The thread, as it is kept. Whose it is has been checked.

        Returns:
            The runs, oldest first: all but the first wait for those before them, or are of other agents.
        """
        stored = await self._archive.find_all(spelling)
        here = [
            RunHandle(run, run.log.subscribe(attached=False), self._archive.place_of(run))
            for run in self._active.of(spelling, None)
        ]
        others = [RunHandle(run, run.subscribe()) for run in stored if not any(_is_same(run, one) for one in here)]
        return sorted([*here, *others], key=lambda handle: handle.number or maxsize)

    async def follow(
        self, thread_id: str, *, run_id: str | None = None, identity: str | None = None, after: int = 0
    ) -> RunHandle | None:
        """Follow the run that goes on in a thread, or else read its last run again.

        Args:
            thread_id: The thread.
            run_id: Only the newest run of that id, whether or not it goes on.
            identity: The caller; None for the application itself.
            after: The number of the last event that the reader has.

        Returns:
            None if no such run is kept.

        Raises:
            ThreadNotFoundError: The thread does not exist, or is somebody else's.
            Lagged: What follows ``after`` is only kept compacted.
        """
        return await self._of_theirs(thread_id, identity, lambda id_: self._followed(id_, run_id, after))

    async def _followed(self, spelling: str, run_id: str | None, after: int) -> RunHandle | None:
        if run_id is not None:
            here = self._active.of(spelling, run_id)
            if here:
                return follow(here[-1], after, paces=False)
        elif (handle := await self._attached(spelling, after, paces=False)) is not None:
            return handle
        last = await self._archive.last(spelling, run_id)
        return RunHandle(last, last.subscribe(after)) if last is not None else None


def _is_same(stored: RemoteRun, here: RunHandle) -> bool:
    """Return whether a run of the store is one of this process, which may be about to learn its number."""
    if here.number is not None:
        return stored.record.number == here.number
    return (stored.record.run_id, stored.agent_name) == (here.run_id, here.agent_name)
