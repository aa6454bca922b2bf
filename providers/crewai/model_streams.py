"""The answers of models that a stopped run was reading."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

import structlog

_READERS = ("crewai.llm.", "crewai.llms.")
"""The modules whose functions read what a model streams. ``.`` ends a name, so that it can be compared as a prefix."""

log = structlog.get_logger(__name__)


def close_streams(stopped: BaseException) -> None:
    """Close the streams that the functions which ``stopped`` went through were reading, and drop what they hold.

    CrewAI leaves them to the garbage collector, because a stream of the OpenAI package refers to itself: until then the
    vendor writes, and is paid. Collecting all garbage would hold up every other run of the process meanwhile.

    Args:
        stopped: What ended the run; called in the run's thread.
    """
    _close(frame for frame, _ in traceback.walk_tb(stopped.__traceback__))
    traceback.clear_frames(stopped.__traceback__)


def close_streams_of_caller() -> None:
    """Close the streams that the calling thread reads: the run's own may never see what ended it."""
    _close(frame for frame, _ in traceback.walk_stack(None))


def _close(frames: Iterable[FrameType]) -> None:
    for stream in _streams(frames):
        try:
            stream.close()
        except Exception:  # Whatever a vendor's package raises of a connection that is gone
            log.debug("model_stream_not_closed", exc_info=True)


def _streams(frames: Iterable[FrameType]) -> Iterator[Any]:
    for frame in frames:
        if f"{frame.f_globals.get('__name__', '')}.".startswith(_READERS):
            for value in frame.f_locals.values():
                # LiteLLM wraps the vendor's stream, and does not close it itself.
                for stream in (value, getattr(value, "completion_stream", None)):
                    if isinstance(stream, Iterator) and callable(getattr(stream, "close", None)):
                        yield stream
