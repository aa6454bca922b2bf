"""Runtimes without an agent, one a vendor. The vendor is where the environment says."""

from __future__ import annotations

from copilotkit_runtime import CopilotRuntime


async def weather(place: str) -> str:
    """Tells the weather."""
    return f"It is snowing in {place}."


openai = CopilotRuntime(model="openai:gpt-4o", actions=[weather])
anthropic = CopilotRuntime(model="anthropic:claude-sonnet-4-5", actions=[weather])
