"""The events with which a model call's message begins, goes on and ends."""

from __future__ import annotations

from ...runtime.events import Event, ReasoningMessageContent, TextMessageContent, TextMessageStart
from ...runtime.messages import new_id
from .. import event_groups
from .model_call import ModelCall


def begin(call: ModelCall) -> str:
    """Return the message's id, which from here on stays as it is."""
    call.begun = True
    call.id = call.id or new_id()
    return call.id


def write(call: ModelCall, text: str, events: list[Event]) -> None:
    """Add the events of more text to ``events``."""
    if not call.shows_text:
        call.shows_text = True
        events.extend(end_reasoning(call))
        events.append(TextMessageStart(message_id=begin(call)))
    events.append(TextMessageContent(message_id=call.id, delta=text))


def reason(call: ModelCall, text: str, events: list[Event]) -> None:
    """Add the events of more reasoning to ``events``."""
    if not text:
        return
    if not call.shows_reasoning:
        call.shows_reasoning = True
        events.extend(event_groups.begin_reasoning(f"{begin(call)}-reasoning"))
    events.append(ReasoningMessageContent(message_id=f"{call.id}-reasoning", delta=text))


def end_reasoning(call: ModelCall) -> list[Event]:
    """Return the events that close the call's reasoning, if it is open."""
    if not call.shows_reasoning:
        return []
    call.shows_reasoning = False
    return event_groups.end_reasoning(f"{call.id}-reasoning")
