"""The two wires as a benchmark's client speaks them: what it sends, and how it sees that all has come."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

from scripts.benchmark.pattern import AGENT, Pattern
from tests.parity.fold import fold, view
from tests.parity.scenarios import DOCUMENT, OPERATION, request_data
from tests.parity.wire import ACCEPT, PartReader


class BrokenStreamError(RuntimeError):
    """A server's answer is not the one that was asked for."""


class Wire(Protocol):
    """One wire."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def path(self) -> str:
        """Where it takes requests, below the shared URL."""

    @property
    def accept(self) -> str:
        """What its clients accept."""

    @property
    def first_token(self) -> bytes:
        """What the first token's bytes hold."""

    def body(self, pattern: Pattern, thread_id: str) -> bytes:
        """Return the request that asks an agent for the stream."""

    def verify(self, pattern: Pattern, content: bytes) -> None:
        """Check that every token came, in order, and that the run succeeded.

        Raises:
            BrokenStreamError: It did not.
        """


@dataclass(frozen=True)
class GraphQL:
    """The wire of clients up to 1.10.6."""

    name: str = "GraphQL"
    path: str = ""
    accept: str = ACCEPT
    first_token: bytes = b'"content",0]'

    def body(self, pattern: Pattern, thread_id: str) -> bytes:
        """Return the request of a published client."""
        data = request_data(json.dumps(pattern.script()), thread_id)
        variables = {"data": data | {"agentSession": {"agentName": AGENT}}, "properties": {}}
        query = {"operationName": OPERATION, "query": DOCUMENT.read_text(), "variables": variables}
        return json.dumps(query).encode()

    def verify(self, pattern: Pattern, content: bytes) -> None:
        """Fold the parts as a client does."""
        reader = PartReader()
        parts = reader.feed(content)
        end = view(fold(parts))
        texts = [message["content"] for message in end["messages"] if "content" in message]
        if not reader.finished or texts != ["".join(pattern.pieces)] or end["status"]["code"] != "Success":
            raise BrokenStreamError(f"{len(parts)} parts, {end['status']}, {texts!r:.200}")


@dataclass(frozen=True)
class AGUI:
    """The wire of clients from 1.50 on."""

    name: str = "AG-UI"
    path: str = f"/agent/{AGENT}/run"
    accept: str = "text/event-stream"
    first_token: bytes = b"TEXT_MESSAGE_CONTENT"

    def body(self, pattern: Pattern, thread_id: str) -> bytes:
        """Return the request of a published client."""
        message = {"id": f"asked-{thread_id}", "role": "user", "content": json.dumps(pattern.script())}
        ids = {"threadId": thread_id, "runId": f"run-{thread_id}"}
        body = {**ids, "messages": [message], "tools": [], "context": [], "state": {}, "forwardedProps": {}}
        return json.dumps(body).encode()

    def verify(self, pattern: Pattern, content: bytes) -> None:
        """Join the pieces of the events."""
        lines = content.decode().split("\n\n")
        events: list[dict[str, Any]] = [json.loads(line[len("data: ") :]) for line in lines if line[:6] == "data: "]
        text = "".join(event["delta"] for event in events if event["type"] == "TEXT_MESSAGE_CONTENT")
        if text != "".join(pattern.pieces) or events[-1]["type"] != "RUN_FINISHED":
            raise BrokenStreamError(f"{len(events)} events, {events[-1]}, {text!r:.200}")


WIRES: tuple[Wire, ...] = (GraphQL(), AGUI())
