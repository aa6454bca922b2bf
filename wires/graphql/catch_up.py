"""Events that a response lacks after its reader has fallen behind the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import msgspec

from ...runtime import events
from .response import ActionExecutionMessageOutput, CopilotResponse, MessageOutput, Pending, TextMessageOutput

_Start: TypeAlias = events.TextMessageStart | events.ToolCallStart
_Content: TypeAlias = events.TextMessageContent | events.ToolCallArgs
_End: TypeAlias = events.TextMessageEnd | events.ToolCallEnd

_QUESTIONS = frozenset((events.INTERRUPT, events.COPILOTKIT_INTERRUPT, "LangGraphInterruptEvent"))


def missing_events(response: CopilotResponse, history: Iterable[events.Event]) -> Iterator[events.Event]:
    """Yield what ``history``, a run's whole and compacted events, says beyond what ``response`` shows.

    Texts and arguments go on where the response ends, messages that it shows are left out, and so are as many
    questions as it has. The state comes once more: it replaces the one shown.
    """
    shown = {message.id: message for message in response.messages.items}
    lengths = {id_: _length(message) for id_, message in shown.items()}
    questions = len(response.meta_events)
    for event in history:
        if isinstance(event, events.Custom) and event.name in _QUESTIONS and questions:
            questions -= 1
        elif isinstance(event, events.ToolCallResult) and f"result-{event.tool_call_id}" in shown:
            continue
        elif isinstance(event, _Start | _Content | _End) and (message := shown.get(_id_of(event))) is not None:
            yield from _rest(event, message, lengths)
        else:
            yield event


def _rest(event: _Start | _Content | _End, message: MessageOutput, lengths: dict[str, int]) -> Iterator[events.Event]:
    if not isinstance(message.status, Pending) or isinstance(event, _Start):
        return
    if isinstance(event, _End):
        yield event
        return
    skipped = min(lengths[message.id], len(event.delta))
    lengths[message.id] -= skipped
    if skipped < len(event.delta):
        yield msgspec.structs.replace(event, delta=event.delta[skipped:])


def _id_of(event: _Start | _Content | _End) -> str:
    if isinstance(event, events.TextMessageStart | events.TextMessageContent | events.TextMessageEnd):
        return event.message_id
    return event.tool_call_id


def _length(message: MessageOutput) -> int:
    if isinstance(message, TextMessageOutput):
        return sum(map(len, message.content))
    return sum(map(len, message.arguments)) if isinstance(message, ActionExecutionMessageOutput) else 0
