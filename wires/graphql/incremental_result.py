"""An answer in parts, each to be taken when it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, TypeAlias

from ...runtime.events import Event
from ..http.streaming import PartSink
from .formats import encode
from .incremental import IncrementalRenderer
from .live_response import LiveResponse
from .text_continuation import TextContinuation, continued_text

Payload: TypeAlias = dict[str, Any]


class IncrementalAnswer:
    """One operation's result in parts; ``hasNext`` is false in the last one alone.

    Its reader writes ``first``, and until it is ``finished`` awaits ``arrival()`` and writes what it takes.

    Args:
        payload: The result as far as it is known at once.
        renderer: Writes what follows.
        responses: What follows, one after another.
    """

    __slots__ = ("_renderer", "_responses", "_text", "finished", "first")

    def __init__(self, payload: Payload, renderer: IncrementalRenderer, responses: Iterable[LiveResponse]) -> None:
        self._renderer = renderer
        self._responses = list(responses)
        self._text: TextContinuation | None = None
        self.finished = not renderer.has_next
        """Whether the last part has been taken."""
        self.first = encode({**payload, "hasNext": not self.finished})

    def arrival(self, sink: PartSink | None = None) -> asyncio.Future[None]:
        """Return a future that is done once the run that is followed has appended more, or has ended.

        Until then, the pieces of a text that goes on are written to ``sink`` where they are appended.
        """
        run, text = self._responses[0].run, self._text
        if sink is None or text is None:
            return run.arrival()
        return run.arrival(partial(text.push, sink))

    def take(self) -> bytes | None:
        """Return the next part, in JSON; None if what has arrived shows nowhere."""
        response = self._responses[0]
        batch = response.take()
        if self._text is not None:
            part = self._text.part(batch)
            if part is not None:
                return part or None
        payload = self._show(response, batch)
        return None if payload is None else encode(payload)

    def _show(self, response: LiveResponse, batch: Sequence[Event]) -> Payload | None:
        response.show(batch)
        if not batch:
            del self._responses[0]
        entries = self._renderer.advance(response.changed)
        last = response.changed_last
        self._text = continued_text(self._renderer, last, batch[-1]) if last is not None else None
        self.finished = not (self._responses and self._renderer.has_next)
        if entries:
            return {"incremental": entries, "hasNext": not self.finished}
        return {"hasNext": False} if self.finished else None
