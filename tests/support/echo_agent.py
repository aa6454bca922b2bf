"""An agent that sends what it was given, and one that waits until it is stopped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

from copilotkit_runtime.runtime import events
from copilotkit_runtime.runtime.context import RunContext, RunInput
from copilotkit_runtime.runtime.events import Event
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.provider import AgentDescriptor, AgentProvider
from copilotkit_runtime.runtime.stores.interface import AgentState


class EchoProvider(AgentProvider):
    """Offers ``echo``, ``patient``, and ``heavy``, which is pinned to the queue of that name."""

    name = "echo"

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.waiting = asyncio.Event()

    async def list_agents(self) -> list[AgentDescriptor]:
        """The three agents."""
        return [
            AgentDescriptor(name="echo"),
            AgentDescriptor(name="patient"),
            AgentDescriptor(name="heavy", queue="heavy"),
        ]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[Event]:
        """Say all that came with a run."""
        self.ran.append(run.run_id)
        yield events.TextMessageStart(message_id="answer")
        yield events.TextMessageContent(message_id="answer", delta=json.dumps(_given(run, context), sort_keys=True))
        if agent_name == "patient":
            self.waiting.set()
            await asyncio.Event().wait()
        yield events.TextMessageEnd(message_id="answer")


class RememberingProvider(EchoProvider):
    """As ``EchoProvider``, with a memory of its own."""

    async def load_state(self, thread_id: str, agent_name: str) -> AgentState | None:
        """Remember every thread."""
        return AgentState(state={"thread": thread_id}, messages=[TextMessage(id="m", role="user", content=agent_name)])


def _given(run: RunInput, context: RunContext) -> dict[str, Any]:
    return {
        "thread": run.thread_id,
        "run": run.run_id,
        "unique": bool(run.unique_id),
        "said": [each.content for each in run.messages if isinstance(each, TextMessage)],
        "state": run.state,
        "tools": [[tool.name, tool.description, tool.parameters] for tool in run.tools],
        "context": [[each.description, each.value] for each in run.context],
        "resume": [[each.name, each.value, each.response, _answer(each.answer)] for each in run.resume],
        "config": run.config,
        "properties": context.properties,
        "identity": context.identity,
        "claims": dict(context.claims),
        "headers": {name: value for name, value in context.headers.items() if name.startswith(("x-", "cookie"))},
    }


def _answer(value: Any) -> Any:
    return value if isinstance(value, str | int | bool | dict | list | None) else "unset"
