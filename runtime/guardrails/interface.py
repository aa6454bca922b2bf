"""The guardrail interface."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..context import RunContext
from ..messages import TextMessage


class Verdict(msgspec.Struct, frozen=True):
    """What a guardrail decided. ``reason`` is shown to the user."""

    allowed: bool
    reason: str = ""


ALLOWED = Verdict(allowed=True)


def denied(reason: str) -> Verdict:
    """Return a refusal with its reason."""
    return Verdict(allowed=False, reason=reason)


class InputCheck(msgspec.Struct, kw_only=True, frozen=True):
    """The last message of a person, to be judged before any agent or model is called.

    ``history`` are the texts of the person and the assistant before it. ``valid_topics`` and ``invalid_topics`` are
    the client's own lists (``guardrails_c``), ``cloud_key`` its Copilot Cloud public key.
    """

    text: str
    history: Sequence[TextMessage]
    context: RunContext
    agent_name: str | None = None
    valid_topics: Sequence[str] = ()
    invalid_topics: Sequence[str] = ()
    cloud_key: str | None = None


class OutputCheck(msgspec.Struct, kw_only=True, frozen=True):
    """The text of an answer so far, to be judged before the client is shown its end.

    ``text`` is a message from its beginning; ``complete`` is whether it has ended.
    """

    text: str
    complete: bool
    context: RunContext
    agent_name: str | None = None


class Guardrail:
    """Judges what people ask, what is answered, or both.

    It may raise when it cannot judge: the runtime's policy decides what happens then.
    """

    name: str = "guardrail"
    checks_output: bool = False
    """True if answers are to be judged as well, which holds back each text until it was."""

    async def check_input(self, check: InputCheck) -> Verdict:
        """Return whether the request may go on."""
        return ALLOWED

    async def check_output(self, check: OutputCheck) -> Verdict:
        """Return whether the answer may go on. Called again and again as a text grows."""
        return ALLOWED

    async def start(self) -> None:
        """Prepare; called once, before the first request."""

    async def stop(self) -> None:
        """Clean up; called once, after the last request."""
