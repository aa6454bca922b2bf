"""An agent that answers with more than a page is made for, and with what pages are attacked by."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

from typing_extensions import override

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.runtime.context import RunContext, RunInput
from copilotkit_runtime.runtime.events import (
    Custom,
    Event,
    StateDelta,
    StateSnapshot,
    TextMessageContent,
    TextMessageStart,
    ToolCallArgs,
    ToolCallEnd,
    ToolCallResult,
    ToolCallStart,
)
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.provider import AgentDescriptor, AgentProvider

SCRIPT = '<img src="nowhere" onerror="alert(1)"><script>alert(2)</script> **bold** [link](javascript:alert(3))'
TEXTS = {
    "markup": [SCRIPT],
    "word": ["W" * 5_000],
    "hebrew": ["\u05e9\u05dc\u05d5\u05dd, this is read from right to left."],
    "family": ["\U0001f468", "\u200d", "\U0001f469\u200d", "\U0001f467"],
    "long": ["fifty characters of an agent who talks and talks.\n"] * 2_000,
}
NESTED: dict[str, Any] = {"end": True}
for _ in range(300):
    NESTED = {"deeper": NESTED}


class OddAgents(AgentProvider):
    """Answers by the last message, which names what to answer with."""

    @override
    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="odd", description="Answers oddly.")]

    @override
    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncIterator[Event]:
        last = run.messages[-1]
        assert isinstance(last, TextMessage)
        for event in _answer(last.content):
            yield event


def _answer(wanted: str) -> list[Event]:
    if wanted == "state":
        large = {"nested": NESTED, **{f"key {number}": number for number in range(5_000)}}
        changes = [StateDelta(delta=[{"op": "replace", "path": "/key 3", "value": -number}]) for number in range(100)]
        return [StateSnapshot(snapshot=large), *changes]
    if wanted == "events":
        return [Custom(name=f"number {number}") for number in range(2_000)]
    if wanted == "result":
        result = json.dumps([{"row": row, "text": "word " * 20} for row in range(8_000)])
        call = uuid4().hex
        start = ToolCallStart(tool_call_id=call, tool_call_name="look_up")
        asked = ToolCallArgs(tool_call_id=call, delta=json.dumps({"subject": SCRIPT}))
        return [start, asked, ToolCallEnd(tool_call_id=call), ToolCallResult(tool_call_id=call, content=result)]
    message = uuid4().hex
    texts = TEXTS.get(wanted, ["You said: ", wanted])
    contents = [TextMessageContent(message_id=message, delta=text) for text in texts]
    return [TextMessageStart(message_id=message), *contents]


runtime = CopilotRuntime(providers=[OddAgents()])
