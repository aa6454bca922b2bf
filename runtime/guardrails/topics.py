"""Allow and deny lists of topics, matched in this process."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

from ..errors import MisuseError
from .interface import ALLOWED, Guardrail, InputCheck, OutputCheck, Verdict, denied

Topic: TypeAlias = str | re.Pattern[str]

DENIED = "This topic is not allowed."
NOT_ALLOWED = "Only certain topics are allowed, and this is none of them."


class TopicGuardrail(Guardrail):
    """Looks for topics in texts.

    A topic is a word or phrase, found as whole words whatever their case, or a compiled regular expression, which is
    searched for. What is on both lists is denied.

    Args:
        allow: If given, what people ask must be about one of these.
        deny: What people ask must be about none of these.
        deny_output: What answers must be about none of these.
        reason: What a refusal shows; None for a general text.

    Raises:
        MisuseError: A topic has no letter, so that it would be found everywhere.
    """

    name = "topics"

    def __init__(
        self,
        *,
        allow: Iterable[Topic] = (),
        deny: Iterable[Topic] = (),
        deny_output: Iterable[Topic] = (),
        reason: str | None = None,
    ) -> None:
        self._allow = _patterns(allow)
        self._deny = _patterns(deny)
        self._deny_output = _patterns(deny_output)
        self._reason = reason
        self.checks_output = bool(self._deny_output)

    async def check_input(self, check: InputCheck) -> Verdict:
        """Return whether the text is about what it may be about."""
        if _found(self._deny, check.text):
            return denied(self._reason or DENIED)
        if self._allow and not _found(self._allow, check.text):
            return denied(self._reason or NOT_ALLOWED)
        return ALLOWED

    async def check_output(self, check: OutputCheck) -> Verdict:
        """Return whether the answer is about what it may be about."""
        return denied(self._reason or DENIED) if _found(self._deny_output, check.text) else ALLOWED


def _patterns(topics: Iterable[Topic]) -> list[re.Pattern[str]]:
    return [_phrase(topic) if isinstance(topic, str) else topic for topic in topics]


def _phrase(topic: str) -> re.Pattern[str]:
    if not topic.strip():
        raise MisuseError("A topic is empty: it would be found in every text.")
    words = r"\s+".join(re.escape(word) for word in topic.split())
    return re.compile(rf"(?<!\w){words}(?!\w)", re.IGNORECASE)


def _found(patterns: Iterable[re.Pattern[str]], text: str) -> bool:
    return any(pattern.search(text) for pattern in patterns)
