"""The events with which a model call's message begins, goes on and ends."""

from __future__ import annotations

from ...runtime.events import (
    Event,
    ReasoningEnd,
    ReasoningMessageContent,
    ReasoningMessageEnd,
    ReasoningMessageStart,
    ReasoningStart,
    TextMessageContent,
    TextMessageEnd,
    TextMessageStart,
)
from ...runtime.messages import new_id
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
        id_ = f"{begin(call)}-reasoning"
        events.append(ReasoningStart(message_id=id_))
        events.append(ReasoningMessageStart(message_id=id_))
    events.append(ReasoningMessageContent(message_id=f"{call.id}-reasoning", delta=text))


def end_reasoning(call: ModelCall) -> list[Event]:
    """Return the events that close the call's reasoning, if it is open."""
    if not call.shows_reasoning:
        return []
    call.shows_reasoning = False
    id_ = f"{call.id}-reasoning"
    return [ReasoningMessageEnd(message_id=id_), ReasoningEnd(message_id=id_)]


def text_message(id_: str, text: str) -> list[Event]:
    """Return the events of a text message that is there as a whole."""
    return [
        TextMessageStart(message_id=id_),
        TextMessageContent(message_id=id_, delta=text),
        TextMessageEnd(message_id=id_),
    ]
