"""An entry as bytes: the JSON object that holds its state and messages."""

from __future__ import annotations

from typing import Any

import msgspec

from ..messages import Message
from .errors import StateEncodingError, StateTooLargeError
from .interface import AgentState


class _Entry(msgspec.Struct):
    state: dict[str, Any]
    messages: list[Message]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Entry)


def encode(state: AgentState, max_bytes: int) -> bytes:
    """Return the bytes to keep for ``state``.

    Raises:
        StateTooLargeError: They are more than ``max_bytes``.
        StateEncodingError: JSON cannot express the state.
    """
    try:
        payload = _encoder.encode(_Entry(state.state, state.messages))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise StateEncodingError(f"The agent's state cannot be stored as JSON: {error}") from error
    if len(payload) > max_bytes:
        raise StateTooLargeError(len(payload), max_bytes)
    return payload


def decode(payload: bytes) -> AgentState:
    """Return the state that ``payload`` was made of.

    Raises:
        StateEncodingError: It was made by something else.
    """
    try:
        entry = _decoder.decode(payload)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise StateEncodingError(f"The agent's stored state cannot be read: {error}") from error
    return AgentState(state=entry.state, messages=entry.messages)
