r"""JSON texts from strangers: bounded before they are decoded, and read though they hold half a character.

A string of JavaScript's that was cut in the middle of a character ends in half of it, which its JSON has as an escape
(``\ud83d``). The TypeScript runtime takes such texts; here a half becomes U+FFFD.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterable
from typing import Any

import msgspec

from .errors import InputTooLargeError

MAX_NODES = 250_000
"""Values in one JSON text: each costs time and some fifty bytes, however little text it takes."""
MAX_NESTING = 400
"""How deep one JSON text may nest. Encoders give up somewhat deeper, where depends on who calls them: what one of them
has written another one might not read."""

MAX_EVENT_NESTING = 200
"""How deep a value of an agent's event may nest, so that every encoder and store can still take it."""

# A backslash that is escaped begins no escape; two halves of one character are left as they are.
_ESCAPES = re.compile(
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_HALF_LENGTH = len(r"\ud83d")
_HALF = re.compile("[\ud800-\udfff]")
# One that is not closed reaches to the end: else each quote in it would be tried as the beginning of another one.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+\\?+(?:"|\Z)', re.DOTALL)


# Twenty digits are the shortest number that 64 bits may not hold. They are looked for in a text whose digits are all
# alike: a regular expression takes ten times as long, and each request passes here.
_ALIKE = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = 20 * b"0"
_LEAST, _MOST = -(2**63), 2**64 - 1
_CONTAINERS = (dict, list, tuple, set, frozenset)


def scrub(text: str) -> str:
    """Return ``text`` with each half of a character, which has no UTF-8, as U+FFFD."""
    if text.isascii() or not _HALF.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def scrub_all(value: Any) -> Any:
    """Return a JSON value with all its texts scrubbed.

    Raises:
        RecursionError: It nests too deep.
    """
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {scrub_all(key): scrub_all(item) for key, item in value.items()}
    return [scrub_all(item) for item in value] if isinstance(value, list | tuple) else value


def nests_deeper(value: Any, limit: int) -> bool:
    """Return whether a JSON value has containers in more than ``limit`` levels. It takes no stack."""
    level = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(limit):
        if not level:
            return False
        level = [item for each in level for item in items_of(each) if isinstance(item, _CONTAINERS)]
    return bool(level)


def items_of(container: Any) -> Iterable[Any]:
    """Return the values in an object or a list."""
    return container.values() if isinstance(container, dict) else container


def decode_json(text: str | bytes) -> Any:
    """Return what a JSON text holds, with U+FFFD for bytes that are not UTF-8 and for halves of characters.

    Raises:
        InputTooLargeError: It has too many values.
        msgspec.DecodeError: It is not JSON, or nests too deep.
    """
    if len(text) > MAX_NODES:
        raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        if count_nodes(raw) > MAX_NODES:
            raise InputTooLargeError(f"The JSON has more than {MAX_NODES} values.")
    try:
        value = _decode(text)
    except RecursionError as error:
        raise msgspec.DecodeError("JSON nests too deep") from error
    if _may_nest_deeper(text) and nests_deeper(value, MAX_NESTING):
        raise msgspec.DecodeError("JSON nests too deep")
    return value


def _may_nest_deeper(text: str | bytes) -> bool:
    if isinstance(text, str):
        return text.count("{") + text.count("[") > MAX_NESTING
    return text.count(b"{") + text.count(b"[") > MAX_NESTING


def decode_client_json(text: str | bytes) -> Any:
    """Return what a client's JSON text holds, as ``decode_json`` does, with whole numbers beyond 64 bits as floats.

    So they are to JavaScript, and LangGraph's checkpoints take no longer ones. What models write is not treated so:
    the arguments of an action may hold exact numbers of any length. A byte order mark before the text is skipped, as
    ``Response.json()`` of JavaScript skips it.

    Raises:
        InputTooLargeError: It has too many values.
        msgspec.DecodeError: It is not JSON, nests too deep, or has a number that is no float either.
    """
    if isinstance(text, bytes):
        text = text.removeprefix(BOM_UTF8)
    value = decode_json(text)
    if not _may_have_long_number(text):
        return value
    try:
        return _with_floats(value)
    except RecursionError as error:
        raise msgspec.DecodeError("JSON nests too deep") from error
    except OverflowError as error:
        raise msgspec.DecodeError("Number out of range") from error


def decode_agent_json(text: str | bytes) -> Any:
    """Return what the JSON of an agent or a service holds. Halves of characters stay halves, for texts come in pieces.

    What Python's own encoder writes besides is read as well: control characters as they are, and ``NaN`` as None.

    Raises:
        msgspec.DecodeError: It is not JSON, or nests too deep.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    try:
        return json.loads(plain, strict=False, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error


def _may_have_long_number(text: str | bytes) -> bool:
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return len(raw) >= len(_LONG_NUMBER) and _LONG_NUMBER in raw.translate(_ALIKE)


def _with_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_floats(item) for item in value]
    return float(value) if isinstance(value, int) and not _LEAST <= value <= _MOST else value


def count_nodes(raw: bytes) -> int:
    """Return how many values a JSON text may have; exactly, as far as it matters, if they are many."""
    count = _separators(raw)
    return count if count <= MAX_NODES else _separators(_STRING.sub(b"", raw))


def _separators(raw: bytes) -> int:
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def _decode(text: str | bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else scrub(text)
    return msgspec.json.decode(_ESCAPES.sub(_without_half, plain))


def _without_half(escape: re.Match[str]) -> str:
    return r"\ufffd" if len(escape[0]) == _HALF_LENGTH else escape[0]
