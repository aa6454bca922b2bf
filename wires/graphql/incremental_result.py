"""An answer in parts, each to be taken when it is there."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, TypeAlias

from .incremental import IncrementalRenderer
from .live_response import LiveResponse

Payload: TypeAlias = dict[str, Any]


class IncrementalAnswer:
    """One operation's result in parts: the last one, and only that, says that none has next.

    Its reader writes ``first``, and until it is ``finished`` awaits ``arrival()`` and writes what it takes.

    Args:
        payload: The result as far as it is known at once.
        renderer: Writes what follows.
        responses: What follows, one after another.
    """

    def __init__(self, payload: Payload, renderer: IncrementalRenderer, responses: Iterable[LiveResponse]) -> None:
        self._renderer = renderer
        self._responses = deque(responses)
        self.finished = not renderer.has_next
        """Whether the last part has been taken."""
        self.first: Payload = {**payload, "hasNext": not self.finished}

    def arrival(self) -> asyncio.Future[None]:
        """Done once the run that is followed has told more, or has ended."""
        return self._responses[0].run.arrival()

    def take(self) -> Payload | None:
        """Return the next part; None if what has arrived shows nowhere."""
        response = self._responses[0]
        if not response.advance():
            self._responses.popleft()
        entries = self._renderer.advance(response.changed)
        self.finished = not (self._responses and self._renderer.has_next)
        if entries:
            return {"incremental": entries, "hasNext": not self.finished}
        return {"hasNext": False} if self.finished else None
