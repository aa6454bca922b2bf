"""Batches: what comes shortly behind what was written waits for more, and is written with it.

A stream rests after it has written. So what comes meanwhile wakes nobody: a batch takes one timer and one turn of the
stream's task, however much is in it.
"""

from __future__ import annotations

import asyncio


class Batching:
    """Spaces out what one stream writes. What comes after a silence does not wait.

    Args:
        seconds: How long after what was written last the next part is written at the earliest; 0 for at once.
    """

    __slots__ = ("_seconds",)

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @property
    def waits(self) -> bool:
        """Whether anything ever waits."""
        return self._seconds > 0

    async def rest(self) -> None:
        """Wait, after something was written, until the next part may be."""
        if self._seconds:
            await asyncio.sleep(self._seconds)
