"""A question of a remote endpoint's agent, after the page was loaded again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.remote import RemoteEndpointProvider
from copilotkit_runtime.testing import Request, ScriptedService, head
from tests.support.agui_client import connect, run, run_input, user
from tests.support.local_server import client_of

INFO = {"actions": [], "agents": [{"name": "asker", "type": "langgraph"}]}
SAID = {"id": "said", "role": "assistant", "content": "Let me ask."}
"""What a node wrote without a model: it is in the agent's memory, and was never streamed."""


class Asker:
    """An endpoint whose agent asks, until it is answered."""

    def __init__(self, *, remembers: bool) -> None:
        self.remembers = remembers
        self.answers: list[Any] = []
        self.messages: list[Any] = []

    async def __call__(self, request: Request) -> AsyncIterator[bytes]:
        if request.path == "/info":
            yield _json(INFO)
        elif request.path == "/agents/state":
            yield _json({"threadExists": self.remembers, "state": {"k": 1}, "messages": self.messages})
        else:
            given = json.loads(request.body)
            self.answers += given.get("metaEvents", [])
            self.messages = [*given["messages"], SAID]
            asking = {"event": "on_interrupt", "value": "Sure?"}
            line = {"event": "on_chain_end", "data": {}} if self.answers else asking
            body = json.dumps(line).encode() + b"\n"
            yield head("text/plain", length=len(body)) + body


def _json(body: Any) -> bytes:
    encoded = json.dumps(body).encode()
    return head("application/json", length=len(encoded)) + encoded


def question_of(events: list[dict[str, Any]]) -> list[Any]:
    """What a client is asked in the end: the start of a run clears what was asked before."""
    asked: list[Any] = []
    for event in events:
        if event["type"] == "RUN_STARTED":
            asked = []
        elif event["type"] == "CUSTOM" and event["name"] == "on_interrupt":
            asked = [event["value"]]
    return asked


@pytest.mark.parametrize("remembers", [True, False])
async def test_it_is_asked_again_until_it_is_answered(remembers: bool) -> None:
    asker = Asker(remembers=remembers)
    async with ScriptedService(asker) as service:
        runtime = CopilotRuntime(providers=[RemoteEndpointProvider(service.url)])
        async with client_of(runtime) as client:
            asked = await run(client, "asker", run_input(user("hi")))
            assert question_of(asked) == ["Sure?"]
            for _ in range(2):
                assert question_of(await connect(client, "asker")) == ["Sure?"]
            await run(client, "asker", run_input(user("hi"), forwardedProps={"command": {"resume": "yes"}}))
            assert question_of(await connect(client, "asker")) == []
    assert [answer["response"] for answer in asker.answers] == ["yes"]
