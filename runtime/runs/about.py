"""What is kept with a run beside its events, by the names under which its record has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..messages import Message

UNIQUE_ID = "unique_id"
"""The runtime's own id of it, for ``run_id`` is the client's (unknown of runs of earlier releases),"""
MESSAGES = "messages"
"""the messages that came with it,"""
ANSWERS = "answers"
"""whether it was to answer the questions of the run before it (unknown of runs of earlier releases),"""
REQUEST = "request"
"""while it goes on, and may be taken over, its request,"""
ENVELOPE = "envelope"
"""while it goes on, and another process than the one that took its request executes it, what that one handed over,"""
ALIASES = "aliases"
"""the ids under which the agent keeps messages and calls that were shown under others,"""
STORED = "stored"
"""and if another process closed it, the number of the last event that its own had stored."""
_UNTIL_THE_END = (REQUEST, ENVELOPE)

_messages = msgspec.json.Decoder(list[Message])


def brought_by(about: Mapping[str, Any]) -> list[Message]:
    """Return the messages that came with a run, from what is kept with it."""
    return _messages.decode(msgspec.json.encode(about.get(MESSAGES, [])))


def about_ended(about: Mapping[str, Any], aliases: Mapping[str, str] | None = None) -> dict[str, Any] | None:
    """Return what stays with a run that has ended, without what executing it needed; None for all of it.

    Args:
        about: What was kept with the run until then.
        aliases: The ids under which the agent keeps what was shown under others.
    """
    if not any(name in about for name in _UNTIL_THE_END) and not aliases:
        return None
    kept = {name: value for name, value in about.items() if name not in _UNTIL_THE_END}
    return {**kept, **({ALIASES: dict(aliases)} if aliases else {})}
