"""Events that a response lacks after its reader has fallen behind the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ...runtime import events
from ...runtime.runs.catch_up import EventKey, ReadEvents
from .response import (
    ActionExecutionMessageOutput,
    Channel,
    CopilotResponse,
    Pending,
    ResultMessageOutput,
    TextMessageOutput,
)


def missing_events(response: CopilotResponse, history: Iterable[events.Event]) -> Iterator[events.Event]:
    """Return what ``history``, a run's whole and compacted events, holds beyond what ``response`` shows.

    Texts and arguments go on where the response ends, messages that it shows are left out, and so are as many
    questions as it has. The state comes once more: it replaces the one shown.
    """
    return _read_of(response).rest_of(history)


def _read_of(response: CopilotResponse) -> ReadEvents:
    once: set[EventKey] = set()
    characters: Counter[EventKey] = Counter()
    for message in response.messages.items:
        if isinstance(message, TextMessageOutput):
            once |= _bounds(message.id, events.TextMessageStart, events.TextMessageEnd, message.status)
            characters[events.TextMessageContent, message.id] = _length(message.content)
        elif isinstance(message, ActionExecutionMessageOutput):
            once |= _bounds(message.id, events.ToolCallStart, events.ToolCallEnd, message.status)
            characters[events.ToolCallArgs, message.id] = _length(message.arguments)
        elif isinstance(message, ResultMessageOutput):
            once.add((events.ToolCallResult, message.action_execution_id))
    return ReadEvents(once, characters, len(response.meta_events), lambda event: event.name in events.QUESTIONS)


def _length(text: Channel[str]) -> int:
    return text.dropped_length + sum(map(len, text.items))


def _bounds(id_: str, start: type[events.Event], end: type[events.Event], status: object) -> set[EventKey]:
    return {(start, id_)} if isinstance(status, Pending) else {(start, id_), (end, id_)}
