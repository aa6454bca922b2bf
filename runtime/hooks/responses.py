"""Reports a run's text to the response hook as it comes, without making the run wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import structlog

from .. import events
from ..runs.stages import Emit, Stage
from .calls import HookCalls
from .interface import Hook, ObservedResponse

log = structlog.get_logger(__name__)

CHUNKS_BOUND = 1024


class ResponseFeed:
    """Reports one run's responses to a hook, one after the other and in their order, until it is closed.

    A hook that cannot keep up misses chunks, which is logged with their number, but never the final response.

    Args:
        calls: Calls the hook.
        hook: The hook.
    """

    def __init__(self, calls: HookCalls, hook: Hook[ObservedResponse]) -> None:
        self._calls = calls
        self._hook = hook
        self._waiting: deque[ObservedResponse] = deque()
        self._missed = 0
        self._reporting: asyncio.Task[None] | None = None
        self._more: asyncio.Future[None] | None = None
        self._closed = False

    def put(self, response: ObservedResponse) -> None:
        """Add a response to be reported."""
        if response.is_progressive_chunk and len(self._waiting) >= CHUNKS_BOUND:
            self._missed += 1
            return
        if response.is_final_response and self._missed:
            log.warning("chunks_not_observed", run_id=response.run_id, missed=self._missed)
        self._waiting.append(response)
        if self._reporting is None:
            self._reporting = self._calls.own(self._report_all())
        elif self._more is not None:
            self._wake()

    def close(self) -> None:
        """Report what has been put, and then no more."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        more, self._more = self._more, None
        if more is not None and not more.done():
            more.set_result(None)

    async def _report_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._calls.notify_all(self._hook, self._waiting)
            if self._closed:
                return
            self._more = loop.create_future()
            await self._more


class ChunkStage(Stage):
    """Passes all events on, and notes the texts among them.

    Args:
        emit: Where events go on to.
        note: Called with each chunk of text, once it has been passed on.
    """

    def __init__(self, emit: Emit, note: Callable[[str], None]) -> None:
        super().__init__(emit)
        self._note = note

    async def feed(self, event: events.Event) -> None:
        """Take the next event."""
        await self.emit(event)
        if type(event) is events.TextMessageContent:
            self._note(event.delta)
