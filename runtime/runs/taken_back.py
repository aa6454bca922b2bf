"""The runs of a thread that count: those that no later one has taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from .. import events
from ..messages import Message, ToolResultMessage
from ..stores.run_records import RunRecord
from .about import ANSWERS, brought_by
from .archive import RunArchive
from .history import is_users

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_FRAME = events.RunStarted | events.RunError | events.RunFinished


class Attempt(NamedTuple, Generic[T_co]):
    """A run as an attempt to answer a message of the user, whether it has ended or goes on."""

    run: T_co
    brought: Sequence[Message]
    """The messages that came with it."""
    answers: bool | None
    """Whether it was to answer the questions of the run before it; None if that was not kept."""
    record: RunRecord | None
    """Its record, if it has one yet."""


def ended_attempt(record: RunRecord) -> Attempt[RunRecord]:
    """Return a run that has ended as an attempt."""
    return Attempt(record, brought_by(record.about), record.about.get(ANSWERS), record)


async def without_taken_back(attempts: Sequence[Attempt[T]], archive: RunArchive) -> list[T]:
    """Leave out the runs whose user's message a later one has answered anew, or is to answer.

    Args:
        attempts: The runs, in the order in which they began.
        archive: Where they are kept.
    """
    current: list[Attempt[T]] = []
    first_of: dict[str, int] = {}
    for attempt in attempts:
        asked = next((message.id for message in reversed(attempt.brought) if is_users(message)), None)
        again = first_of.get(asked) if asked is not None else None
        if again is not None and await _takes_back(attempt, current[again], archive):
            del current[again:]
            first_of = {id_: place for id_, place in first_of.items() if place < again}
        for message in attempt.brought:
            if not isinstance(message, ToolResultMessage):
                first_of.setdefault(message.id, len(current))
        current.append(attempt)
    return [attempt.run for attempt in current]


async def _takes_back(attempt: Attempt[T], earlier: Attempt[T], archive: RunArchive) -> bool:
    """Return whether a run with an earlier one's message answers that anew, and not a question of that run."""
    if attempt.record is not None and await _said_nothing(attempt.record, archive):
        return False
    return not (await _asks(earlier.record, archive) if attempt.answers is None else attempt.answers)


async def _said_nothing(record: RunRecord, archive: RunArchive) -> bool:
    """Return whether a run ended before its end without a word: it was refused, or stopped while it waited."""
    if record.status in ("running", "finished"):
        return False
    run = await archive.history_if_kept(record)
    return all(isinstance(event, _FRAME) for event in run)


async def _asks(record: RunRecord | None, archive: RunArchive) -> bool:
    """Return whether a run ended with a question."""
    if record is None or record.status == "running":
        return False
    run = await archive.history_if_kept(record)
    return any(isinstance(event, events.Custom) and event.name in events.QUESTIONS for event in run)
