"""What the servers are asked to stream: the same tokens, at one pace or another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MESSAGE = "answer"
AGENT = "scripted"


@dataclass(frozen=True)
class Pattern:
    """Pieces of text, each ``pace`` seconds after the last: None is at once, 0 the loop's next turn."""

    name: str
    tokens: int
    pace: float | None

    @property
    def pieces(self) -> list[str]:
        """The tokens: all different, so that a lost or doubled one is seen."""
        return [f" token{number}" for number in range(self.tokens)]

    def script(self) -> list[dict[str, Any]]:
        """Return the steps that a scripted agent plays."""
        pace = {} if self.pace is None else {"after": self.pace}
        content = {"type": "TEXT_MESSAGE_CONTENT", "messageId": MESSAGE}
        return [
            {"event": {"type": "TEXT_MESSAGE_START", "messageId": MESSAGE, "role": "assistant"}},
            *({"event": {**content, "delta": piece}, **pace} for piece in self.pieces),
            {"event": {"type": "TEXT_MESSAGE_END", "messageId": MESSAGE}},
        ]
