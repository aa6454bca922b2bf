"""A text that comes in pieces, kept in little more than its own length."""

from __future__ import annotations

PIECES = 256
"""How many pieces are joined at a time: as a string of its own each takes ten times the memory of its letters."""


class GrowingText:
    """Pieces of a text. Whoever appends to ``pieces`` calls ``fold()`` from time to time.

    What is joined is not joined again, so that a long text costs no more for each piece than a short one.
    """

    __slots__ = ("_folded", "_joined", "pieces")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        """What has come; the first entries may be several pieces in one."""
        self._joined = 0  # how many of them are
        self._folded = 0  # how many pieces those stand for, beside themselves

    def __len__(self) -> int:
        """Return how many pieces have come."""
        return len(self.pieces) + self._folded

    def fold(self) -> None:
        """Join what has come since the last time, if it is worth it."""
        pieces, start = self.pieces, self._joined
        number = len(pieces) - start
        if number >= PIECES:
            pieces[start:] = ["".join(pieces[start:])]
            self._joined += 1
            self._folded += number - 1

    def add(self, rest: GrowingText) -> None:
        """Append all pieces of a text that goes on with this one, as one."""
        self.pieces.append(rest.value())
        self._folded += len(rest) - 1

    def close(self) -> None:
        """Join all that has come: nothing will follow."""
        self._folded += len(self.pieces) - 1
        self.pieces[:] = ["".join(self.pieces)]
        self._joined = 1

    def value(self) -> str:
        """Return the text."""
        return "".join(self.pieces)
