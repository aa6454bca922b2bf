"""AG-UI message objects (https://docs.ag-ui.com/concepts/messages) as a thread's messages, and back.

AG-UI keeps an assistant's text and tool calls, and a user's text and attachments, in one message. The runtime has one
message for each; the first bears the AG-UI message's id, the others name it as their parent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from itertools import groupby
from typing import Any

import msgspec

from .media import media_from_part, part_of
from .messages import (
    ImageMessage,
    MediaMessage,
    Message,
    ReasoningMessage,
    Role,
    TextMessage,
    ToolCallMessage,
    ToolResultMessage,
    new_id,
    parse_arguments,
)

Item = Mapping[str, Any]

UNKNOWN_TOOL = "unknown"


def messages_from_agui(items: Iterable[Any], tool_names: Mapping[str, str] | None = None) -> list[Message]:
    """Read AG-UI message objects. What has no place in a thread, activity messages among it, is left out.

    Args:
        items: The objects; anything may be in them.
        tool_names: Names of tools by the ids of calls that are not among ``items``.
    """
    names = dict(tool_names or {})
    return [message for item in items if isinstance(item, Mapping) for message in _read(item, names)]


def without_nulls(message: Item) -> dict[str, Any]:
    """Return an AG-UI message without null values, which older AG-UI models write and clients' schemas refuse."""
    return {key: _parts_without_nulls(value) for key, value in message.items() if value is not None}


def _parts_without_nulls(value: Any) -> Any:
    return [_part_without_nulls(part) for part in value] if isinstance(value, list) else value


def _part_without_nulls(part: Any) -> Any:
    return {key: value for key, value in part.items() if value is not None} if isinstance(part, Mapping) else part


def _read(item: Item, names: MutableMapping[str, str]) -> Iterator[Message]:
    id_ = _string(item, "id") or new_id()
    match item.get("role"):
        case "tool":
            yield _tool_result(id_, item, names)
        case "reasoning":
            text = _text_of(item.get("content"))
            yield ReasoningMessage(id=id_, content=text, encrypted_value=_string(item, "encryptedValue"))
        case "assistant":
            yield from _contents(id_, "assistant", item)
            yield from _tool_calls(id_, item, names)
        case "user" | "system" | "developer" as role:
            yield from _contents(id_, role, item)


def _tool_result(id_: str, item: Item, names: Mapping[str, str]) -> ToolResultMessage:
    call_id = _string(item, "toolCallId") or ""
    result = _text_of(item.get("content")) or _string(item, "error") or ""
    return ToolResultMessage(id=id_, tool_call_id=call_id, tool_name=names.get(call_id, UNKNOWN_TOOL), result=result)


