"""The limits of a request's variables, checked before anything is executed."""

from __future__ import annotations

from typing import Any

from ...runtime.config import RuntimeConfig
from ...runtime.errors import InputTooLargeError
from ...runtime.input_limits import INSTRUCTING_ROLES, MESSAGE_BYTES, MESSAGE_COUNT, text_bytes
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
    for index, message in enumerate(messages):
        size = _refusable_bytes(message, last=index == count - 1) if isinstance(message, dict) else 0
        if size > limit:
            raise refusal(InputTooLargeError(MESSAGE_BYTES.format(size, limit)), 413)


def _refusable_bytes(message: dict[str, Any], *, last: bool) -> int:
    """Return the bytes of a text that is refused if it is too long; the rest of a thread is cut when a run starts."""
    text = message.get("textMessage")
    if not isinstance(text, dict) or not isinstance(text.get("content"), str):
        return 0
    refusable = INSTRUCTING_ROLES | {"user"} if last else INSTRUCTING_ROLES
    return text_bytes(text["content"]) if text.get("role") in refusable else 0
