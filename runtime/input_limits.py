"""The limits of what one run is given, whichever wire it came by.

A client sends the whole thread with each turn, so that a message that is refused once is refused for ever after. Only
what somebody can write anew is refused: what a person has just sent, and instructions. What is too long of all else,
such as the result of a client's tool, is cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
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
    last_said,
)

MAX_ID_CHARACTERS = 1024
MESSAGE_COUNT = "The request has {} messages; the limit is {}."
MESSAGE_BYTES = "A message of the request has {} bytes; the limit is {} bytes."
CUT = "\n[The rest is left out: this has {} bytes, and the limit is {} bytes.]"

INSTRUCTING_ROLES = frozenset({"system", "developer"})


class InputLimits(msgspec.Struct, kw_only=True, frozen=True):
    """How much one run may be given: messages, bytes of one message without its images, and bytes of the state."""

    messages: int
    message_bytes: int
    state_bytes: int


def limit_input(run_input: RunInput, limits: InputLimits) -> None:
    """Check what a client gives a run, and cut what is too long of the thread so far.

    Raises:
        InputTooLargeError: It is too much.
    """
    limit_id("thread", run_input.thread_id)
    limit_id("run", run_input.run_id)
    count = len(run_input.messages)
    if count > limits.messages:
        raise InputTooLargeError(MESSAGE_COUNT.format(count, limits.messages))
    run_input.messages = _cut_to(run_input.messages, limits.message_bytes)
    size = _encoded_bytes(run_input.state) + _encoded_bytes(run_input.config)
    if size > limits.state_bytes:
        raise InputTooLargeError(f"The agent's state has {size} bytes; the limit is {limits.state_bytes} bytes.")


def limit_id(name: str, id_: str) -> None:
    """Check an id of a client's, which answers and log lines repeat.

    Raises:
        InputTooLargeError: It is too long.
    """
    if len(id_) > MAX_ID_CHARACTERS:
        raise InputTooLargeError(f"The {name} id has {len(id_)} characters; the limit is {MAX_ID_CHARACTERS}.")


def newest(messages: Sequence[Message], limit: int) -> list[Message]:
    """Return as many messages of a thread as a run may be given: its instructions, and the newest whole turns."""
    if len(messages) <= limit:
        return list(messages)
    instructions = list(takewhile(_instructs, messages))[:limit]
    recent = messages[len(messages) - (limit - len(instructions)) :]
    begin = next((index for index, message in enumerate(recent) if getattr(message, "role", None) == "user"), 0)
    return [*instructions, *recent[begin:]]


def text_bytes(text: str) -> int:
    """Return how many bytes a text has in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _instructs(message: Message) -> bool:
    return isinstance(message, TextMessage) and message.role in INSTRUCTING_ROLES


def _cut_to(messages: list[Message], limit: int) -> list[Message]:
    """Return a thread none of whose messages is longer than ``limit`` bytes."""
    sizes = [_message_bytes(message) for message in messages]
    if max(sizes, default=0) <= limit:
        return messages
    _check_writable([*last_said(messages), *filter(_instructs, messages)], limit)
    return [
        message if size <= limit else _cut(message, size, limit) for message, size in zip(messages, sizes, strict=True)
    ]


def _check_writable(messages: Iterable[Message], limit: int) -> None:
    for message in messages:
        size = _message_bytes(message)
        if size > limit:
            raise InputTooLargeError(MESSAGE_BYTES.format(size, limit))


def _cut(message: Message, size: int, limit: int) -> Message:
    note = CUT.format(size, limit)
    match message:
        case TextMessage(content=text) | ReasoningMessage(content=text):
            return msgspec.structs.replace(message, content=_beginning(text, note, limit))
        case ToolResultMessage(result=text):
            return msgspec.structs.replace(message, result=_beginning(text, note, limit))
        case ToolCallMessage():
            return msgspec.structs.replace(message, arguments={"left_out": note.strip()})
        case AgentStateMessage():
            return msgspec.structs.replace(message, state={})
        case _:
            return message


def _beginning(text: str, note: str, limit: int) -> str:
    begin = text.encode("utf-8", "replace")[: max(limit - len(note), 0)]
    return begin.decode("utf-8", "ignore") + note


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
