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

    One reader waits for ``run.arrival()`` and calls ``advance``, again and again; or all call ``complete``.
    """

    run: RunHandle
    changed: dict[Channel[str] | None, None] = field(init=False, default_factory=dict)
    """What the last ``advance`` changed: the texts that merely went on, and None for all else."""
    _projection: ResponseProjection = field(init=False)
    _completing: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._projection = ResponseProjection(self, agent_name=self.run.agent_name, run_id=self.run.run_id)
        if self.run.sends_extensions:
            self.extensions = PENDING

    def advance(self) -> bool:
        """Show what the run has told since the last call; false once the answer is complete."""
        try:
            batch = self.run.take()
        except Lagged:
            batch = list(missing_events(self, self.run.take_history()))
        if self.extensions is PENDING and _begins_without_extensions(batch):
            self.extensions = None
        apply = self._projection.apply
        self.changed = dict.fromkeys(map(apply, batch))
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
