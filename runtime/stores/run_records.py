"""What is kept of a run: its record, batches of its events, and their compacted form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from ..errors import StoreError
from ..events import Event
from .errors import StateEncodingError, StoreUnavailableError

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[Event])
_about_decoder = msgspec.json.Decoder(dict[str, Any])

RunOutcome: TypeAlias = Literal["finished", "failed", "cancelled", "broken"]
StoredStatus: TypeAlias = Literal["running", "finished", "failed", "cancelled", "broken"]


class RunLostError(StoreError):
    """The run is not this process's any longer: its lease ran out and another process has it, or it was deleted."""

    def __init__(self) -> None:
        super().__init__("This process may no longer write the run.")


class RunElsewhereError(StoreUnavailableError):
    """Another process has taken this one for dead, and has not closed the run yet."""

    def __init__(self) -> None:
        super().__init__("Another process is about to close the run.")


class RunCompactedError(StoreError):
    """The events that the reader lacks are no longer kept one by one: it reads again from the beginning."""

    def __init__(self) -> None:
        super().__init__("The events asked for are kept in compacted form only.")


class RunKey(NamedTuple):
    """A run's place: its thread, and its number there. Run ids are the client's and not unique."""

    thread_id: str
    number: int


class RunRecord(msgspec.Struct, kw_only=True, frozen=True):
    """What is kept of a run beside its events.

    ``number`` counts the thread's runs from 1. ``last`` is the number of the last event that is stored. ``about`` is
    what the runtime keeps with the run: JSON of its own choice. ``takeovers`` counts the processes that died with it.
    ``unsaved`` means that it has ended and its turn is not in its thread yet.
    """

    thread_id: str
    number: int
    run_id: str
    agent_name: str
    status: StoredStatus
    last: int
    about: dict[str, Any]
    started_at: datetime
    updated_at: datetime
    takeovers: int = 0
    unsaved: bool = False

    @property
    def key(self) -> RunKey:
        """The run's place."""
        return RunKey(self.thread_id, self.number)


class NewRun(NamedTuple):
    """A run that is about to begin."""

    thread_id: str
    run_id: str
    agent_name: str
    about: bytes
    lease: float | None = None
    """For how many seconds the run is its owner's; None for the duration in the settings."""
    durable: bool = True
    """Whether a crash of the store's server may not make it forget the run, before ``settle`` returns."""


class Progress(NamedTuple):
    """How far a run is stored, how it stands, and when it began: of a run that takes a deleted one's place, later."""

    last: int
    status: StoredStatus
    started: datetime


class Batch(NamedTuple):
    """Some of a run's events: the numbers of the first and the last of them, and the events as JSON."""

    first: int
    last: int
    payload: bytes


class Base(NamedTuple):
    """The compacted form of a run's events up to the number ``last``."""

    last: int
    payload: bytes


class RunPart(msgspec.Struct, kw_only=True, frozen=True):
    """A part of a run's events, up to the number ``last``.

    ``ended`` means that nothing follows it, ``more`` that more is stored already. ``started`` is when the run began.
    """

    events: list[Event]
    last: int
    ended: bool
    more: bool
    started: datetime


def stops_of(keys: Sequence[RunKey], lost: Iterable[int], stopping: Iterable[int]) -> dict[RunKey, bool]:
    """Return the runs that are still their writer's, and of each whether it is to stop.

    Args:
        keys: The runs, most of which simply go on.
        lost: The places of those that are the writer's no longer, counted from 1.
        stopping: The places of those that are to stop.
    """
    stops = dict.fromkeys(keys, False)
    for place in stopping:
        stops[keys[place - 1]] = True
    for place in lost:
        del stops[keys[place - 1]]
    return stops


def decode_about(payload: bytes) -> dict[str, Any]:
    """Return what was kept with a run.

    Raises:
        StateEncodingError: Something else wrote it.
    """
    try:
        return _about_decoder.decode(payload)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise StateEncodingError(f"What is kept of a run cannot be read: {error}") from error


def encode_json(value: Any) -> bytes:
    """Return events, or what is kept with a run, as JSON.

    Raises:
        StateEncodingError: JSON cannot express them.
    """
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise StateEncodingError(f"A run's events cannot be kept as JSON: {error}") from error


def decode_events(payload: bytes) -> list[Event]:
    """Return the events that ``encode_json`` was given.

    Raises:
        StateEncodingError: Something else wrote them.
    """
    try:
        return _decoder.decode(payload)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise StateEncodingError(f"What is kept of a run's events cannot be read: {error}") from error
