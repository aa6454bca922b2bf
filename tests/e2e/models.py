"""Runtimes without an agent: one a vendor, who is where the environment says, and one whose model answers by itself."""

from __future__ import annotations

from langchain_core.language_models import FakeListChatModel

from copilotkit_runtime import CopilotRuntime


async def weather(place: str) -> str:
    """Tells the weather."""
    return f"It is snowing in {place}."


openai = CopilotRuntime(model="openai:gpt-4o", actions=[weather])
anthropic = CopilotRuntime(model="anthropic:claude-sonnet-4-5", actions=[weather])
local = CopilotRuntime(model=FakeListChatModel(responses=["Hello from here."]))
