"""Results of MCP tools, as models and agents read them."""

from __future__ import annotations

from typing import Any

import msgspec


def result_value(result: dict[str, Any]) -> Any:
    """Return a result's text or parts; with its structured content, where that holds more than the text does."""
    content, structured = result.get("content") or [], result.get("structuredContent")
    if not content:
        return structured
    shown = _text_of(content) if all(part.get("type") == "text" for part in content) else content
    if structured is None or _includes(content, structured):
        return shown
    return {"content": shown, "structuredContent": structured}


def error_text(result: dict[str, Any]) -> str:
    """Return what a failed tool reports."""
    text, structured = _text_of(result.get("content") or []), result.get("structuredContent")
    return text if text or structured is None else msgspec.json.encode(structured).decode()


def _text_of(content: list[dict[str, Any]]) -> str:
    return "\n".join(str(part.get("text", "")) for part in content if part.get("type") == "text")


def _includes(content: list[dict[str, Any]], structured: Any) -> bool:
    """Return whether the content is the structured content once more, as servers should send it for older clients.

    Values that are not objects are wrapped as ``{"result": value}``, and a list is one part for each item.
    """
    structured = _without_nulls(structured)
    value = structured
    if isinstance(structured, dict) and list(structured) == ["result"]:
        value = structured["result"]
    parts = [_without_nulls(_parsed(part)) for part in content]
    return structured in parts or value in (*(parts if len(parts) == 1 else ()), parts, _text_of(content))


def _parsed(part: dict[str, Any]) -> Any:
    if part.get("type") != "text":
        return part
    try:
        return msgspec.json.decode(str(part.get("text", "")))
    except msgspec.DecodeError:
        return part.get("text")


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
