"""What a client makes readable for agents, and its shared state, as instructions of a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import structlog

from ...runtime.context import ContextItem, RunInput
from ...runtime.messages import Message, TextMessage

log = structlog.get_logger(__name__)

MAX_STATE_BYTES = 32_768
"""A larger state is left out: it would leave little of what a model can read for the conversation."""

_CONTEXT = "What the application shows:"
_STATE = "The state of the application, as JSON:"


def with_client_context(run: RunInput, messages: Sequence[Message]) -> list[Message]:
    """Return a thread with what the client lets the model read in its first system message, or in a new one.

    Clients of GraphQL write it into a system message themselves; what is in one already is not repeated.

    Args:
        run: The run, with the context and the state.
        messages: Its thread.
    """
    system = [message.content for message in messages if isinstance(message, TextMessage) and message.role == "system"]
    parts = [*_context(run.context, system), *_state(run)]
    if not parts:
        return list(messages)
    text, first = "\n\n".join(parts), messages[0] if messages else None
    if isinstance(first, TextMessage) and first.role == "system":
        return [msgspec.structs.replace(first, content=f"{first.content}\n\n{text}"), *messages[1:]]
    return [TextMessage(role="system", content=text), *messages]


def _context(items: Iterable[ContextItem], system: Sequence[str]) -> list[str]:
    new = [item for item in items if item.value and not any(item.value in text for text in system)]
    shown = [f"{item.description}:\n{item.value}" if item.description else item.value for item in new]
    return [_CONTEXT, *shown] if shown else []


def _state(run: RunInput) -> list[str]:
    if not run.state:
        return []
    text = msgspec.json.encode(run.state).decode()
    if len(text) > MAX_STATE_BYTES:
        log.warning("state_not_shown_to_model", thread_id=run.thread_id, characters=len(text))
        return []
    return [f"{_STATE}\n{text}"]
