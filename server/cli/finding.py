"""What ``doctor`` finds."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """What was looked at and what was found."""

    mark: Literal["ok", "note", "fail"]
    what: str
    advice: str = ""

    def __str__(self) -> str:
        """Return the finding as a line."""
        return f"{self.mark:5}{self.what}{f'. {self.advice}' if self.advice else ''}"