def _tool_calls(id_: str, item: Item, names: MutableMapping[str, str]) -> Iterator[ToolCallMessage]:
    calls = item.get("toolCalls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, Mapping) else None
        call_id = _string(call, "id") if isinstance(call, Mapping) else None
        if call_id is None or not isinstance(function, Mapping):
            continue
        names[call_id] = name = _string(function, "name") or UNKNOWN_TOOL
        yield ToolCallMessage(
            id=call_id,
            name=name,
            arguments=_arguments(function.get("arguments")),
            parent_message_id=id_,
            encrypted_value=_string(call, "encryptedValue"),
        )


def _arguments(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    return parse_arguments(value) if isinstance(value, str) else {}


def _contents(id_: str, role: Role, item: Item) -> Iterator[Message]:
    content, name = item.get("content"), _string(item, "name")
    parts = _parts(role, content) if isinstance(content, list) else [_text_of(content)]
    for index, part in enumerate(part for part in parts if part):
        message = TextMessage(role=role, content=part, name=name) if isinstance(part, str) else part
        message.id = part_id(id_, index)
        message.parent_message_id = id_ if index else None
        yield message


def part_id(message_id: str, index: int) -> str:
    """Return the id of a message's part: the first bears the message's own."""
    return f"{message_id}-{index}" if index else message_id


def _parts(role: Role, parts: list[Any]) -> Iterator[str | ImageMessage | MediaMessage]:
    """Read texts and attachments in their order, adjacent texts as one."""
    for is_text, group in groupby(_each_once(role, parts), key=lambda part: isinstance(part, str)):
        if is_text:
            yield "\n".join(part for part in group if isinstance(part, str))
        else:
            yield from group


def _each_once(role: Role, parts: list[Any]) -> Iterable[str | ImageMessage | MediaMessage]:
    """Read each attachment once: some applications send the same bytes in the typed and the older form."""
    kept: dict[Any, str | ImageMessage | MediaMessage] = {}
    for index, part in enumerate(parts):
        attached = media_from_part(role, part)
        if attached is None:
            text = _string(part, "text") if isinstance(part, Mapping) else None
            if text is not None:
                kept[index] = text
            continue
        key = _identity(attached)
        earlier = kept.get(key)
        if earlier is None or (not isinstance(earlier, str) and earlier.as_binary):
            kept[key] = attached
    return kept.values()


def _identity(message: ImageMessage | MediaMessage) -> tuple[str, str | None]:
    if isinstance(message, ImageMessage):
        return "image", message.bytes
    return message.kind, message.data or message.url or message.id


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content if isinstance(part, Mapping))
    return "".join(text for text in texts if isinstance(text, str) and text)


def _string(item: Item, key: str) -> str | None:
    value = item.get(key)
    return value if isinstance(value, str) and value else None


def messages_to_agui(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Write a thread as AG-UI message objects, without null values. Agent states are left out."""
    written: dict[str, dict[str, Any]] = {}
    for message in messages:
        match message:
            case TextMessage() if _is_part(written, message):
                _add_part(written[message.parent_message_id or ""], {"type": "text", "text": message.content})
            case TextMessage():
                _write_text(written, message)
            case ImageMessage() | MediaMessage():
                _write_media(written, message)
            case ToolCallMessage():
                _write_call(written, message)
            case ToolResultMessage():
                written[message.id] = _result(message)
            case ReasoningMessage():
                written[message.id] = _reasoning(message)
    return list(written.values())


def _write_text(written: dict[str, dict[str, Any]], message: TextMessage) -> None:
    if message.role == "tool":  # AG-UI's tool messages answer a call, which a text does not name
        return
    call = written.get(message.id)
    if call is not None and "toolCalls" in call:
        call["content"] = message.content
        return
    shape = {"id": message.id, "role": message.role, "content": message.content}
    written[message.id] = shape if message.name is None else {**shape, "name": message.name}


def _write_media(written: dict[str, dict[str, Any]], message: ImageMessage | MediaMessage) -> None:
    part = part_of(message)
    owner = written.get(message.parent_message_id or "")
    if owner is None or owner["role"] != "user":
        # Only users' messages have attachments in AG-UI.
        written[message.id] = {"id": message.id, "role": "user", "content": [part]}
    else:
        _add_part(owner, part)


def _add_part(owner: dict[str, Any], part: dict[str, Any]) -> None:
    if isinstance(owner["content"], str):
        owner["content"] = [{"type": "text", "text": owner["content"]}]
    owner["content"].append(part)


def _is_part(written: Mapping[str, dict[str, Any]], message: TextMessage) -> bool:
    """Return whether a user's text is a further part of a message, as ``part_id`` names it."""
    parent = message.parent_message_id
    if message.role != "user" or parent is None or not message.id.startswith(f"{parent}-"):
        return False
    return parent in written and written[parent]["role"] == "user"


def _write_call(written: dict[str, dict[str, Any]], message: ToolCallMessage) -> None:
    arguments = msgspec.json.encode(message.arguments).decode()
    call = {"id": message.id, "type": "function", "function": {"name": message.name, "arguments": arguments}}
    if message.encrypted_value is not None:
        call["encryptedValue"] = message.encrypted_value
    owner = written.get(message.parent_message_id or "")
    if owner is None or owner["role"] != "assistant":
        id_ = message.parent_message_id if owner is None and message.parent_message_id else message.id
        written[id_] = owner = {"id": id_, "role": "assistant"}
    owner.setdefault("toolCalls", []).append(call)


def _result(message: ToolResultMessage) -> dict[str, Any]:
    return {"id": message.id, "role": "tool", "content": message.result, "toolCallId": message.tool_call_id}


def _reasoning(message: ReasoningMessage) -> dict[str, Any]:
    shape = {"id": message.id, "role": "reasoning", "content": message.content}
    return shape if message.encrypted_value is None else {**shape, "encryptedValue": message.encrypted_value}
