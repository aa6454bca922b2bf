"""The limits of a request's variables, checked before anything is executed."""

from __future__ import annotations

from typing import Any

from ...runtime.config import RuntimeConfig
from ...runtime.errors import InputTooLargeError
from ...runtime.input_limits import MESSAGE_BYTES, MESSAGE_COUNT, text_bytes
from ..http.refusal import refusal


def check_variables(variables: dict[str, Any] | None, config: RuntimeConfig) -> None:
    """Check the messages in a request's variables, while the request can still be refused with a status of its own.

    What comes by other ways, such as literals in the document, is checked when the run is started.

    Raises:
        Refusal: They are too many or too long.
    """
    for value in (variables or {}).values():
        messages = value.get("messages") if isinstance(value, dict) else value
        if isinstance(messages, list):
            _check_messages(messages, config)


def _check_messages(messages: list[Any], config: RuntimeConfig) -> None:
    count, limit = len(messages), config.max_message_bytes
    if count > config.max_messages:
        raise refusal(InputTooLargeError(MESSAGE_COUNT.format(count, config.max_messages)), 413)
    for message in messages:
        size = _text_bytes(message) if isinstance(message, dict) else 0
        if size > limit:
            raise refusal(InputTooLargeError(MESSAGE_BYTES.format(size, limit)), 413)


def _text_bytes(message: dict[str, Any]) -> int:
    bodies = ((name, body) for name, body in message.items() if isinstance(body, dict))
    return sum(
        text_bytes(text)
        for name, body in bodies
        for field, text in body.items()
        if isinstance(text, str) and (name, field) != ("imageMessage", "bytes")
    )
