"""All actions that a runtime offers to a request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec
import structlog

from ..context import RunContext
from ..patience import within
from .action import Action
from .source import ActionSource

log = structlog.get_logger(__name__)


class Offer(msgspec.Struct, frozen=True):
    """What a request may use: actions by name, and how they are described to models."""

    actions: dict[str, Action] = {}
    guidance: tuple[str, ...] = ()


class ActionCatalogue:
    """The actions of several sources; the first of a name wins.

    Args:
        timeout: Seconds that a source may take to list what it offers. One that fails or is late offers nothing.
        sources: The sources.
        last: Sources that come after all others, those of a single request included.
    """

    def __init__(self, timeout: float, sources: Iterable[ActionSource] = (), last: Iterable[ActionSource] = ()) -> None:
        self._timeout = timeout
        self._first = tuple(sources)
        self._last = tuple(last)

    async def start(self) -> None:
        """Start the sources."""
        for source in (*self._first, *self._last):
            await source.start()

    async def stop(self) -> None:
        """Stop the sources, the last one first."""
        for source in reversed((*self._first, *self._last)):
            await source.stop()

    async def offer(self, agent: str, context: RunContext, more: Iterable[ActionSource] = ()) -> Offer:
        """Return what the request may use.

        Args:
            agent: The agent that runs; the model is ``default``.
            context: The request's context.
            more: More sources for this request.
        """
        sources = [*self._first, *more, *self._last]
        listed = await self._ask_all(sources, context)
        offered: dict[str, Action] = {}
        guidance: list[str] = []
        for source, actions in zip(sources, listed, strict=True):
            new: dict[str, Action] = {}
            for one in actions:
                if one.name not in offered and one.is_for(agent):
                    new.setdefault(one.name, one)
            offered |= new
            text = source.guidance(list(new.values())) if new else None
            guidance += [text] if text else []
        return Offer(offered, tuple(guidance))

    async def _ask_all(self, sources: Sequence[ActionSource], context: RunContext) -> Sequence[Sequence[Action]]:
        if sum(source.waits for source in sources) > 1:
            return await asyncio.gather(*(self._ask(source, context) for source in sources))
        # Without tasks, which would take two turns of the loop.
        return [await self._ask(source, context) for source in sources]

    async def _ask(self, source: ActionSource, context: RunContext) -> Sequence[Action]:
        try:
            return await within(max(self._timeout, source.seconds), source.actions(context))
        except Exception:
            log.exception("actions_not_listed", source=source.name)
            return ()
