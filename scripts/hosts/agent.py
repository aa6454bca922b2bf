"""The agent of the scenarios: it sends numbered words at a pace, and can go on with a run that another host began.

Asked ``{"words": 40, "pace": 0.2}``. Each execution adds a line to the file that ``HOSTS_JOURNAL`` names.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator
from pathlib import Path

from copilotkit_runtime import AgentDescriptor, AgentProvider, RunContext, RunInput, events
from copilotkit_runtime.runtime.messages import TextMessage

JOURNAL = "HOSTS_JOURNAL"
AGENT = "teller"


def word(number: int) -> str:
    """Return the word of a number."""
    return f"word{number} "


class Teller(AgentProvider):
    """Offers the agent ``teller``."""

    name = "teller"

    async def list_agents(self) -> list[AgentDescriptor]:
        """Return the one agent."""
        return [AgentDescriptor(name=AGENT)]

    def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Send the words that are asked for."""
        return _tell("begun", run)

    def can_resume(self, agent_name: str) -> bool:
        """Return True: what it sends can be sent again."""
        return True

    def resume_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Send the words from the first one; the runtime leaves out what was shown."""
        return _tell("resumed", run)


async def _tell(how: str, run: RunInput) -> AsyncGenerator[events.Event]:
    _note(f"{how} {run.thread_id} {run.run_id} {os.getpid()}")
    asked = next(message for message in reversed(run.messages) if isinstance(message, TextMessage))
    script = json.loads(asked.content)
    yield events.TextMessageStart(message_id=f"said-{run.thread_id}-{run.run_id}")
    for number in range(script["words"]):
        yield events.TextMessageContent(message_id=f"said-{run.thread_id}-{run.run_id}", delta=word(number))
        await asyncio.sleep(script["pace"])


def _note(line: str) -> None:
    with Path(os.environ[JOURNAL]).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
