"""The limits of what one run is given, whichever wire it came by."""

from __future__ import annotations

from typing import Any

import msgspec

from .context import RunInput
from .errors import InputTooLargeError
from .messages import (
    AgentStateMessage,
    Message,
    ReasoningMessage,
    TextMessage,
    ToolCallMessage,
    ToolResultMessage,
)

MAX_ID_CHARACTERS = 1024
MESSAGE_COUNT = "The request has {} messages; the limit is {}."
MESSAGE_BYTES = "A message of the request has {} bytes; the limit is {} bytes."


class InputLimits(msgspec.Struct, kw_only=True, frozen=True):
    """How much one run may be given: messages, bytes of one message without its images, and bytes of the state."""

    messages: int
    message_bytes: int
    state_bytes: int


def check_input(run_input: RunInput, limits: InputLimits) -> None:
    """Check what a client gives a run.

    Raises:
        InputTooLargeError: It is too much.
    """
    for name, id_ in (("thread", run_input.thread_id), ("run", run_input.run_id)):
        if len(id_) > MAX_ID_CHARACTERS:
            raise InputTooLargeError(f"The {name} id has {len(id_)} characters; the limit is {MAX_ID_CHARACTERS}.")
    count = len(run_input.messages)
    if count > limits.messages:
        raise InputTooLargeError(MESSAGE_COUNT.format(count, limits.messages))
    for message in run_input.messages:
        size = _message_bytes(message)
        if size > limits.message_bytes:
            raise InputTooLargeError(MESSAGE_BYTES.format(size, limits.message_bytes))
    size = _encoded_bytes(run_input.state) + _encoded_bytes(run_input.config)
    if size > limits.state_bytes:
        raise InputTooLargeError(f"The agent's state has {size} bytes; the limit is {limits.state_bytes} bytes.")


def text_bytes(text: str) -> int:
    """Return how many bytes a text has in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _message_bytes(message: Message) -> int:
    match message:
        case TextMessage(content=text) | ReasoningMessage(content=text) | ToolResultMessage(result=text):
            return text_bytes(text)
        case ToolCallMessage(arguments=value) | AgentStateMessage(state=value):
            return _encoded_bytes(value)
        case _:
            return 0  # images and other media have a limit of their own


def _encoded_bytes(value: dict[str, Any]) -> int:
    if not value:
        return 0
    try:
        return len(msgspec.json.encode(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputTooLargeError("The request holds values that cannot be kept.") from error
