"""An answer that is still being written: the contract's response together with the run that fills it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...runtime.events import EXTENSIONS, Custom, Event, RunStarted
from ...runtime.runs.handle import RunHandle
from ...runtime.runs.log import Lagged
from .catch_up import missing_events
from .projection import ResponseProjection
from .response import PENDING, Channel, CopilotResponse


@dataclass(slots=True, eq=False, kw_only=True)
class LiveResponse(CopilotResponse):
    """The answer to ``generateCopilotResponse`` while its run goes on.

    One reader waits for ``run.arrival()`` and shows what it takes, again and again; or all call ``complete``.
    """

    run: RunHandle
    changed: dict[Channel[str] | None, None] = field(init=False, default_factory=dict)
    """What was shown last changed: the texts that went on or ended, ``ANSWER``, and None for anything else."""
    changed_last: Channel[str] | None = field(init=False, default=None)
    """The same of the last event that was shown."""
    _projection: ResponseProjection = field(init=False)
    _completing: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._projection = ResponseProjection(self, agent_name=self.run.agent_name, run_id=self.run.run_id)
        if self.run.sends_extensions:
            self.extensions = PENDING

    def take(self) -> Sequence[Event]:
        """Return what has come since the last call, for ``show``; nothing once the run has been read to its end."""
        try:
            return self.run.take()
        except Lagged:
            return list(missing_events(self, self.run.take_history()))

    def show(self, batch: Sequence[Event]) -> None:
        """Show events in the answer."""
        if self.extensions is PENDING and _begins_without_extensions(batch):
            self.extensions = None
        changes = list(map(self._projection.apply, batch))
        self.changed = dict.fromkeys(changes)
        self.changed_last = changes[-1] if changes else None

    def advance(self) -> bool:
        """Show what has come since the last call; false once the answer is complete."""
        batch = self.take()
        self.show(batch)
        return bool(batch)

    async def complete(self) -> None:
        """Wait until the answer is complete."""
        async with self._completing:
            await self.run.arrival()
            while self.advance():
                await self.run.arrival()


def _begins_without_extensions(batch: Sequence[Event]) -> bool:
    first = next((event for event in batch if type(event) is not RunStarted), None)
    if first is None:
        return not batch
    return not (isinstance(first, Custom) and first.name == EXTENSIONS)
