"""Scripts that call tools, and what a page sees of the answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import httpx

from copilotkit_runtime import AgentDescriptor, AgentProvider, RunContext, RunInput
from copilotkit_runtime.runtime.events import Event
from tests.parity.fold import fold
from tests.parity.wire import ask
from tests.support.local_server import PATH
from tests.support.request_bodies import event, scripted
from tests.support.scripted_agent import play, read_script


def call(id_: str, name: str, *deltas: str) -> list[dict[str, Any]]:
    """The steps of a whole tool call."""
    return [
        event("TOOL_CALL_START", toolCallId=id_, toolCallName=name),
        *(event("TOOL_CALL_ARGS", toolCallId=id_, delta=delta) for delta in deltas),
        event("TOOL_CALL_END", toolCallId=id_),
    ]


async def play_on(client: httpx.AsyncClient, *steps: dict[str, Any], agent: str | None = None, **more: Any) -> Any:
    """The whole answer to a script, which must come to its end."""
    answer = await ask(client, PATH, scripted(*steps, agent=agent, **more))
    assert answer.complete
    return fold(answer.parts)


def shown(response: Any) -> list[str]:
    """The answer's messages in short, in their order."""
    return [_short(message) for message in response["messages"]]


def results(response: Any) -> dict[str, str]:
    """Each call's result; a call must not have two."""
    found = [m for m in response["messages"] if m["__typename"] == "ResultMessageOutput"]
    assert len({m["actionExecutionId"] for m in found}) == len(found)
    return {m["actionExecutionId"]: m["result"] for m in found}


def _short(message: dict[str, Any]) -> str:
    match message["__typename"]:
        case "TextMessageOutput":
            return "".join(message["content"])
        case "ActionExecutionMessageOutput":
            return f"call {message['id']}"
        case "ResultMessageOutput":
            return f"{message['id']}: {message['result']}"
        case _:
            return f"{message['agentName']} {message['state']}"


class Listener(AgentProvider):
    """Plays scripts, and notes what it was given."""

    name = "listener"

    def __init__(self, agent: str = "scripted") -> None:
        self.agent = agent
        self.name = f"listener of {agent}"
        self.given: list[RunInput] = []

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name=self.agent, description=f"Is {self.agent}")]

    def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[Event]:
        self.given.append(run)
        return play(read_script(run))
