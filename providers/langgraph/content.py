"""What is inside a LangChain message: text, reasoning and images, in every vendor's spelling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pydantic_core
from langchain_core.messages import AIMessage, ToolMessage

from .encoding import Encoder


def text_of(content: Any) -> str:
    """All text in a message's content."""
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
