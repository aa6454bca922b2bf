"""A thread's messages between the runtime and LangChain.

The runtime keeps text, images and tool calls as messages of their own; LangChain keeps them together. A
LangChain message becomes one message a part, of which the first bears its id; tool calls bear their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, get_args

import pydantic_core
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    convert_to_messages,
)
from langchain_core.messages.tool import tool_call

from ...runtime.agui_messages import part_id
from ...runtime.media import part_of
from ...runtime.messages import (
    ImageMessage,
    MediaMessage,
    Message,
    Role,
    TextMessage,
    ToolCallMessage,
    ToolResultMessage,
)
from .content import image_block, images_of, media_block, media_of, text_of, text_of_result
from .encoding import Encoder

_DEVELOPER = {"__openai_role__": "developer"}
_KINDS: dict[str, type[BaseMessage]] = {
    "human": HumanMessage,
    "ai": AIMessage,
    "system": SystemMessage,
    "tool": ToolMessage,
}
_ROLES: frozenset[str] = frozenset(get_args(Role))


def to_langchain(messages: Iterable[Message]) -> list[BaseMessage]:
    """Return the messages as LangChain's, ids kept.

    An assistant's tool calls, and a user's texts and attachments, join the message they are parts of.
    """
    converted: list[BaseMessage] = []
    answers: dict[str | None, AIMessage] = {}
    for message in messages:
        match message:
            case TextMessage() | ImageMessage() | MediaMessage() if _is_part_of(message, converted):
                _add_part(converted[-1], message)
            case TextMessage():
                converted.append(_text_message(message))
            case ImageMessage():
                converted.append(_image_message(message))
            case MediaMessage():
                converted.append(HumanMessage(id=message.id, content=[media_block(message)]))
            case ToolCallMessage():
                _add_call(converted, answers, message)
            case ToolResultMessage():
                converted.append(_tool_message(message))
        if converted and isinstance(converted[-1], AIMessage):
            answers[converted[-1].id] = converted[-1]
    return converted


def _is_part_of(message: TextMessage | ImageMessage | MediaMessage, converted: Sequence[BaseMessage]) -> bool:
    """Return whether a message is a further part of the user's last message, as ``part_id`` names it."""
    parent = message.parent_message_id
    if message.role != "user" or parent is None or not converted or not message.id.startswith(f"{parent}-"):
        return False
    return isinstance(converted[-1], HumanMessage) and converted[-1].id == parent


def _add_part(owner: BaseMessage, message: TextMessage | ImageMessage | MediaMessage) -> None:
    content: list[str | dict[Any, Any]] = [owner.content] if isinstance(owner.content, str) else owner.content
    blocks = [{"type": "text", "text": block} if isinstance(block, str) else block for block in content]
    owner.content = [*blocks, _block(message)]


def _block(message: TextMessage | ImageMessage | MediaMessage) -> dict[str, Any]:
    match message:
        case TextMessage():
            return {"type": "text", "text": message.content}
        case ImageMessage():
            return image_block(message.format, message.bytes)
        case MediaMessage():
            return media_block(message)


def _text_message(message: TextMessage) -> BaseMessage:
    match message.role:
        case "assistant":
            return AIMessage(id=message.id, content=message.content)
        case "system":
            return SystemMessage(id=message.id, content=message.content)
        case "developer":
            return SystemMessage(id=message.id, content=message.content, additional_kwargs=dict(_DEVELOPER))
        case _:
            return HumanMessage(id=message.id, content=message.content)


def _image_message(message: ImageMessage) -> BaseMessage:
    content: list[str | dict[Any, Any]] = [image_block(message.format, message.bytes)]
    kind = AIMessage if message.role == "assistant" else HumanMessage
    return kind(id=message.id, content=content)


def _add_call(converted: list[BaseMessage], answers: Mapping[str | None, AIMessage], message: ToolCallMessage) -> None:
    call = tool_call(id=message.id, name=message.name, args=message.arguments)
    owner = message.parent_message_id or message.id
    if owner in answers:
        answers[owner].tool_calls.append(call)
    else:
        converted.append(AIMessage(id=owner, content="", tool_calls=[call]))


def _tool_message(message: ToolResultMessage) -> ToolMessage:
    return ToolMessage(id=message.id, content=message.result, tool_call_id=message.tool_call_id, name=message.tool_name)


