"""How soon a first word is written, counted in turns of the event loop, which come out alike on every machine.

On a process with a thousand busy streams each turn lasts as long as all that they have to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from scripts.benchmark.cost import WIRES
from scripts.benchmark.features import REQUESTS, ask, double

WORD = "at-once"
TURNS = 3
"""The request's task, the run's, and the request's again to write. Whoever adds one says why it is worth it."""


class Prompt(AgentProvider):
    """Says a word at once, as a model does whose first token has come."""

    name = "counting"

    async def list_agents(self) -> list[AgentDescriptor]:
        """Return the one agent."""
        return [AgentDescriptor(name="counting")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Say the word."""
        yield events.TextMessageStart(message_id="word")
        yield events.TextMessageContent(message_id="word", delta=WORD)
        await asyncio.sleep(0)
        yield events.TextMessageEnd(message_id="word")


async def turns_until_word(app: Any, wire: str) -> int:
    path, accept, request, _ = REQUESTS[wire](1)
    if wire == "graphql":
        request["variables"]["data"]["threadId"] = uuid4().hex
    written: list[bytes] = []
    asking = asyncio.create_task(ask(app, path, accept, request, written))
    turns = 0
    while WORD.encode() not in b"".join(written):
        assert not asking.done(), written
        await asyncio.sleep(0)
        turns += 1
    await asking
    return turns


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("features", [{}, {"actions": [double]}], ids=["plain", "with actions"])
async def test_a_first_word_is_written_within_three_turns(wire: str, features: dict[str, Any]) -> None:
    runtime = CopilotRuntime(providers=[Prompt()], store="memory://", **features)
    app = runtime.create_app()
    async with runtime:
        await turns_until_word(app, wire)
        assert await turns_until_word(app, wire) <= TURNS
