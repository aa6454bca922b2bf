"""A client of the AG-UI wire that runs a scenario and then connects to its thread."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import Any

import httpx

from tests.parity.agui.scenarios import AGENT

PATIENCE = 10.0


@dataclass(frozen=True)
class Stream:
    """What a server sent. ``complete`` if the stream ended in time; ``status`` is 0 if the server is gone."""

    status: int
    content_type: str
    events: list[dict[str, Any]]
    complete: bool


async def play(client: httpx.AsyncClient, url: str, body: dict[str, Any]) -> dict[str, Stream]:
    """Run the scenario, then connect as a client does that was reloaded."""
    run = await _stream(client, f"{url}/agent/{AGENT}/run", body)
    again = {"threadId": body["threadId"], "runId": "connect-1", "messages": [], "tools": [], "context": []}
    return {"run": run, "connect": await _stream(client, f"{url}/agent/{AGENT}/connect", again)}


async def _stream(client: httpx.AsyncClient, url: str, body: dict[str, Any]) -> Stream:
    text, status, kind, complete = "", 0, "", False
    with contextlib.suppress(TimeoutError, httpx.TransportError):  # the other runtime's process may end here
        async with (
            asyncio.timeout(PATIENCE),
            client.stream("POST", url, json=body, headers={"accept": "text/event-stream"}) as response,
        ):
            status, kind = response.status_code, response.headers.get("content-type", "")
            async for piece in response.aiter_text():
                text += piece
            complete = True
    return Stream(status, kind, _events(text), complete)


def _events(text: str) -> list[dict[str, Any]]:
    """Return what clients read: what follows ``data: `` in frames, which two line feeds end."""
    frames = [frame for frame in text.split("\n\n") if frame.startswith("data: ")]
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]
