"""Agents of other frameworks, and one without any."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from agno.agent import Agent as AgnoAgent
from agno.models.openai import OpenAIChat
from pydantic_ai import Agent

pydantic_agent = Agent("openai-chat:gpt-4o")
agno_agent = AgnoAgent(model=OpenAIChat(id="gpt-4o"), telemetry=False)


async def run_support(run_input: Any) -> AsyncIterator[dict[str, Any]]:
    """An AG-UI agent: a function that yields events."""
    run = {"threadId": run_input.thread_id, "runId": run_input.run_id}
    yield {"type": "RUN_STARTED", **run}
    yield {"type": "TEXT_MESSAGE_CHUNK", "messageId": "answer", "delta": "Hello from support."}
    yield {"type": "RUN_FINISHED", **run}
