"""One tool call while its pieces come in."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import msgspec

from .text_pieces import TextPieces

_MARKS = re.compile(r'\\.|["{}\[\]\\]', re.DOTALL)
_NO_ARGUMENTS = frozenset({"{}", "null", '""'})


class JsonProgress:
    """Detects when the JSON of an object or list is complete, at a cost linear in its length."""

    def __init__(self) -> None:
        self.begun = False
        self._depth = 0
        self._in_string = False
        self._escaped = False

    @property
    def complete(self) -> bool:
        """Whether the outermost bracket was closed."""
        return self.begun and self._depth == 0

    def feed(self, text: str) -> None:
        """Read on."""
        start, self._escaped = int(self._escaped and bool(text)), self._escaped and not text
        for match in _MARKS.finditer(text, start):
            self._mark(match[0])

    def _mark(self, mark: str) -> None:
        if mark == '"':
            self._in_string = not self._in_string
        elif mark == "\\":
            self._escaped = True
        elif not self._in_string and mark in "{[":
            self.begun = True
            self._depth += 1
        elif not self._in_string and mark in "}]":
            self._depth -= 1


class CallPieces:
    """What has come of one call: its vendor's id, its name and its arguments.

    Args:
        key: What later pieces of the call are known by, such as its index.
        twin: A complete call that this one may repeat.
    """

    def __init__(self, key: Hashable, twin: CallPieces | None = None) -> None:
        self.key = key
        self.twin = twin
        self.vendor_id = ""
        self.name = ""
        self.id: str | None = None
        self.ended = False
        self.details: dict[str, Any] = {}
        self._written: list[str] = []
        self._sent = 0
        self._progress = JsonProgress()
        self._pieces = TextPieces()

    @property
    def opened(self) -> bool:
        """Whether the call was announced."""
        return self.id is not None

    @property
    def written(self) -> bool:
        """Whether any arguments have come."""
        return bool(self._written)

    @property
    def complete(self) -> bool:
        """Whether the arguments are a whole JSON object."""
        return self._progress.complete

    @property
    def is_placeholder(self) -> bool:
        """Whether all that has come stands for "no arguments", which some vendors send before the real ones."""
        return len(self._written) == 1 and self._written[0].strip() in _NO_ARGUMENTS

    def take(self, vendor_id: str | None, name: str | None, arguments: str | None) -> None:
        """Add a piece. What follows complete arguments belongs to no call, and is dropped."""
        self.vendor_id = self.vendor_id or vendor_id or ""
        if name and not self.opened:
            self.name = _joined(self.name, name)
        if arguments and self.is_placeholder and arguments.strip():
            self._written.clear()
            self._progress = JsonProgress()
        delta = self._pieces.feed(arguments) if arguments and not self.complete else ""
        if delta and (self._written or delta.strip()):
            self._written.append(delta)
            self._progress.feed(delta)

    def unsent(self) -> str:
        """Return the arguments that were not sent yet, and mark them as sent."""
        if self.is_placeholder:
            return ""
        delta = "".join(self._written[self._sent :])
        self._sent = len(self._written)
        return delta

    def rest(self) -> str:
        """Return what completes the arguments once the call has ended: ``{}`` if there were none."""
        if not self._written or self.is_placeholder:
            return "{}"
        return self.unsent() + self._pieces.end()

    def repeats_twin(self) -> bool:
        """Return whether this is its twin, sent a second time."""
        if self.twin is None or (self.name and self.name != self.twin.name):
            return False
        return not self._written or self.value() == self.twin.value()

    def value(self) -> object:
        """Return what the arguments hold, or their text if it is not JSON."""
        text = "".join(self._written)
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError):
            return text


# Names come whole, again with every piece, or cut into pieces.
def _joined(begun: str, name: str) -> str:
    return name if name.startswith(begun) else begun + name
