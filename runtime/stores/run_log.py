"""Where the events of runs are kept: one interface, as for states, and four places."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec

from ..events import Event
from ..per_loop import PerLoop
from .group_reader import GroupReader, RunBatches, Wanted
from .group_writer import GroupWriter, RunBatch
from .records import check_key
from .retry import retry_unavailable
from .run_news import NewsLine
from .run_records import (
    Base,
    Batch,
    NewRun,
    Progress,
    RunCompactedError,
    RunKey,
    RunLostError,
    RunOutcome,
    RunPart,
    RunRecord,
    decode_events,
    encode_json,
)
from .run_watch import Follower, RunWatch
from .settings import StoreSettings
from .stop_news import StopNews

GRACE_SECONDS = 60.0
"""How long the single events of an ended run are kept beside its compacted form, for those who still follow it."""
TRIMMED_AT_ONCE = 500
"""How many runs one operation looks at to let go of single events."""
RUNS_IN_GRACE = 3
"""Of how many runs of a thread that have ended single events are kept at most."""
WRITES_AT_ONCE = 4
"""How many runs are opened, compacted and closed at once, so that many do not take all connections from the rest."""
READ_BATCHES = 256
"""How many batches one read returns at most."""
_READ_ATTEMPTS = 5


class RunLogStore(ABC):
    """Keeps the events of runs, by thread and number, and decides which process writes them.

    A run is written by one process, its owner, for as long as it renews its lease. One that has ended and whose turn is
    yet to be put into its thread is in its owner's care in the same way. Every method raises
    ``errors.StoreError``, and nothing else, when it cannot do its work. Those that write raise
    ``StoreUnavailableError`` when the store does not answer; they may be called again with the same arguments.

    Args:
        settings: ``lease``, ``max_runs``, ``max_run_bytes`` and ``ttl``.
    """

    shared = True
    """Whether other processes can follow a run here."""
    writes_ahead = False
    """Whether others can be shown what is not on the server's disk yet."""

    def __init__(self, settings: StoreSettings) -> None:
        self.settings = settings
        self._watch = RunWatch(self._peek, self._line())
        self.stops = StopNews(self._stop_line())
        """News of runs that are asked to stop."""
        self._reader = GroupReader(self._read_group)
        self._writer = GroupWriter(self._append_all)
        self._turns = PerLoop(lambda: asyncio.Semaphore(WRITES_AT_ONCE))

    async def start(self) -> None:
        """Make the store ready. Called once, after the state store has been opened."""

    async def stop(self) -> None:
        """Let go of what the store holds. Called once, before the state store is closed."""
        await self._watch.stop()
        await self.stops.stop()
        await self._reader.stop()
        await self._writer.stop()

    async def open(
        self,
        thread_id: str,
        *,
        run_id: str,
        agent_name: str,
        owner: str,
        about: dict[str, Any] | None = None,
        lease: float | None = None,
        durable: bool = True,
    ) -> RunRecord:
        """Begin a run; its number is one more than that of the thread's last run.

        Args:
            thread_id: The thread.
            run_id: The client's id of the run.
            agent_name: The agent, or "" for a model.
            owner: The process that writes the run.
            about: What to keep with the run.
            lease: For how many seconds the run is the owner's; None for the duration in the settings.
            durable: Whether it has to be on the server's disk at once, and not only when ``settle`` returns.
        """
        check_key(thread_id, owner)
        run = NewRun(thread_id, run_id, agent_name, encode_json(about or {}), lease, durable)
        async with self._turns.here:
            number, started = await self._open(run, owner)
        return RunRecord(
            thread_id=thread_id,
            number=number,
            run_id=run_id,
            agent_name=agent_name,
            status="running",
            last=0,
            about=about or {},
            started_at=started,
            updated_at=started,
        )

    async def append(self, key: RunKey, owner: str, first: int, batch: Sequence[Event]) -> bool:
        """Store events, of which the first has the number ``first``, and renew the lease.

        A batch that was stored before is not stored again, so that a write whose outcome is unknown can be repeated.

        Returns:
            Whether somebody has asked the run to stop.

        Raises:
            RunLostError: The run is not ``owner``'s.
        """
        return await self._writer.append(owner, key, Batch(first, first + len(batch) - 1, encode_json(batch)))

    async def append_group(self, owner: str, batches: Sequence[RunBatch]) -> dict[RunKey, bool]:
        """Store a batch of each of several runs at once, and renew their leases; see ``append``.

        Returns:
            The runs that are ``owner``'s, and of each whether somebody has asked it to stop.
        """
        return await self._append_all(owner, batches)

    async def append_ahead(self, owner: str, batches: Sequence[RunBatch]) -> dict[RunKey, bool]:
        """Show readers what need not be on the server's disk, and is stored again later; see ``append_group``."""
        return await self._append_all(owner, batches)

    async def settle(self, record: RunRecord, owner: str | None = None) -> None:
        """Return once a crash of the server makes it forget nothing that was opened or taken before.

        Args:
            record: What was opened or taken.
            owner: Who has taken it; None if it was opened.

        Raises:
            RunLostError: The server has crashed and forgotten it.
        """

    async def compact(self, key: RunKey, owner: str, last: int, compacted: Sequence[Event]) -> None:
        """Replace the events up to the number ``last`` by their compacted form.

        Raises:
            RunLostError: The run is not ``owner``'s.
        """
        async with self._turns.here:
            await self._compact(key, owner, Base(last, encode_json(compacted)))

    async def close(
        self,
        key: RunKey,
        owner: str,
        status: RunOutcome,
        last: int,
        compacted: Sequence[Event],
        about: dict[str, Any] | None = None,
        rest: Sequence[Event] = (),
        unsaved: bool = False,
        amends: bool = False,
    ) -> None:
        """End a run, and let go of the thread's oldest runs if there are too many.

        Args:
            key: The run.
            owner: The process that writes it.
            status: How it ended.
            last: The number of its last event.
            compacted: All its events, compacted.
            about: What to keep with the run from now on; None for what was given when it began.
            rest: Its last events one by one, for those who follow it: what has not been stored yet.
            unsaved: Whether its turn is yet to be put into its thread: the run stays ``owner``'s until ``note_saved``.
            amends: Whether it is a run that was closed as ``broken`` by somebody who took ``owner`` for dead: the whole
                of it takes the place of what was stored by then.

        Raises:
            RunLostError: The run is not ``owner``'s; or, if this amends, it is not broken.
        """
        async with self._turns.here:
            kept = None if about is None else encode_json(about)
            base = Base(last, encode_json(compacted))
            batch = Batch(last - len(rest) + 1, last, encode_json(rest)) if rest else None
            await self._close(key, owner, status, base, kept, batch, unsaved=unsaved, amends=amends)

    async def note_saved(self, key: RunKey) -> None:
        """Note that the turn of a run that was closed as ``unsaved`` is in its thread, or given up."""
        await self._note_saved(key)

    async def renew(self, keys: Sequence[RunKey], owner: str) -> dict[RunKey, bool]:
        """Renew the leases of runs that go on, or are unsaved.

        Returns:
            Those that are still ``owner``'s, each with whether somebody has asked it to stop.
        """
        return await self._renew(keys, owner) if keys else {}

    async def request_stop(self, key: RunKey) -> bool:
        """Request a run to stop, wherever it goes on; return whether it goes on."""
        return await retry_unavailable(self._request_stop, self.settings.retry_for, key)

    async def abandoned(self, limit: int = 100) -> list[RunRecord]:
        """List the runs whose lease has run out, of those that go on or are unsaved."""
        return await self._abandoned(limit)

    async def claim(self, key: RunKey, owner: str) -> bool:
        """Take over a run that ``abandoned`` lists; return whether it is ``owner``'s now."""
        return await self._claim(key, owner)

    async def take(self, key: RunKey, owner: str, held_by: str) -> RunRecord | None:
        """Take a running run from ``held_by``, whatever its lease; return it if it is ``owner``'s now.

        The server may forget this if it crashes before ``settle`` returns.
        """
        return await self._take(key, owner, held_by)

    async def release(self, key: RunKey, owner: str) -> None:
        """Give a run away that goes on, or is unsaved: another process may claim it at once.

        Raises:
            RunLostError: The run is not ``owner``'s.
        """
        if not await self._release(key, owner):
            raise RunLostError

    async def trim(self, limit: int = TRIMMED_AT_ONCE) -> int:
        """Let go of the single events of runs that ended ``GRACE_SECONDS`` ago, in threads in which no other run ends.

        Args:
            limit: How many runs to look at.

        Returns:
            How many were looked at; there may be more if these are ``limit``. 0 where the store does so by itself.
        """
        del limit
        return 0

    async def runs(self, thread_id: str, limit: int | None = None) -> list[RunRecord]:
        """List a thread's last runs, oldest first: all that are kept, or no more than ``limit``."""
        check_key(thread_id)
        number = self.settings.max_runs if limit is None else limit
        return await retry_unavailable(self._runs, self.settings.retry_for, thread_id, number)

    async def latest(self, thread_id: str) -> RunRecord | None:
        """Return a thread's last run, or None."""
        check_key(thread_id)
        found = await retry_unavailable(self._runs, self.settings.retry_for, thread_id, 1)
        return found[-1] if found else None

    async def peek(self, keys: Sequence[RunKey]) -> dict[RunKey, Progress]:
        """Return how far runs are stored; those that are unknown are left out."""
        return await self._peek(keys) if keys else {}

    async def read(self, key: RunKey, after: int = 0) -> RunPart:
        """Return events that follow the number ``after``: all, or a first part of them.

        Raises:
            RunCompactedError: They are no longer kept one by one, and ``after`` is not 0.
            RunLostError: The run is unknown.
        """
        return await retry_unavailable(self._part, self.settings.retry_for, key, after)

    async def history(self, record: RunRecord) -> list[Event]:
        """Return all that is stored of a run, in compacted form if it has ended.

        Raises:
            RunLostError: It is unknown by now: its thread may have been deleted, and another run may have its place.
        """
        for _ in range(_READ_ATTEMPTS):
            found, last = await self._whole(record)
            progress = (await self.peek([record.key])).get(record.key)
            if progress is None or progress.started != record.started_at:
                break
            if record.status == "running" or last >= progress.last:
                return found
        raise RunLostError

    async def wait(self, key: RunKey, after: int, seconds: float) -> None:
        """Return once the run has events behind the number ``after``, or has ended, or ``seconds`` have passed."""
        follower = self.follow(key)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await follower.changed(after)
        finally:
            follower.close()

    def follow(self, key: RunKey) -> Follower:
        """Have what becomes of a run noted from now on, so that waiting for it costs no operation of its own."""
        return self._watch.follow(key)

    @abstractmethod
    async def delete(self, thread_id: str) -> bool:
        """Forget all runs of a thread; return whether there were any."""

    @abstractmethod
    async def discard(self, key: RunKey, owner: str) -> None:
        """Forget a run that is ``owner``'s, as if it had not been opened."""

    async def _whole(self, record: RunRecord) -> tuple[list[Event], int]:
        """Return the events of whatever run has the place of ``record``, and the number of the last."""
        if record.status != "running":
            base = await retry_unavailable(self._base, self.settings.retry_for, record.key)
            return decode_events(base.payload), base.last
        found: list[Event] = []
        after = 0
        while True:
            part = await self.read(record.key, after)
            found += part.events
            if part.ended or part.last == after:
                return found, part.last
            after = part.last

    async def _part(self, key: RunKey, after: int) -> RunPart:
        progress, batches = await self._reader.read(key, after)
        if _joins(progress, batches, after):
            return _following(progress, batches, after)
        if after:
            raise RunCompactedError
        for _ in range(_READ_ATTEMPTS):
            base = await self._base(key)
            progress, batches = await self._reader.read(key, base.last)
            if _joins(progress, batches, base.last):
                rest = _following(progress, batches, base.last)
                return msgspec.structs.replace(rest, events=[*decode_events(base.payload), *rest.events])
        raise RunCompactedError

    @abstractmethod
    async def _open(self, run: NewRun, owner: str) -> tuple[int, datetime]:
        """Return the run's number, and when it began."""

    @abstractmethod
    async def _append_all(self, owner: str, batches: Sequence[RunBatch]) -> dict[RunKey, bool]:
        """Store batches of different runs; return the runs that are ``owner``'s, and whether each is to stop."""

    @abstractmethod
    async def _compact(self, key: RunKey, owner: str, base: Base) -> None: ...

    @abstractmethod
    async def _close(
        self,
        key: RunKey,
        owner: str,
        status: RunOutcome,
        base: Base,
        about: bytes | None,
        rest: Batch | None,
        *,
        unsaved: bool,
        amends: bool,
    ) -> None: ...

    @abstractmethod
    async def _note_saved(self, key: RunKey) -> None: ...

    @abstractmethod
    async def _renew(self, keys: Sequence[RunKey], owner: str) -> dict[RunKey, bool]: ...

    @abstractmethod
    async def _request_stop(self, key: RunKey) -> bool: ...

    @abstractmethod
    async def _abandoned(self, limit: int) -> list[RunRecord]: ...

    @abstractmethod
    async def _claim(self, key: RunKey, owner: str) -> bool:
        """Take the run and count the takeover."""

    @abstractmethod
    async def _take(self, key: RunKey, owner: str, held_by: str) -> RunRecord | None:
        """Take the run from its holder; nobody died with it, so that no takeover is counted."""

    @abstractmethod
    async def _release(self, key: RunKey, owner: str) -> bool:
        """End the lease; the claim that follows is not a takeover from the dead, and does not count."""

    @abstractmethod
    async def _runs(self, thread_id: str, limit: int) -> list[RunRecord]:
        """Return the last ``limit`` runs, oldest first."""

    @abstractmethod
    async def _peek(self, keys: Sequence[RunKey]) -> dict[RunKey, Progress]: ...

    @abstractmethod
    async def _read_group(self, wanted: Sequence[Wanted]) -> Sequence[RunBatches | None]:
        """Return of each run how it stands, and the first batches that end behind a number, in order.

        All runs together have at most ``READ_BATCHES`` batches, or one each; see ``batches_each``.
        """

    def _line(self) -> NewsLine | None:
        """Return where news of runs arrive; None for a store that sends none, which is looked at often."""
        return None

    def _stop_line(self) -> NewsLine | None:
        """Return where news of stops arrive; None for a store that sends none."""
        return None

    @abstractmethod
    async def _base(self, key: RunKey) -> Base:
        """Return the compacted form; of nothing before the first compaction."""


def batches_each(wanted: Sequence[Wanted]) -> int:
    """Return how many batches of each run one operation reads at most."""
    return max(READ_BATCHES // len(wanted), 1)


def _joins(progress: Progress, batches: Sequence[Batch], after: int) -> bool:
    return batches[0].first <= after + 1 if batches else progress.last <= after


def _following(progress: Progress, batches: Sequence[Batch], after: int) -> RunPart:
    found: list[Event] = []
    for batch in batches:
        found += decode_events(batch.payload)[max(0, after + 1 - batch.first) :]
        after = batch.last
    more = after < progress.last
    ended = progress.status != "running" and not more
    return RunPart(events=found, last=after, ended=ended, more=more, started=progress.started)
