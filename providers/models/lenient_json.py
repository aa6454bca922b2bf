"""Vendors' JSON, read leniently: bad bytes, halves of characters, and values of a type a little off."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from ...runtime.json_text import decode_agent_json
from .vendor_errors import BrokenStreamError, VendorError


def read_json(data: bytes) -> Any:
    """Return what ``data`` holds. What is not UTF-8 becomes U+FFFD; halves of characters stay halves.

    Raises:
        VendorError: It is plain text, in which vendors report failures.
        BrokenStreamError: It is not JSON.
    """
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        plain = data.decode("utf-8", "replace")
    if not plain.startswith(("{", "[", '"')):
        raise VendorError(plain)
    try:
        return decode_agent_json(plain)
    except msgspec.DecodeError as error:
        raise BrokenStreamError(f"A part of the stream is malformed: {error}") from error


def text_or_none(value: object) -> str | None:
    """Return ``value`` as text: numbers in digits, objects and lists as JSON, and None for null."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def text(value: object) -> str:
    """Return the text that ``value`` stands for: itself, that of its parts, a number in digits, or "" for null."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(text, value))
    if isinstance(value, Mapping):
        return text(value.get("text"))
    return "" if value is None or isinstance(value, bool) else str(value)


def number_or_none(value: object) -> int | None:
    """Return ``value`` as a whole number, digits in a text included; None if it is none."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def objects(value: object) -> list[Mapping[str, Any]]:
    """Return the objects in ``value``, which may be a list of them or a single one."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, Mapping)]


def object_or_empty(value: object) -> Mapping[str, Any]:
    """Return ``value`` if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}
