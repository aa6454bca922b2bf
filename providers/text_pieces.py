"""Texts that come piece by piece, cut anywhere, even in the middle of a character."""

from __future__ import annotations

_FIRST_HALVES = range(0xD800, 0xDC00)


class TextPieces:
    """Joins the halves of characters beyond 16 bits, which JavaScript's strings and so some vendors cut apart."""

    def __init__(self) -> None:
        self.half = ""
        """The half that waits for its other one."""

    def feed(self, delta: str) -> str:
        """Return ``delta`` as text that can be encoded: a half waits for the next piece, a lone one becomes U+FFFD."""
        if not self.half and (delta.isascii() or _is_whole(delta)):
            return delta
        text, self.half = self.half + delta, ""
        if text and ord(text[-1]) in _FIRST_HALVES:
            text, self.half = text[:-1], text[-1]
        return whole(text)

    def end(self) -> str:
        """Return what stands for a half whose other one never came."""
        half, self.half = self.half, ""
        return whole(half)


def whole(text: str) -> str:
    """Return ``text`` with the halves of each character joined, and U+FFFD for a lone half."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
