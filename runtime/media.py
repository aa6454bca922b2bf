"""Attachments: AG-UI's content parts as media messages, and what becomes of media that an agent cannot take."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast, get_args

import msgspec

from .errors import UnsupportedMediaError
from .messages import ImageMessage, MediaKind, MediaMessage, Message, ReasoningMessage, Role, TextMessage, last_said

_KINDS: frozenset[str] = frozenset(get_args(MediaKind))
# Bounded, so that a megabyte of semicolons takes no time.
_DATA_URL = re.compile(r"data:(?P<mime>[^;,]{0,255})(?:;[^;,]{0,255}){0,16}?;base64,")
_ANY_TYPE = "application/octet-stream"


def media_from_part(role: Role, part: Any) -> ImageMessage | MediaMessage | None:
    """Read a content part of an AG-UI message; None if it is not an attachment.

    Parts of the older kind ``binary`` are read as the kind that their type names, all others as documents. What a user
    attaches in a form that cannot be read, or that only a vendor can resolve, is a message without data and URL, so
    that it is refused and not left out in silence.
    """
    if not isinstance(part, Mapping):
        return None
    type_, source = part.get("type"), part.get("source")
    if type_ == "binary":
        return _media(role, part, data=part.get("data"), url=part.get("url"), as_binary=True)
    if type_ in _KINDS and isinstance(source, Mapping):
        value = source.get("value")
        data, url = (value if source.get("type") == form else None for form in ("data", "url"))
        return _media(role, {**part, **source, "type": type_}, data=data, url=url)
    unread = role == "user" and isinstance(type_, str) and type_ != "text"
    return _media(role, part, data=None, url=None) if unread else None


def _media(
    role: Role, part: Mapping[str, Any], *, data: Any, url: Any, as_binary: bool = False
) -> ImageMessage | MediaMessage:
    data, url = (value if isinstance(value, str) and value else None for value in (data, url))
    mime_type = str(part.get("mimeType") or "")
    inline = _DATA_URL.match(url or data or "")
    if inline is not None:
        data, url, mime_type = (url or data or "")[inline.end() :], None, mime_type or inline["mime"]
    kind, metadata = _kind(part.get("type"), mime_type), _metadata(part)
    filename = _filename(part, metadata or {})
    if kind == "image" and data is not None:
        return ImageMessage(
            role=role,
            format=mime_type.removeprefix("image/") or "png",
            bytes=data,
            filename=filename,
            metadata=metadata,
            as_binary=as_binary,
        )
    return MediaMessage(
        role=role,
        kind=kind,
        mime_type=mime_type or _ANY_TYPE,
        data=data,
        url=url,
        filename=filename,
        metadata=metadata,
        as_binary=as_binary,
    )


def _metadata(part: Mapping[str, Any]) -> dict[str, Any] | None:
    metadata = part.get("metadata")
    return metadata if isinstance(metadata, dict) and metadata else None


def _filename(part: Mapping[str, Any], metadata: Mapping[str, Any]) -> str | None:
    named = (part.get("filename"), metadata.get("filename"))
    return next((name for name in named if isinstance(name, str) and name), None)


def _kind(named: Any, mime_type: str) -> MediaKind:
    kind = named if named in _KINDS else mime_type.partition("/")[0]
    return cast("MediaKind", kind) if kind in _KINDS else "document"


def part_of(message: ImageMessage | MediaMessage) -> dict[str, Any]:
    """Write an attachment as a content part, in the form in which it came; as a word if it is nowhere."""
    kind, mime_type = _type_of(message)
    data = message.bytes if isinstance(message, ImageMessage) else message.data
    url = None if isinstance(message, ImageMessage) else message.url
    if data is None and url is None:
        return {"type": "text", "text": f"[{kind}]"}
    if message.as_binary:
        given = {"data": data, "url": url, "filename": message.filename}
        return {"type": "binary", "mimeType": mime_type, **_without_nulls(given)}
    if data is not None:
        source = {"type": "data", "value": data, "mimeType": mime_type}
    else:
        source = {"type": "url", "value": url or "", **({} if mime_type == _ANY_TYPE else {"mimeType": mime_type})}
    return _without_nulls({"type": kind, "source": source, "metadata": message.metadata})


def other_forms(messages: Sequence[Mapping[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    """Write AG-UI messages with all attachments typed, then with all as ``binary``, the older kind, if that differs."""
    for as_binary in (False, True):
        written = [
            {**message, "content": _in_form(message["content"], as_binary=as_binary)}
            if "content" in message
            else dict(message)
            for message in messages
        ]
        if written != list(messages):
            yield written


def _in_form(content: Any, *, as_binary: bool) -> Any:
    return [_part_in_form(part, as_binary=as_binary) for part in content] if isinstance(content, list) else content


def _part_in_form(part: Any, *, as_binary: bool) -> Any:
    attached = media_from_part("user", part)
    return part if attached is None else part_of(msgspec.structs.replace(attached, as_binary=as_binary))


def _type_of(message: ImageMessage | MediaMessage) -> tuple[MediaKind, str]:
    """Return the kind and the MIME type of an attachment."""
    if isinstance(message, ImageMessage):
        return "image", f"image/{message.format}"
    return message.kind, message.mime_type


def _without_nulls(shape: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in shape.items() if value is not None}


def messages_for(messages: Iterable[Message], takes: frozenset[str]) -> list[Message]:
    """Leave out what an agent has no use for, and refuse what it was just given and cannot take.

    Args:
        messages: A thread.
        takes: The kinds beside text and tool calls that the agent takes: ``image``, ``image_url``, ``audio``,
            ``video``, ``document``, ``reasoning``.

    Raises:
        UnsupportedMediaError: The last message has an attachment of another kind. Those of earlier messages are left
            out, so that the thread stays usable; a word stands for one that nothing has answered yet.
    """
    thread = list(messages)
    for message in last_said(thread):
        if isinstance(message, ImageMessage | MediaMessage) and not _accepts(takes, message):
            raise UnsupportedMediaError(*_type_of(message))
    unanswered = _unanswered(thread)
    return [
        message if accepted else word_for(message, "left out, as it cannot be read")
        for index, message in enumerate(thread)
        if (accepted := _accepts(takes, message)) or index >= unanswered
    ]


def _unanswered(thread: Sequence[Message]) -> int:
    """Return the index of the first message that a person has sent since anything else was said."""
    index = len(thread)
    while index and getattr(thread[index - 1], "role", None) == "user":
        index -= 1
    return index


def word_for(message: Message, reason: str) -> Message:
    """Return what stands for an attachment that is not there, under the attachment's id; other messages as they are."""
    if not isinstance(message, ImageMessage | MediaMessage):
        return message
    kind, mime_type = _type_of(message)
    return TextMessage(
        id=message.id,
        created_at=message.created_at,
        role=message.role,
        content=f"[{kind} of type {mime_type}: {reason}]",
        parent_message_id=message.parent_message_id,
    )


def _accepts(takes: frozenset[str], message: Message) -> bool:
    if isinstance(message, ReasoningMessage):
        return "reasoning" in takes
    if isinstance(message, ImageMessage):
        return "image" in takes
    if isinstance(message, MediaMessage):
        wanted = "image_url" if message.kind == "image" else message.kind
        return wanted in takes and (message.data or message.url) is not None
    return True
