"""Texts without secrets."""

from __future__ import annotations

import re
from collections.abc import Sequence

TEXT_LIMIT = 1_000
REDACTED = "[redacted]"

_MOST_READ = 8 * TEXT_LIMIT
_CUT_WORD = re.compile(r"\S{1,200}\Z")
_LONG = 16
_SHORTEST = 4
_KEYS = re.compile(
    r"(?<![\w-])(?:sk|pk|rk|gsk|xai|hf|sess|ak|pplx|nvapi|key)[-_](?=[\w.\-]{0,200}[\d*])[\w*.\-]{8,}"
    r"|(?<![\w-])(?:sk|gsk|xai|pplx|nvapi)[-_][\w.\-]{16,}"
    r"|\bAIza[\w\-]{20,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{12,}"
    r"|\bbedrock-api-key-[\w+/=\-]+|\bABSK[\w+/=]{20,}"
    r"|(?<![^\s'\"])[^\s'\"]{0,200}?\*{3,}[^\s'\",}]*",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"((?:api[-_ ]?key|authorization|access[-_ ]?token)(?: provided)?['\"]?\s*[:=]\s*['\"]?"
    r"(?:(?:Basic|Bearer|Token)\s+)?"
    r"|\bBearer\s+)([^\s'\",}]+)",
    re.IGNORECASE,
)


def redacted(text: str, secrets: Sequence[str] = ()) -> str:
    """Return the start of ``text`` without anything that looks like a key, and without ``secrets``.

    A short secret is taken out where it stands alone, not out of the middle of a word; one that may be a word itself,
    as the keys of servers are that want none, is left.
    """
    if len(text) > _MOST_READ:
        # A secret that the cut goes through would no longer look like one.
        text = _CUT_WORD.sub("", text[:_MOST_READ])
    for secret in sorted(filter(None, map(str.strip, secrets)), key=len, reverse=True):
        text = _without(text, secret)
    text = _KEYS.sub(REDACTED, text)
    return _NAMED.sub(_without_value, text)[:TEXT_LIMIT]


def _without(text: str, secret: str) -> str:
    if len(secret) >= _LONG:
        return text.replace(secret, REDACTED)
    if len(secret) < _SHORTEST or not _is_secret(secret):
        return text
    return re.sub(rf"(?<![^\W_]){re.escape(secret)}(?![^\W_])", REDACTED, text)


def _without_value(found: re.Match[str]) -> str:
    return f"{found[1]}{REDACTED}" if _is_secret(found[2]) else found[0]


# Words have no digits, few capitals inside, and an end.
def _is_secret(value: str) -> bool:
    if len(value) >= 20 or value.count(".") >= 2 or any(character.isdigit() for character in value):
        return True
    return len(value) >= _SHORTEST and value not in (value.lower(), value.upper(), value.capitalize())
