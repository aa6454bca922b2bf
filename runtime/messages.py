"""A thread's messages, as providers, stores and hooks see them.

The kinds are the contract's (``MessageInput`` in the SDL), and two that it has no place for: ``MediaMessage`` and
``ReasoningMessage``. Encoded with msgspec, a message of the contract's kinds is the JSON object that the TypeScript
runtime sends to remote endpoints (docs/contract.md, section 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import msgspec

from .errors import InputTooLargeError
from .fresh_ids import fresh_uuid
from .json_text import decode_json

Role: TypeAlias = Literal["assistant", "developer", "system", "tool", "user"]
MediaKind: TypeAlias = Literal["image", "audio", "video", "document"]


def new_id() -> str:
    """Return a fresh id for a message or a thread, in the shape the contract uses (docs/contract.md, section 4.3)."""
    return f"ck-{fresh_uuid()}"


def now() -> datetime:
    """Return the present moment, with its zone."""
    return datetime.now(UTC)


class BaseMessage(msgspec.Struct, rename="camel", tag_field="type", omit_defaults=True, kw_only=True):
    """What all messages share."""

    id: str = msgspec.field(default_factory=new_id)
    created_at: datetime = msgspec.field(default_factory=now)


class TextMessage(BaseMessage, tag="TextMessage"):
    """A text by ``role``; ``name`` distinguishes speakers of one role."""

    role: Role
    content: str
    parent_message_id: str | None = None
    name: str | None = None


class ImageMessage(BaseMessage, tag="ImageMessage"):
    """A picture: ``format`` is its subtype (``png``), ``bytes`` its base64 text.

    ``metadata``: what the client keeps with the picture, such as the name of its file.
    ``as_binary``: it came as AG-UI's older ``binary`` part, and goes back to clients as one.
    """

    role: Role
    format: str
    bytes: str
    parent_message_id: str | None = None
    filename: str | None = None
    metadata: dict[str, Any] | None = None
    as_binary: bool = False


class MediaMessage(BaseMessage, tag="MediaMessage"):
    """A recording, a document, or a picture elsewhere: ``data`` in base64, or a ``url``.

    A picture that comes as data is an ``ImageMessage``. Without data and URL it is something that cannot be had.
    ``metadata``: what the client keeps with it, such as the name of its file.
    """

    role: Role
    kind: MediaKind
    mime_type: str
    data: str | None = None
    url: str | None = None
    filename: str | None = None
    metadata: dict[str, Any] | None = None
    parent_message_id: str | None = None
    as_binary: bool = False


class ReasoningMessage(BaseMessage, tag="ReasoningMessage"):
    """What a model reasoned, in its words or, for the model alone, in ``encrypted_value``."""

    content: str
    encrypted_value: str | None = None


class ToolCallMessage(BaseMessage, tag="ActionExecutionMessage"):
    """A tool call by the assistant. Its ``id`` is the call's id; ``encrypted_value`` is the reasoning behind it."""

    name: str
    arguments: dict[str, Any]
    parent_message_id: str | None = None
    encrypted_value: str | None = None


class ToolResultMessage(BaseMessage, tag="ResultMessage"):
    """A tool call's answer."""

    tool_call_id: str = msgspec.field(name="actionExecutionId")
    tool_name: str = msgspec.field(name="actionName")
    result: str


class AgentStateMessage(BaseMessage, tag="AgentStateMessage"):
    """An agent's state at one moment of a run."""

    thread_id: str
    agent_name: str
    node_name: str
    run_id: str
    active: bool
    running: bool
    role: Role
    state: dict[str, Any]


Message: TypeAlias = (
    TextMessage
    | ImageMessage
    | MediaMessage
    | ReasoningMessage
    | ToolCallMessage
    | ToolResultMessage
    | AgentStateMessage
)


def last_said(messages: Sequence[Message]) -> list[TextMessage | ImageMessage | MediaMessage]:
    """Return the parts of the message that a person has just sent; none if the last message is no person's.

    Attachments that name no message they belong to, as those of GraphQL's clients, belong to the text before them.
    """
    said: list[TextMessage | ImageMessage | MediaMessage] = []
    whole: str | None = None
    for message in reversed(messages):
        if not isinstance(message, TextMessage | ImageMessage | MediaMessage) or message.role != "user":
            break
        owner = message.parent_message_id or message.id
        if whole is not None and owner != whole:
            break
        if message.parent_message_id is not None or not isinstance(message, ImageMessage):
            whole = owner
        said.append(message)
    return said[::-1]


def parse_arguments(text: str | None) -> dict[str, Any]:
    """Return a tool call's arguments from their JSON text; none if it is not that of an object."""
    try:
        arguments = decode_json(text or "{}")
    except (msgspec.DecodeError, InputTooLargeError):
        return {}
    return arguments if isinstance(arguments, dict) else {}
