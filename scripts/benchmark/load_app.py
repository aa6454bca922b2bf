"""A runtime whose one agent sends a number of words at a pace, both from the state: ``{"words": 1800, "pace": 0.033}``.

Its store is the one that ``COPILOTKIT_STORE`` names; by default memory. ``LOAD_MEMORY_BYTES`` bounds what that holds.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.stores.memory import MemoryStore
from copilotkit_runtime.runtime.stores.settings import StoreSettings

MARK = "~"


def speech_of(words: int) -> str:
    """Return what the agent says."""
    return "".join(f"{MARK}{number}" for number in range(words))


def speech_id(before: int) -> str:
    """Return the id of the message that the agent adds to a thread of so many messages."""
    return f"speech-{before}"


class Speaker(AgentProvider):
    """Keeps to its pace whatever the load, as a vendor's socket does: words that came meanwhile are there at once."""

    name = "speaker"

    async def list_agents(self) -> list[AgentDescriptor]:
        """Return the one agent."""
        return [AgentDescriptor(name="speaker")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Yield the words."""
        asked = next(message for message in reversed(run.messages) if isinstance(message, TextMessage))
        words, pace = (json.loads(asked.content)[key] for key in ("words", "pace"))
        loop = asyncio.get_running_loop()
        due = loop.time()
        id_ = speech_id(len(run.messages))
        yield events.TextMessageStart(message_id=id_)
        for number in range(words):
            due += pace
            ahead = due - loop.time()
            if ahead > 0:
                await asyncio.sleep(ahead)
            yield events.TextMessageContent(message_id=id_, delta=f"{MARK}{number}")
        yield events.TextMessageEnd(message_id=id_)


def _bounded_store() -> MemoryStore | None:
    size = os.environ.get("LOAD_MEMORY_BYTES")
    return None if size is None else MemoryStore(StoreSettings(max_total_bytes=int(size)))


runtime = CopilotRuntime(providers=[Speaker()], store=_bounded_store())
