"""An answer that is still being written: the contract's response together with the run that fills it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .projection import ResponseProjection
from .response import CopilotResponse
from .runs import Run


@dataclass(slots=True, eq=False, kw_only=True)
class LiveResponse(CopilotResponse):
    """The answer to ``generateCopilotResponse`` while its run goes on.

    One reader calls ``advance`` again and again, or ``complete`` once.
    """

    run: Run
    _projection: ResponseProjection = field(init=False)

    def __post_init__(self) -> None:
        self._projection = ResponseProjection(self, agent_name=self.run.agent_name, run_id=self.run.input.run_id)

    async def advance(self) -> bool:
        """Waits until the run has told more and shows it; false once the answer is complete."""
        batch = await self.run.read()
        for event in batch:
            self._projection.apply(event)
        return bool(batch)

    async def complete(self) -> None:
        """Waits until the answer is complete."""
        while await self.advance():
            pass
