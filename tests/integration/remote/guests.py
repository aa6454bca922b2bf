"""A remote endpoint whose agent behaves as the conformance suite wants, in both of the protocol's languages."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from copilotkit_runtime.providers.remote import RemoteEndpointProvider
from copilotkit_runtime.testing import AGENT, Behaviour, Guest, Request, ScriptedService, head

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BATCH = 100


def crew_piece(piece: str) -> dict[str, Any]:
    return {"type": "TextMessageContent", "messageId": "m", "content": piece}


def graph_piece(piece: str) -> dict[str, Any]:
    chunk = {"kwargs": {"id": "m", "content": piece}}
    return {"event": "on_chat_model_stream", "metadata": {}, "data": {"chunk": chunk}}


def crew_state(text: str) -> dict[str, Any]:
    state = json.dumps({"echo": text})
    return {"type": "AgentStateMessage", "nodeName": "n", "active": False, "running": True, "state": state}


def graph_state(text: str) -> dict[str, Any]:
    report = {"node_name": "n", "active": False, "running": True, "state": {"echo": text}}
    return {"event": "on_copilotkit_state_sync", **report}


class RemoteGuest(Guest):
    service: ScriptedService | None = None

    def __init__(self, kind: str) -> None:
        self.name = f"remote-{kind}"
        self._kind = kind
        self._piece, self._state = (crew_piece, crew_state) if kind == "crewai" else (graph_piece, graph_state)

    @property
    def working(self) -> int:
        return 0 if self.service is None else self.service.running

    @asynccontextmanager
    async def serve(self, behaviour: Behaviour) -> AsyncIterator[RemoteEndpointProvider]:
        async def script(request: Request) -> AsyncIterator[bytes]:
            if request.path == "/info":
                yield self._whole({"actions": [], "agents": [{"name": AGENT, "type": self._kind}]})
            elif request.path == "/agents/state":
                yield self._whole({"threadId": "", "threadExists": False, "state": {}, "messages": []})
            else:
                async for part in self._run(behaviour, request.json["messages"][-1]["content"]):
                    yield part

        async with ScriptedService(script) as self.service:
            yield RemoteEndpointProvider(self.service.url)

    def _whole(self, body: Any) -> bytes:
        encoded = json.dumps(body).encode()
        return head("application/json", length=len(encoded)) + encoded

    async def _run(self, behaviour: Behaviour, text: str) -> AsyncIterator[bytes]:
        # A length that is never reached: whoever stops before it has broken off.
        yield head("application/json", length=10**9 if behaviour is Behaviour.RAISE else None)
        if self._kind == "crewai":
            yield b'{"type":"TextMessageStart","messageId":"m"}\n'
        flood = ("x",) * self.flood_tokens
        pieces = {Behaviour.ECHO: text.partition(" "), Behaviour.FLOOD: flood}.get(behaviour, ("begun",))
        lines = [json.dumps(self._piece(piece)) + "\n" for piece in pieces]
        for at in range(0, len(lines), BATCH):
            yield "".join(lines[at : at + BATCH]).encode()
        if behaviour is Behaviour.HANG:
            await asyncio.Event().wait()
        if behaviour is Behaviour.GARBAGE:
            yield b"<html>\n"
        if behaviour is Behaviour.ECHO:
            yield json.dumps(self._state(text)).encode()
