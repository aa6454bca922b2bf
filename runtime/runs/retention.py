"""Let go of what ended runs need no longer, a little at a time."""

from __future__ import annotations

import random

from ..stores.run_log import TRIMMED_AT_ONCE, RunLogStore
from ..sweeper import Sweeper

TRIM_SECONDS = 20.0
_MOST_OPERATIONS = 40
"""How many operations one sweep does, so that a store with much to let go of is not busy with that alone."""


class RunRetention:
    """Trims the runs that have ended, in each process that uses the store.

    Args:
        store: Where the events of runs are kept.
    """

    def __init__(self, store: RunLogStore) -> None:
        self._store = store
        self._sweeper = Sweeper("ended-runs", self.sweep, lambda: random.uniform(0.5, 1.5) * TRIM_SECONDS)  # noqa: S311

    def start(self) -> None:
        """Begin to trim, if the store outlives the process."""
        if self._store.shared:
            self._sweeper.start()

    async def stop(self) -> None:
        """End what ``start`` began."""
        await self._sweeper.stop()

    async def sweep(self) -> None:
        """Trim what has ended since the last time.

        Raises:
            StoreError: The store failed.
        """
        for _ in range(_MOST_OPERATIONS):
            if await self._store.trim() < TRIMMED_AT_ONCE:
                return
