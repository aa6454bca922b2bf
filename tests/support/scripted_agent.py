"""An agent, and a model, that play the script they are asked to: the JSON text of the last text message.

A script is a list of steps: ``{"event": <AG-UI event>}``, ``{"raise": "message"}`` or ``{"hang": true}``.
Each may be put off by ``"after"``, in seconds (0: until the event loop's next turn).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from copilotkit_runtime.runtime.events import Event
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.provider import AgentDescriptor, AgentProvider

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from copilotkit_runtime.runtime.context import RunContext, RunInput

AGENT = "scripted"


class ScriptedError(RuntimeError):
    """What a script's ``raise`` step raises."""


class Step(msgspec.Struct):
    """One step of a script."""

    event: Event | None = None
    after: float | None = None
    failure: str | None = msgspec.field(default=None, name="raise")
    hang: bool = False


_SCRIPT = msgspec.json.Decoder(list[Step])


def read_script(run: RunInput) -> list[Step]:
    """The script that a run asks for."""
    asked = next(message for message in reversed(run.messages) if isinstance(message, TextMessage))
    return _SCRIPT.decode(asked.content)


async def play(script: list[Step]) -> AsyncGenerator[Event]:
    """Yields each event when its time has come; steps without ``after`` follow at once.

    Raises:
        ScriptedError: The script requires it.
    """
    for step in script:
        if step.after is not None:
            await asyncio.sleep(step.after)
        if step.hang:
            await asyncio.Event().wait()
        if step.failure is not None:
            raise ScriptedError(step.failure)
        if step.event is not None:
            yield step.event


class ScriptedProvider(AgentProvider):
    """Offers the agent ``scripted``; as a runtime's ``model`` it answers whoever names no agent."""

    name = "scripted"

    async def list_agents(self) -> list[AgentDescriptor]:
        """The one agent."""
        return [AgentDescriptor(name=AGENT, description="Plays scripts")]

    def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[Event]:
        """Plays the script in ``run``."""
        return play(read_script(run))
