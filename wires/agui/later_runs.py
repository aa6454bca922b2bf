"""The runs that begin in a thread while a client stays connected to it."""

from __future__ import annotations

from ...runtime.errors import ThreadNotFoundError
from ...runtime.runs.next_runs import NextRuns
from .past import Past

STRANGER_SECONDS = 1.0
"""How often a thread is looked for that is not there, or not the caller's: either may change."""


class LaterRuns:
    """Waits for what comes in a thread behind what a client has got.

    Args:
        runs: Reports runs as they begin.
        past: What the client has not got.
    """

    def __init__(self, runs: NextRuns, past: Past) -> None:
        self._runs = runs
        self._past = past
        self._over = False
        self._watch = runs.watch(past.thread_id)

    async def come(self) -> bool:
        """Wait until the thread has more for the client; return False once it will get no more."""
        while True:
            self._watch_as_kept()
            seconds = STRANGER_SECONDS if self._past.last is None else None
            if self._over or not await self._watch.wait(self._past.last, seconds) or self._over:
                return False
            if await self._load():
                return True

    def end(self) -> None:
        """Let nothing more come."""
        self._over = True
        self._watch.note()

    def close(self) -> None:
        """Wait no longer."""
        self._watch.close()

    async def _load(self) -> bool:
        try:
            await self._past.load()
        except ThreadNotFoundError:
            return False
        return not self._past.is_empty

    def _watch_as_kept(self) -> None:
        """Watch the thread under the id that it is kept under, which may be another spelling of the client's."""
        if self._watch.thread_id != self._past.thread_id:
            self._watch.close()
            self._watch = self._runs.watch(self._past.thread_id)
            self._watch.note()
