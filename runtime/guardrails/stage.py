"""Holds an answer's texts back until the guardrails have judged them."""

from __future__ import annotations

from .. import events
from ..context import RunContext
from ..runs.growing_text import GrowingText
from ..runs.stages import Emit, Stage
from .gate import GuardrailGate
from .interface import OutputCheck

WINDOW = 200
SHARE = 50
"""A portion is at least this part of its text: were all of a long text judged again for each few words, judging would
take the square of its length."""


class OutputGuardStage(Stage):
    """Shows a text in portions, each only after the whole text so far was allowed.

    A portion ends with its message, before any other event, and when it has grown to ``WINDOW`` characters, or to a
    fiftieth of a text of more than 10,000.

    Args:
        emit: Where events go on to.
        gate: Judges; a refusal ends the run.
        context: The request's context.
        agent_name: Who answers.
    """

    def __init__(self, emit: Emit, gate: GuardrailGate, context: RunContext, agent_name: str | None) -> None:
        super().__init__(emit)
        self._gate = gate
        self._context = context
        self._agent_name = agent_name
        self._texts: dict[str, GrowingText] = {}
        self._buffer: list[events.TextMessageContent] = []
        self._buffered = 0  # its characters
        self._judged = 0  # how many characters of a text that goes on were judged
        self._refused = False

    async def feed(self, event: events.Event) -> None:
        """Take the next event.

        Raises:
            GuardrailsDeniedError: What was held back may not be shown.
        """
        if self._refused:
            return
        if isinstance(event, events.TextMessageContent):
            if self._hold(event):
                await self._release(None)
            return
        ended = event.message_id if isinstance(event, events.TextMessageEnd) else None
        await self._release(ended)
        if ended is not None:
            self._texts.pop(ended, None)
        await self.emit(event)

    async def finish(self) -> None:
        """Show what is still held back. Raises as ``feed``."""
        if not self._refused:
            await self._release(None)

    def _hold(self, event: events.TextMessageContent) -> bool:
        """Hold a piece back; return whether what is held back makes a portion."""
        text = self._texts.get(event.message_id)
        if text is None:
            text = self._texts[event.message_id] = GrowingText()
        text.pieces.append(event.delta)
        self._buffer.append(event)
        self._buffered += len(event.delta)
        return self._buffered >= WINDOW and self._buffered >= self._judged // SHARE

    async def _release(self, ended: str | None) -> None:
        unjudged = dict.fromkeys([event.message_id for event in self._buffer])
        if ended in self._texts:
            unjudged[ended] = None
        for id_ in unjudged:
            await self._judge(id_, complete=id_ == ended)
        held, self._buffer, self._buffered = self._buffer, [], 0
        for event in held:
            await self.emit(event)

    async def _judge(self, id_: str, *, complete: bool) -> None:
        text = self._texts[id_]
        text.fold()
        whole = text.value()
        self._judged = 0 if complete else len(whole)
        check = OutputCheck(text=whole, complete=complete, context=self._context, agent_name=self._agent_name)
        self._refused = True
        await self._gate.check_output(check)
        self._refused = False