def as_langchain(values: Any) -> list[BaseMessage]:
    """Return the messages in a graph's state, in whichever form it keeps them, without what is not a message."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        return []
    read = (_read(value) for value in values)
    return [message for message in read if message is not None]


def _read(value: Any) -> BaseMessage | None:
    try:
        return message_of(value)
    except (ValueError, NotImplementedError):
        return None


def message_of(value: Any) -> BaseMessage:
    """Return a message, whether it is one, LangChain's JSON of one, or another spelling.

    Raises:
        ValueError: It is none of them.
        NotImplementedError: It is nothing that a message can be made of.
    """
    if isinstance(value, BaseMessage):
        return value
    kind = _KINDS.get(value.get("type", "")) if isinstance(value, Mapping) else None
    return kind.model_validate(value) if kind else convert_to_messages([value])[0]


def call_names(messages: Iterable[BaseMessage]) -> dict[str, str]:
    """Return the names of all tool calls, by their ids."""
    calls = (call for message in messages if isinstance(message, AIMessage) for call in message.tool_calls)
    return {call["id"]: call["name"] for call in calls if call["id"]}


def from_langchain(messages: Sequence[BaseMessage]) -> list[Message]:
    """Return the messages as the runtime's, ids kept, one a part."""
    names = call_names(messages)
    return [part for message in messages for part in _parts(message, names)]


def _parts(message: BaseMessage, names: dict[str, str]) -> Iterable[Message]:
    id_ = message.id or ""
    if isinstance(message, ToolMessage):
        yield ToolResultMessage(
            id=id_,
            tool_call_id=message.tool_call_id,
            tool_name=names.get(message.tool_call_id) or message.name or "",
            result=text_of_result(message),
        )
        return
    role = role_of(message)
    parts = _ordered(message, role)
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    if not parts and not calls:
        parts = [""]
    for index, part in enumerate(parts):
        written = TextMessage(role=role, content=part) if isinstance(part, str) else part
        written.id = part_id(id_, index)
        written.parent_message_id = id_ if index and role == "user" else None
        yield written
    if isinstance(message, AIMessage):
        yield from _calls(message)


def _ordered(message: BaseMessage, role: Role) -> list[str | ImageMessage | MediaMessage]:
    """Return a message's texts and attachments; a user's in their order, all others' text first and as one."""
    content = message.content
    if role != "user" or isinstance(content, str):
        text = text_of(content)
        return [*([text] if text else []), *_attachments(content, role)]
    parts: list[str | ImageMessage | MediaMessage] = []
    for is_text, blocks in groupby(content, key=lambda block: bool(text_of([block]))):
        found = list(blocks)
        parts += [text_of(found)] if is_text else _attachments(found, role)
    return parts


def _attachments(content: Any, role: Role) -> list[ImageMessage | MediaMessage]:
    blocks = [] if isinstance(content, str) else content
    return [attached for block in blocks for attached in _attachment([block], role)]


def _attachment(content: list[Any], role: Role) -> Iterable[ImageMessage | MediaMessage]:
    for subtype, data in images_of(content):
        yield ImageMessage(role=role, format=subtype, bytes=data)
    yield from media_of(content, role)


def _calls(message: AIMessage) -> Iterable[Message]:
    for call in message.tool_calls:
        yield ToolCallMessage(
            id=call["id"] or "",
            name=call["name"],
            arguments=Encoder().encode(call["args"]),
            parent_message_id=message.id,
        )


def role_of(message: BaseMessage) -> Role:
    """Return the role of its author."""
    if isinstance(message, AIMessage):
        return "assistant"
    if isinstance(message, SystemMessage):
        return "developer" if message.additional_kwargs.get("__openai_role__") == "developer" else "system"
    if isinstance(message, ChatMessage) and message.role in _ROLES:
        return message.role  # type: ignore[return-value]
    return "user"


def to_agui(messages: Iterable[BaseMessage]) -> list[dict[str, Any]]:
    """Return the messages as AG-UI message objects (https://docs.ag-ui.com/concepts/messages)."""
    return [_agui(message) for message in messages]


def _agui(message: BaseMessage) -> dict[str, Any]:
    if isinstance(message, ToolMessage):
        return {
            "id": message.id,
            "role": "tool",
            "content": text_of_result(message),
            "toolCallId": message.tool_call_id,
        }
    shape = {"id": message.id, "role": role_of(message), "content": _agui_content(message)}
    if isinstance(message, AIMessage) and message.tool_calls:
        shape["toolCalls"] = [_agui_call(call) for call in message.tool_calls]
    return shape


def _agui_content(message: BaseMessage) -> str | list[dict[str, Any]]:
    parts = _ordered(message, role_of(message))
    if all(isinstance(part, str) for part in parts):
        return text_of(message.content)
    return [{"type": "text", "text": part} if isinstance(part, str) else _agui_part(part) for part in parts]


def _agui_part(attached: ImageMessage | MediaMessage) -> dict[str, Any]:
    if isinstance(attached, ImageMessage):
        return {"type": "binary", "mimeType": f"image/{attached.format}", "data": attached.bytes}
    return part_of(attached)


def _agui_call(call: Any) -> dict[str, Any]:
    arguments = pydantic_core.to_json(Encoder().encode(call["args"])).decode()
    return {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": arguments}}
