"""Thoughts that a model writes into its text."""

from __future__ import annotations

_OPEN = "<thinking>"
_CLOSE = "</thinking>"


class ThinkingFilter:
    """Takes ``<thinking>...</thinking>`` from the start of a text that comes piece by piece."""

    def __init__(self) -> None:
        self._buffer = ""
        self._passing = False

    def feed(self, delta: str) -> str:
        """Return as much text as is known not to be a thought."""
        if self._passing:
            return delta
        self._buffer += delta
        if self._buffer.startswith(_OPEN):
            _, close, after = self._buffer.partition(_CLOSE)
            return self._pass(after) if close else ""
        return "" if _OPEN.startswith(self._buffer) else self._pass(self._buffer)

    def end(self) -> str:
        """Return what was held back and turned out not to be a thought."""
        return "" if self._buffer.startswith(_OPEN) else self._pass(self._buffer)

    def _pass(self, text: str) -> str:
        self._passing = True
        self._buffer = ""
        return text
