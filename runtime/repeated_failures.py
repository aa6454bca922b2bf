"""Failures of what is tried again and again, each of which is news only once in a while."""

from __future__ import annotations

from collections.abc import Container
from time import monotonic

REMIND_SECONDS = 60.0
"""After how long a failure that lasts is news again."""


class RepeatedFailures:
    """Keeps which attempts fail, and since when that was reported."""

    def __init__(self) -> None:
        self._reported: dict[str, tuple[str, float]] = {}

    def is_news(self, work: str, error: Exception) -> bool:
        """Note that an attempt failed.

        Args:
            work: What was attempted.
            error: Why it failed.

        Returns:
            Whether it succeeded before, failed for another reason, or was reported long ago.
        """
        now, reason = monotonic(), f"{type(error).__name__}: {error}"
        before, since = self._reported.get(work, (None, 0.0))
        if before == reason and now - since < REMIND_SECONDS:
            return False
        self._reported[work] = (reason, now)
        return True

    def are_over(self, work: str) -> bool:
        """Note that an attempt succeeded, and return whether it failed before."""
        return self._reported.pop(work, None) is not None

    def keep(self, works: Container[str]) -> None:
        """Forget all but these."""
        self._reported = {work: last for work, last in self._reported.items() if work in works}
