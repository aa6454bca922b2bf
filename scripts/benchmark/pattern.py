"""What the servers are asked to stream: the same tokens, at one pace or another."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.parity.scenarios import DOCUMENT, OPERATION, request_data

MESSAGE = "answer"


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

    def body(self, thread_id: str) -> bytes:
        """Return the request that asks an agent for the stream."""
        data = request_data(json.dumps(self._script()), thread_id)
        variables = {"data": data | {"agentSession": {"agentName": "scripted"}}, "properties": {}}
        query = {"operationName": OPERATION, "query": DOCUMENT.read_text(), "variables": variables}
        return json.dumps(query).encode()

    def _script(self) -> list[dict[str, Any]]:
        pace = {} if self.pace is None else {"after": self.pace}
        content = {"type": "TEXT_MESSAGE_CONTENT", "messageId": MESSAGE}
        return [
            {"event": {"type": "TEXT_MESSAGE_START", "messageId": MESSAGE, "role": "assistant"}},
            *({"event": {**content, "delta": piece}, **pace} for piece in self.pieces),
            {"event": {"type": "TEXT_MESSAGE_END", "messageId": MESSAGE}},
        ]
