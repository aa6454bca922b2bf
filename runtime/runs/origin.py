"""Where a run comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..stores.run_records import RunRecord
from .continuation import Continuation


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What is known of a run before it is prepared, if its request was not taken by this process a moment ago."""

    record: RunRecord | None = None
    """Its record, if another process has made one."""
    past: Continuation | None = None
    """What another process has done of it."""
    refused: Exception | None = None
    """Why it fails at once."""
    judged: bool = False
    """Whether guardrails have let its input pass."""
    settled: Callable[[], None] = lambda: None
    """Called once a crash of the store's server cannot undo that this process took it."""


HERE = Origin()
