"""Secrets in texts: what looks like a key, a token or a password is taken out."""

from __future__ import annotations

import re

HIDDEN = "[hidden]"

_HIDDEN_NAMES = (
    r"authorization|cookie|credentials?|passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|private[_-]?key"
    r"|public[_-]api[_-]key"
)
_SECRET_KEY = re.compile(rf"(^|[_-])({_HIDDEN_NAMES})($|[_-])", re.IGNORECASE)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# "password=x" in a URL or a call, and "'api_key': 'x'" in a printed dictionary, as tracebacks have them.
# Each alternative begins with a fixed word, so that a text is searched once, however it repeats itself.
_SECRET_TEXT = re.compile(
    rf"(?P<quoted>(?:{_HIDDEN_NAMES})(?:=|[\"']\s?:\s?)[\"'])[^\"']+"
    rf"|(?P<named>(?:{_HIDDEN_NAMES})=)(?:(?:basic|bearer)\s{{1,8}})?[^\s\"'&,;)]+"
    r"|(?P<scheme>bearer\s{1,8})[^\s\"',]+"
    r"|(?P<user>://[^/\s:@]{0,256}:)[^\s/@]{1,256}(?=@)"
    r"|\b(sk|pk|rk|ck|gsk)[-_][A-Za-z0-9_-]{16,}"
    r"|\beyJ[A-Za-z0-9_-]{5,1000}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bxox[abprs]-[A-Za-z0-9-]{10,}|\bAKIA[A-Z0-9]{16}\b|\bAIza[A-Za-z0-9_-]{30,}",
    re.IGNORECASE,
)
_KEPT = ("quoted", "named", "scheme", "user")
MAX_TEXT = 2_000
"""Characters of one logged text; a stack may have more."""
MAX_QUOTE = 200
"""Characters of a client's text that an error repeats."""
_CUT_WORD = re.compile(r"\S{1,200}\Z")


def without_secrets(text: str) -> str:
    """Return ``text`` without what looks like a key, a token or a password."""
    return _SECRET_TEXT.sub(lambda match: next(filter(None, map(match.group, _KEPT)), "") + HIDDEN, text)


def quoted(text: str) -> str:
    """Return the beginning of a client's text as an error repeats it."""
    return text[:MAX_QUOTE]


def names_secret(key: str) -> bool:
    """Return whether a field of this name holds a secret."""
    return _SECRET_KEY.search(_HUMP.sub("_", key)) is not None


def shortened(text: str, limit: int = MAX_TEXT) -> str:
    """Return ``text``, without its middle if it is longer than ``limit`` characters."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit * 2 // 3], text[len(text) - limit // 3 :]
    # A secret that the cut goes through would no longer look like one: what is left of it goes, too.
    head, tail = _CUT_WORD.sub("", head), tail.partition(" ")[2] if " " in tail[:200] else tail[200:]
    return f"{head} [{len(text) - len(head) - len(tail)} characters left out] {tail}"
