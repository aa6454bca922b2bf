"""Runtimes for server processes under test: settings come from the environment."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator

import structlog

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.runtime.hooks import AfterRequest, BeforeRequest, Hooks
from tests.support.scripted_agent import ScriptedProvider

log = structlog.get_logger("agent")

SECRET = "swordfish"


class Blocker(AgentProvider):
    """Blocks the event loop."""

    name = "blocker"

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="blocker")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        wait_without_awaiting()
        yield events.TextMessageStart(message_id="m")


def wait_without_awaiting() -> None:
    time.sleep(1.2)


class Witness(AgentProvider):
    """Sends who asks, and logs what should not be logged."""

    name = "witness"

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="witness")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        log.info("witnessed", api_key="swordfish", note="Bearer abc.def", nested={"password": "swordfish"})
        yield events.TextMessageStart(message_id="m")
        yield events.TextMessageContent(message_id="m", delta=f"{context.identity} {sorted(context.headers)}")
        yield events.TextMessageEnd(message_id="m")


class Leaker(AgentProvider):
    """Fails with an error whose text and stack have secrets in them."""

    name = "leaker"

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="leaker")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        fail_with_secrets()
        yield events.TextMessageStart(message_id="m")


def fail_with_secrets() -> None:
    given = {"api_key": SECRET, "url": f"https://me:{SECRET}@host/?token={SECRET}"}
    raise ValueError(f"{given} Bearer {SECRET} sk-{SECRET * 3}")


def before(told: BeforeRequest) -> None:
    log.info("hook_told", hook="before", asker=told.identity)


def after(told: AfterRequest) -> None:
    log.info("hook_told", hook="after", asker=told.identity)


runtime = CopilotRuntime(
    providers=[ScriptedProvider(), Blocker(), Witness(), Leaker()],
    model=ScriptedProvider(),
    hooks=Hooks(on_before_request=before, on_after_request=after),
)
