"""Limits of a store, in size and time."""

from __future__ import annotations

import msgspec

_MEGABYTE = 1024 * 1024


class StoreSettings(msgspec.Struct, kw_only=True, frozen=True):
    """The limits of a store. Times are in seconds.

    ``ttl``: a thread is forgotten when nothing was written to it for so long; None for never.
    ``max_bytes``: the largest encoded entry.
    ``max_threads``, ``max_total_bytes``: what the memory store holds before it lets go of the threads that
    were not used for longest.
    ``max_runs``, ``max_run_bytes``: of how many runs of a thread, and of how many bytes, the events are kept; the
    oldest runs go first.
    ``run_ttl``: how long the events of a run are kept after its last one; None for as long as its thread.
    ``checkpoint_history``: of how many turns of a thread LangGraph's checkpoints are kept; None for all.
    ``pool_size``: connections to a server.
    ``connect_timeout``, ``command_timeout``: how long one connection, one command may take.
    ``retry_for``: how long what is safe to repeat is tried again while the server does not answer.
    ``lease``: how long a run lock outlives a holder that gives no sign of life.
    ``heartbeat``: how often a holder gives one, and learns that it was asked to stop.
    ``prefix``: what the keys in Redis begin with.
    """

    ttl: float | None = None
    max_bytes: int = 16 * _MEGABYTE
    max_threads: int = 10_000
    max_total_bytes: int = 256 * _MEGABYTE
    max_runs: int = 200
    max_run_bytes: int = 32 * _MEGABYTE
    run_ttl: float | None = None
    checkpoint_history: int | None = 5
    pool_size: int = 10
    connect_timeout: float = 5.0
    command_timeout: float = 5.0
    retry_for: float = 15.0
    lease: float = 20.0
    heartbeat: float = 1.0
    prefix: str = "copilotkit"

    @property
    def run_age(self) -> float | None:
        """How long a run's events are kept at most; None for ever."""
        return min((age for age in (self.ttl, self.run_ttl) if age is not None), default=None)
