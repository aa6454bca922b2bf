"""Attachments in the forms of the vendors' protocols, and which kinds each of them takes besides pictures."""

from __future__ import annotations

from typing import Any

from ...runtime.errors import UnsupportedMediaError
from ...runtime.messages import MediaMessage

OPENAI = frozenset({"image_url", "audio", "document"})
ANTHROPIC = frozenset({"image_url", "document"})
LANGCHAIN = frozenset({"image_url", "audio", "video", "document"})

_PDF = "application/pdf"
_AUDIO_FORMATS = {"wav": "wav", "x-wav": "wav", "wave": "wav", "mpeg": "mp3", "mp3": "mp3"}


def openai_part(attached: MediaMessage) -> dict[str, Any]:
    """Return a content part of OpenAI's chat completions.

    Raises:
        UnsupportedMediaError: The protocol has no part for it.
    """
    if attached.kind == "image" and attached.url is not None:
        return {"type": "image_url", "image_url": {"url": attached.url}}
    if attached.kind == "audio" and attached.data is not None:
        format_ = _AUDIO_FORMATS.get(attached.mime_type.partition(";")[0].removeprefix("audio/"))
        if format_ is not None:
            return {"type": "input_audio", "input_audio": {"data": attached.data, "format": format_}}
    if attached.kind == "document" and attached.data is not None:
        data = f"data:{attached.mime_type};base64,{attached.data}"
        return {"type": "file", "file": {"filename": attached.filename or "document", "file_data": data}}
    raise UnsupportedMediaError(attached.kind, attached.mime_type)


def anthropic_block(attached: MediaMessage) -> dict[str, Any]:
    """Return a content block of Anthropic's Messages API.

    Raises:
        UnsupportedMediaError: The protocol has no block for it.
    """
    if attached.kind == "image" and attached.url is not None:
        return {"type": "image", "source": {"type": "url", "url": attached.url}}
    if attached.kind == "document" and attached.data is None and attached.url is not None:
        return {"type": "document", "source": {"type": "url", "url": attached.url}}
    if attached.kind == "document" and attached.mime_type.partition(";")[0] == _PDF:
        return {"type": "document", "source": {"type": "base64", "media_type": _PDF, "data": attached.data}}
    raise UnsupportedMediaError(attached.kind, attached.mime_type)


def langchain_block(attached: MediaMessage) -> dict[str, Any]:
    """Return a content block of LangChain's own, which its models translate for their vendors."""
    if attached.kind == "image" and attached.url is not None:
        return {"type": "image_url", "image_url": {"url": attached.url}}
    block = {"type": "file" if attached.kind == "document" else attached.kind, "mime_type": attached.mime_type}
    if attached.data is None:
        return {**block, "url": attached.url}
    named = {"filename": attached.filename} if attached.filename else {}
    return {**block, "base64": attached.data, **named}
