"""Attachments: AG-UI's content parts as media messages, and what becomes of media that an agent cannot take."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast, get_args

from .errors import UnsupportedMediaError
from .messages import ImageMessage, MediaKind, MediaMessage, Message, ReasoningMessage, Role

_KINDS: frozenset[str] = frozenset(get_args(MediaKind))
_DATA_URL = re.compile(r"data:(?P<mime>[^;,]*)(?:;[^;,]*)*;base64,")
_ANY_TYPE = "application/octet-stream"


def media_from_part(role: Role, part: Any) -> ImageMessage | MediaMessage | None:
    """Read a content part of an AG-UI message; None if it is no attachment.

    Parts of the older kind ``binary`` are read as the kind that their type says, all others as documents.
    """
    if not isinstance(part, Mapping):
        return None
    if part.get("type") == "binary":
        return _media(role, part, data=part.get("data"), url=part.get("url"), as_binary=True)
    source = part.get("source")
    if part.get("type") not in _KINDS or not isinstance(source, Mapping):
        return None
    value = source.get("value")
    data, url = (None, value) if source.get("type") == "url" else (value, None)
    return _media(role, {**part, **source, "type": part["type"]}, data=data, url=url)


def _media(
    role: Role, part: Mapping[str, Any], *, data: Any, url: Any, as_binary: bool = False
) -> ImageMessage | MediaMessage:
    data, url = (value if isinstance(value, str) and value else None for value in (data, url))
    mime_type = str(part.get("mimeType") or "")
    inline = _DATA_URL.match(url or data or "")
    if inline is not None:
        data, url, mime_type = (url or data or "")[inline.end() :], None, mime_type or inline["mime"]
    kind = _kind(part.get("type"), mime_type)
    if kind == "image" and data is not None:
        return ImageMessage(
            role=role, format=mime_type.removeprefix("image/") or "png", bytes=data, as_binary=as_binary
        )
    filename = part.get("filename")
    return MediaMessage(
        role=role,
        kind=kind,
        mime_type=mime_type or _ANY_TYPE,
        data=data,
        url=url,
        filename=filename if isinstance(filename, str) else None,
        as_binary=as_binary,
    )


def _kind(named: Any, mime_type: str) -> MediaKind:
    kind = named if named in _KINDS else mime_type.partition("/")[0]
    return cast("MediaKind", kind) if kind in _KINDS else "document"


def part_of(message: ImageMessage | MediaMessage) -> dict[str, Any]:
    """Write an attachment as a content part, in the form in which it came; as a word if it is nowhere."""
    if isinstance(message, ImageMessage):
        mime_type = f"image/{message.format}"
        if message.as_binary:
            return {"type": "binary", "mimeType": mime_type, "data": message.bytes}
        return {"type": "image", "source": {"type": "data", "value": message.bytes, "mimeType": mime_type}}
    if message.data is None and message.url is None:
        return {"type": "text", "text": f"[{message.kind}]"}
    if message.as_binary:
        return _binary(message)
    kind, value = ("url", message.url or "") if message.data is None else ("data", message.data)
    return {"type": message.kind, "source": {"type": kind, "value": value, "mimeType": message.mime_type}}


def _binary(message: MediaMessage) -> dict[str, Any]:
    given = {"data": message.data, "url": message.url, "filename": message.filename}
    return {
        "type": "binary",
        "mimeType": message.mime_type,
        **{key: value for key, value in given.items() if value is not None},
    }


def messages_for(messages: Iterable[Message], takes: frozenset[str]) -> list[Message]:
    """Leave out what an agent has no use for, and refuse what it was just given and cannot take.

    Args:
        messages: A thread.
        takes: The kinds beside text and tool calls that the agent takes: ``image``, ``image_url``, ``audio``,
            ``video``, ``document``, ``reasoning``.

    Raises:
        UnsupportedMediaError: The last turn of the thread has an attachment of another kind. Those of earlier turns
            are left out, so that the thread stays usable.
    """
    thread = list(messages)
    kept = [message for message in thread if _accepts(takes, message)]
    if len(kept) == len(thread):
        return thread
    for message in reversed(thread):
        if isinstance(message, ImageMessage) and not _accepts(takes, message):
            raise UnsupportedMediaError("image", f"image/{message.format}")
        if isinstance(message, MediaMessage) and not _accepts(takes, message):
            raise UnsupportedMediaError(message.kind, message.mime_type)
        if getattr(message, "role", "user") != "user":
            break
    return kept


def _accepts(takes: frozenset[str], message: Message) -> bool:
    if isinstance(message, ReasoningMessage):
        return "reasoning" in takes
    if isinstance(message, ImageMessage):
        return "image" in takes
    if isinstance(message, MediaMessage):
        wanted = "image_url" if message.kind == "image" else message.kind
        return wanted in takes and (message.data or message.url) is not None
    return True
