"""What is inside a LangChain message: text, reasoning and images, in every vendor's spelling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pydantic_core
from langchain_core.messages import AIMessage, ToolMessage

from ...runtime.messages import MediaKind, MediaMessage, Role
from .encoding import Encoder


def text_of(content: Any) -> str:
    """Return all text in a message's content."""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        return _block_text(content)
    return "".join(_block_text(block) for block in content or ())


def _block_text(block: Any) -> str:
    if isinstance(block, str):
        return block
    if block.get("type", "text") not in ("text", "output_text", "input_text"):
        return ""
    text = block.get("text", "")
    return text if isinstance(text, str) else ""


def reasoning_of(message: AIMessage) -> str:
    """Return the reasoning that a model shows in a message."""
    content = message.content
    blocks = () if isinstance(content, str) else content
    shown = "".join(_block_reasoning(block) for block in blocks if isinstance(block, Mapping))
    return shown or _text(message.additional_kwargs.get("reasoning_content"))


def _block_reasoning(block: Mapping[str, Any]) -> str:
    kind = block.get("type")
    if kind == "thinking":
        return _text(block.get("thinking"))
    if kind in ("reasoning", "reasoning_content"):
        summary = "".join(_text(part.get("text")) for part in block.get("summary") or ())
        return summary or _text(block.get("reasoning")) or _text(block.get("text"))
    return ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def text_of_result(message: ToolMessage) -> str:
    """Return a tool's answer as text: its own text, or its content as JSON when it is not only text."""
    content = message.content
    if isinstance(content, str):
        return content
    if all(isinstance(block, str) or block.get("type") == "text" for block in content):
        return text_of(content)
    return pydantic_core.to_json(Encoder().encode(content)).decode()


def image_block(subtype: str, data: str) -> dict[str, Any]:
    """Return an image as every vendor's LangChain model takes it: a data URL."""
    return {"type": "image_url", "image_url": {"url": f"data:image/{subtype};base64,{data}"}}


def media_block(message: MediaMessage) -> dict[str, Any]:
    """Return an attachment as LangChain's own kind of block, which its models translate for their vendors."""
    if message.kind == "image" and message.url is not None:
        return {"type": "image_url", "image_url": {"url": message.url}}
    block: dict[str, Any] = {"type": _BLOCKS.get(message.kind, message.kind), "mime_type": message.mime_type}
    if message.data is None:
        return {**block, "url": message.url}
    named = {"filename": message.filename} if message.filename else {}
    return {**block, "base64": message.data, **named}


_BLOCKS = {"document": "file"}
_KINDS: dict[Any, MediaKind] = {"audio": "audio", "video": "video", "file": "document"}


def media_of(content: Any, role: Role) -> Iterable[MediaMessage]:
    """Return the attachments in a content besides images that it holds itself, without ids."""
    for block in () if isinstance(content, str) else content:
        if not isinstance(block, Mapping):
            continue
        kind = _KINDS.get(block.get("type"))
        data, url = block.get("base64") or block.get("data"), block.get("url")
        if kind is not None and (isinstance(data, str) or isinstance(url, str)):
            yield MediaMessage(
                role=role,
                kind=kind,
                mime_type=str(block.get("mime_type") or ""),
                data=data if isinstance(data, str) else None,
                url=None if isinstance(data, str) else url,
                filename=block.get("filename") if isinstance(block.get("filename"), str) else None,
            )
        elif (link := _link(block)) is not None:
            yield MediaMessage(role=role, kind="image", mime_type=str(block.get("mime_type") or ""), url=link)


def _link(block: Mapping[str, Any]) -> str | None:
    if block.get("type") not in ("image_url", "image") or _image(block) is not None:
        return None
    url = block.get("image_url", block.get("url"))
    url = url.get("url") if isinstance(url, Mapping) else url
    return url if isinstance(url, str) and url.startswith(("http://", "https://")) else None


def images_of(content: Any) -> Iterable[tuple[str, str]]:
    """Return the images inside a content: subtype (``png``) and base64 text. Those behind a link are left out."""
    for block in () if isinstance(content, str) else content:
        image = _image(block) if isinstance(block, Mapping) else None
        if image is not None:
            yield image


def _image(block: Mapping[str, Any]) -> tuple[str, str] | None:
    if block.get("type") == "image_url":
        url = block.get("image_url")
        return _data_url(url.get("url") if isinstance(url, Mapping) else url)
    if block.get("type") != "image":
        return None
    source = block.get("source") if isinstance(block.get("source"), Mapping) else block
    data = source.get("base64") or source.get("data")  # type: ignore[union-attr]
    mime = source.get("mime_type") or source.get("media_type") or ""  # type: ignore[union-attr]
    return (mime.removeprefix("image/"), data) if isinstance(data, str) else _data_url(block.get("url"))


def _data_url(url: Any) -> tuple[str, str] | None:
    if not isinstance(url, str) or not url.startswith("data:image/"):
        return None
    head, comma, data = url.removeprefix("data:image/").partition(",")
    return (head.partition(";")[0], data) if comma else None
