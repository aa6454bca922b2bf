r"""JSON texts that JavaScript writes and strict decoders refuse: those with half a character in them.

A string of JavaScript's that was cut in the middle of a character ends in half of it, which its JSON has as an escape
(``\ud83d``). The TypeScript runtime takes such texts; here a half becomes U+FFFD.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

# A backslash that is escaped begins no escape; two halves of one character are left as they are.
_ESCAPES = re.compile(
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_HALF_LENGTH = len(r"\ud83d")


def decode_json(text: str | bytes) -> Any:
    """Return what a JSON text holds, with U+FFFD for bytes that are not UTF-8 and for halves of characters.

    Raises:
        msgspec.DecodeError: It is not JSON.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else _encodable(text)
    return msgspec.json.decode(_ESCAPES.sub(_without_half, plain))


def _without_half(escape: re.Match[str]) -> str:
    return r"\ufffd" if len(escape[0]) == _HALF_LENGTH else escape[0]


def _encodable(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
