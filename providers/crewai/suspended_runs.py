"""Runs that wait for a person."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .session import Session

Key = tuple[str, str]


class SuspendedRuns:
    """Keeps waiting sessions by thread and agent, for a limited time and up to a limited number.

    Args:
        size: How many may wait; one more drives out the one that waited longest.
        timeout: Seconds after which a waiting session is given up.
    """

    def __init__(self, size: int, timeout: float) -> None:
        self._size = size
        self._timeout = timeout
        self._waiting: dict[Key, tuple[Session, asyncio.TimerHandle]] = {}

    def put(self, key: Key, session: Session) -> None:
        """Keep ``session`` until it is taken or its time is over."""
        self.drop(key)
        while len(self._waiting) >= self._size:
            self.drop(next(iter(self._waiting)))
        timer = asyncio.get_running_loop().call_later(self._timeout, self.drop, key)
        self._waiting[key] = (session, timer)

    def take(self, key: Key) -> Session | None:
        """Remove and return the session that waits under ``key``."""
        session, timer = self._waiting.pop(key, (None, None))
        if timer is not None:
            timer.cancel()
        return session

    def drop(self, key: Key) -> None:
        """Give up the session that waits under ``key``, if one does."""
        session = self.take(key)
        if session is not None:
            session.cancel()

    def clear(self) -> None:
        """Give up all sessions."""
        for key in list(self._waiting):
            self.drop(key)
