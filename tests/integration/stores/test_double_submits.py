"""One turn that is submitted twice at once: both requests are answered, every reader ends, the thread has it once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from tests.integration.stores.conftest import SHARED
from tests.integration.stores.test_durability import load
from tests.integration.stores.test_takeover import GREETING, spoken, target, terminal
from tests.parity.fold import fold
from tests.parity.servers import Server
from tests.parity.wire import ACCEPT, PartReader
from tests.support.agui_client import events_of, run_input, user
from tests.support.copies import serving
from tests.support.request_bodies import generate, text_message

PATIENCE = 90.0
SAID = "as it was asked"
SCRIPTS = {
    "graph": json.dumps({"say": [SAID]}),
    "scripted": json.dumps(
        [
            {"event": {"type": "TEXT_MESSAGE_START", "messageId": "a"}},
            {"event": {"type": "TEXT_MESSAGE_CONTENT", "messageId": "a", "delta": SAID}, "after": 0.2},
            {"event": {"type": "TEXT_MESSAGE_END", "messageId": "a"}},
        ]
    ),
}
ANSWERS = {"graph": [GREETING, SAID], "scripted": [SAID]}


class Submit(NamedTuple):
    """A turn that is submitted twice."""

    wire: str
    agent: str
    servers: tuple[Server, Server]

    async def check(self, client: httpx.AsyncClient) -> None:
        thread, answer = f"thread-{uuid4()}", ANSWERS[self.agent]
        bodies = await asyncio.wait_for(self._submit(thread), PATIENCE)
        for shown in map(self._shown, bodies):
            assert shown == (answer, "finished"), "each tab sees one answer, and its end"
        for server in self.servers:
            address = f"{server.url}/agent/{self.agent}/connect"
            opened = await client.post(address, json=run_input(thread=thread, run="c"))
            assert list(spoken(events_of(opened.text)).values()) == answer, "a tab that is opened sees it once"
            assert _ids(events_of(opened.text)).count(f"u-{thread}") == 1
            kept = json.loads((await load(client, server.url, self.agent, thread))["messages"])
            assert [message["content"] for message in kept] == [SCRIPTS[self.agent], *answer]

    async def _submit(self, thread: str) -> Sequence[bytes]:
        """Send two requests in one go, over connections that were opened before."""
        path, asked = "", (f"u-{thread}", SCRIPTS[self.agent])
        body: dict[str, Any] = generate(text_message(asked[1], id_=asked[0]), agent=self.agent, threadId=thread)
        if self.wire == "agui":
            path, body = (
                f"/agent/{self.agent}/run",
                run_input(user(asked[1], asked[0]), thread=thread, run=f"r-{thread}"),
            )
        places = [urlsplit(server.url) for server in self.servers]
        connections = [await asyncio.open_connection(place.hostname, place.port) for place in places]
        for place, (_, writer) in zip(places, connections, strict=True):
            writer.write(_request(f"{place.path}{path}", body))
        try:
            answers = await asyncio.gather(*(reader.read() for reader, _ in connections))
        finally:
            for _, writer in connections:
                writer.close()
        return [_content(answer.partition(b"\r\n\r\n")[2]) for answer in answers]

    def _shown(self, body: bytes) -> tuple[list[str], str]:
        if self.wire == "agui":
            seen = events_of(body.decode())
            return list(spoken(seen).values()), "finished" if terminal(seen) == ["RUN_FINISHED"] else "failed"
        answer = fold(PartReader().feed(body))
        said = ["".join(message["content"]) for message in answer["messages"] if "content" in message]
        return said, "finished" if answer["status"]["code"] == "Success" else "failed"


def _ids(events: Sequence[dict[str, Any]]) -> list[str]:
    """The ids of the messages that a client has at the end, but for those that are streamed.

    A history that is corrected names a message more than once: with its run, and in a snapshot, which takes the place
    of what came before. The request that came second may have been answered first.
    """
    ids: list[str] = []
    for event in events:
        named = [message["id"] for message in event.get("messages") or (event.get("input") or {}).get("messages", ())]
        ids = named if event["type"] == "MESSAGES_SNAPSHOT" else [*ids, *(each for each in named if each not in ids)]
    return ids


def _request(path: str, body: dict[str, Any]) -> bytes:
    """A request of which the answer comes in chunks, and ends with the connection."""
    content = json.dumps(body).encode()
    headers = {
        "Host": "localhost",
        "Connection": "close",
        "Accept": ACCEPT,
        "Content-Type": "application/json",
        "Content-Length": len(content),
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + content


def _content(chunks: bytes) -> bytes:
    whole = b""
    while chunks:
        size, _, rest = chunks.partition(b"\r\n")
        length = int(size, 16)
        whole, chunks = whole + rest[:length], rest[length + 2 :]
    return whole


@pytest.mark.timeout(300)
@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_a_turn_that_is_submitted_twice_within_ten_milliseconds_is_shown_and_kept_once(url: str) -> None:
    """Over both wires, for an agent with a memory of its own and one without, to one process and to two."""
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        with serving(target(url, on_crash="close")) as one, serving(target(url, on_crash="close")) as other:
            for wire in ("agui", "graphql"):
                for agent in SCRIPTS:
                    for servers in ((one, one), (one, other)):
                        await Submit(wire, agent, servers).check(client)
