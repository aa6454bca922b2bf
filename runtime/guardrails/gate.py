"""Asks the guardrails, within their time, and follows the policy when one of them cannot judge."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, TypeAlias

import structlog

from ..context import RunContext
from ..errors import CopilotKitError, GuardrailsDeniedError
from ..messages import Message, TextMessage, last_said
from .interface import ALLOWED, Guardrail, InputCheck, OutputCheck, Verdict

log = structlog.get_logger(__name__)

FailurePolicy: TypeAlias = Literal["open", "closed"]

UNAVAILABLE = "An unknown error has occurred in the guardrails validation"


class GuardrailGate:
    """Lets texts pass that all guardrails allow; they are called in order, and the first refusal counts.

    Args:
        guardrails: Who judges.
        on_failure: What becomes of a text when one of them fails, or takes too long: ``open`` lets it pass, ``closed``
            ends the run with an error.
        timeout: Seconds that each of them may take.
    """

    def __init__(self, guardrails: Sequence[Guardrail], on_failure: FailurePolicy, timeout: float) -> None:
        self.guardrails = tuple(guardrails)
        self._on_failure = on_failure
        self._timeout = timeout
        self._judging: set[asyncio.Task[Verdict]] = set()

    @property
    def checks_output(self) -> bool:
        """Whether answers have to be judged."""
        return any(guardrail.checks_output for guardrail in self.guardrails)

    def joined_by(self, *more: Guardrail) -> GuardrailGate:
        """Return the same with further guardrails behind the others."""
        joined = GuardrailGate((*self.guardrails, *more), self._on_failure, self._timeout)
        joined._judging = self._judging
        return joined

    async def check_input(self, check: InputCheck) -> None:
        """Let a request pass.

        Raises:
            GuardrailsDeniedError: It is refused.
            CopilotKitError: It could not be judged, and the policy is ``closed``.
        """
        for guardrail in self.guardrails:
            await self._judge(guardrail, guardrail.check_input, check)

    async def check_output(self, check: OutputCheck) -> None:
        """Let a part of an answer pass. Raises as ``check_input``."""
        for guardrail in self.guardrails:
            if guardrail.checks_output:
                await self._judge(guardrail, guardrail.check_output, check)

    async def _judge(self, guardrail: Guardrail, judge: Callable[[Any], Awaitable[Verdict]], check: object) -> None:
        try:
            verdict = await self._verdict(judge, check)
        except Exception as error:
            log.exception("guardrail_failed", guardrail=guardrail.name, policy=self._on_failure)
            if self._on_failure == "closed":
                raise CopilotKitError(UNAVAILABLE) from error
            verdict = ALLOWED
        if not verdict.allowed:
            raise GuardrailsDeniedError(verdict.reason)

    async def _verdict(self, judge: Callable[[Any], Awaitable[Verdict]], check: object) -> Verdict:
        judging = asyncio.create_task(_awaited(judge(check)), name="guardrail")
        self._judging.add(judging)
        judging.add_done_callback(self._forget)
        try:
            # Not a timeout around the guardrail itself: it might not let itself be cancelled.
            done, _ = await asyncio.wait([judging], timeout=self._timeout)
        finally:
            judging.cancel()
        if not done:
            raise TimeoutError
        return judging.result()

    def _forget(self, judging: asyncio.Task[Verdict]) -> None:
        self._judging.discard(judging)
        if not judging.cancelled():
            # It may be that nobody waits for the verdict any longer.
            judging.exception()


async def _awaited(judged: Awaitable[Verdict]) -> Verdict:
    return await judged


def input_check(
    messages: Sequence[Message],
    context: RunContext,
    *,
    agent_name: str | None,
    rules: dict[str, Any],
    cloud_key: str | None,
) -> InputCheck | None:
    """Return what is to be judged of a thread: the texts of its last message if that is a person's, else nothing.

    Args:
        messages: The thread.
        context: The request's context.
        agent_name: The agent that is asked.
        rules: The client's own lists (``GuardrailsRuleInput``).
        cloud_key: The client's Copilot Cloud public key.
    """
    said = [message for message in last_said(messages) if isinstance(message, TextMessage)]
    if not said:
        return None
    judged = set(map(id, said))  # one message may equal another one
    spoken = (message for message in messages if isinstance(message, TextMessage) and id(message) not in judged)
    return InputCheck(
        text="\n".join(message.content for message in said),
        history=[message for message in spoken if message.role in ("user", "assistant")],
        context=context,
        agent_name=agent_name,
        valid_topics=tuple(rules.get("allow_list") or ()),
        invalid_topics=tuple(rules.get("deny_list") or ()),
        cloud_key=cloud_key,
    )
