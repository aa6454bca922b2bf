"""The runs that begin in a thread while a client stays connected to it."""

from __future__ import annotations

from collections.abc import Mapping
from time import time
from typing import Any

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
        expires: Until when the client may read, in seconds since 1970; None for ever.
    """

    def __init__(self, runs: NextRuns, past: Past, expires: float | None = None) -> None:
        self._runs = runs
        self._past = past
        self._expires = expires
        self._watch = runs.watch(past.thread_id)

    async def come(self) -> bool:
        """Wait until the thread has more for the client; return False once it will get no more."""
        while True:
            self._watch_as_kept()
            seconds = self._patience()
            if seconds is not None and seconds <= 0:
                return False
            if not await self._watch.wait(self._past.last, seconds):
                return False
            if await self._load():
                return True

    def close(self) -> None:
        """Wait no longer."""
        self._watch.close()

    async def _load(self) -> bool:
        try:
            await self._past.load()
        except ThreadNotFoundError:
            return False
        return not self._past.is_empty

    def _patience(self) -> float | None:
        left = None if self._expires is None else self._expires - time()
        if self._past.last is not None:
            return left
        return STRANGER_SECONDS if left is None else min(left, STRANGER_SECONDS)

    def _watch_as_kept(self) -> None:
        """Watch the thread under the id that it is kept under, which may be another spelling of the client's."""
        if self._watch.thread_id != self._past.thread_id:
            self._watch.close()
            self._watch = self._runs.watch(self._past.thread_id)
            self._watch.note()


def expiry_of(claims: Mapping[str, Any]) -> float | None:
    """Return when a caller's credentials end, in seconds since 1970, if they say so."""
    expires = claims.get("exp")
    return float(expires) if isinstance(expires, int | float) and not isinstance(expires, bool) else None
