"""End the record of a run that no process executes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from .. import events
from ..errors import ProtocolError
from ..stores.run_log import RunLogStore
from ..stores.run_records import RunOutcome, RunRecord
from .about import STORED, about_ended
from .compaction import compact, without_earlier_turns
from .verifier import EventVerifier

WAITING = "queue"
"""The owner of runs that wait for a process to execute them."""


async def close_record(
    store: RunLogStore,
    owner: str,
    record: RunRecord,
    status: RunOutcome,
    ending: events.RunError | None = None,
    stored: Sequence[events.Event] = (),
    last: int = 0,
    *,
    keep: Callable[[RunRecord, Sequence[events.Event]], Awaitable[bool]] | None = None,
) -> None:
    """Write what is missing of a run's stream, and close it.

    Args:
        store: Where it is kept.
        owner: This process, whose run it is.
        record: The run.
        status: How it ends.
        ending: Its terminal event; None for one that was finished.
        stored: What is stored of it.
        last: The number of the last event that is stored.
        keep: Stores its turn, given its record and all its events; returns whether it could. It comes first: if this
            process dies between the two, the run is still to be closed, and another one does both again. A turn that
            could not be stored is left to whoever looks for such runs next.
    """
    rest = _rest(record, stored, ending)
    whole = without_earlier_turns(compact([*stored, *rest]))
    unsaved = keep is not None and not await keep(record, whole)
    about = about_ended(record.about)
    if status == "broken":
        about = {**(record.about if about is None else about), STORED: last}
    await store.close(record.key, owner, status, last + len(rest), whole, about, rest, unsaved=unsaved)
    if unsaved:
        await store.release(record.key, owner)


async def withdraw(store: RunLogStore, record: RunRecord, owner: str) -> bool:
    """End a run as cancelled that no process has begun to execute; return whether it was one."""
    if await store.take(record.key, owner, WAITING) is None:
        return False
    await close_record(store, owner, record, "cancelled")
    return True


def _rest(record: RunRecord, stored: Sequence[events.Event], ending: events.RunError | None) -> list[events.Event]:
    """Return the events that end a run: closers of all that is open, and its end."""
    verifier = EventVerifier()
    for event in stored:
        with suppress(ProtocolError):  # whatever is stored of a run, it has to end
            verifier.check(event)
    ids = {"thread_id": record.thread_id, "run_id": record.run_id}
    started = [] if stored else [events.RunStarted(**ids)]
    return [*started, *verifier.closing(), ending if ending is not None else events.RunFinished(**ids)]
