"""Batches: what comes shortly behind what was written waits for more, and is written with it."""

from __future__ import annotations

import asyncio


class Batching:
    """Spaces out what one stream writes. What comes after a silence does not wait.

    Args:
        seconds: How long after what was written last the next part is written at the earliest; 0 for at once.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._written_at = 0.0

    @property
    def waits(self) -> bool:
        """Whether anything ever waits."""
        return self._seconds > 0

    async def gather(self) -> None:
        """Wait until the next part may be written."""
        if not self._seconds:
            return
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._written_at + self._seconds - clock()))
        self._written_at = clock()
