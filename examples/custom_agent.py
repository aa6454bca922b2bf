"""An agent of one's own, without a framework: it yields events."""

from collections.abc import AsyncGenerator
from uuid import uuid4

from copilotkit_runtime import (
    AgentDescriptor,
    AgentProvider,
    CopilotRuntime,
    RunContext,
    RunInput,
    errors,
    events,
    messages,
)


class Parrot(AgentProvider):
    """Repeats the user's message word by word, and counts the turns."""

    name = "parrot"

    async def list_agents(self) -> list[AgentDescriptor]:
        """One agent."""
        return [AgentDescriptor(name="my_agent", description="Repeats the user's message")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Answer the last message."""
        if agent_name != "my_agent":
            raise errors.AgentNotFoundError(agent_name, ["my_agent"])
        texts = [message for message in run.messages if isinstance(message, messages.TextMessage)]
        sent = [text.content for text in texts if text.role == "user"]
        message_id = str(uuid4())
        yield events.TextMessageStart(message_id=message_id)
        for word in ["You", "said:", *sent[-1].split()]:
            yield events.TextMessageContent(message_id=message_id, delta=f"{word} ")
        yield events.StateSnapshot(snapshot={"turns": len(sent)})


runtime = CopilotRuntime(providers=[Parrot()])
