"""Agents that block the event loop for longer than the lease of their thread, as with a model that is not async."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph

from copilotkit_runtime import (
    AgentDescriptor,
    AgentProvider,
    CopilotRuntime,
    RunContext,
    RunInput,
    RuntimeConfig,
    StoreSettings,
    events,
    open_store,
)
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from tests.integration.stores.conftest import (  # noqa: F401 - fixtures
    KINDS,
    postgres_url,
    redis_url,
    server_folder,
    url,
)
from tests.support.agui_client import run, run_input, user
from tests.support.local_server import client_of

LEASE_SECONDS = 1.0


def block() -> None:
    time.sleep(1.5 * LEASE_SECONDS)


class Blocking(AgentProvider):
    """Blocks in the middle of its answer."""

    name = "blocking"

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="agent")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        yield events.TextMessageStart(message_id="m")
        yield events.TextMessageContent(message_id="m", delta="the ")
        await asyncio.sleep(0)
        block()
        yield events.TextMessageContent(message_id="m", delta="answer")
        yield events.TextMessageEnd(message_id="m")


async def _work(_: MessagesState) -> dict[str, Any]:
    block()
    return {"messages": [AIMessage("the answer")]}


def graph() -> AgentProvider:
    built = StateGraph(MessagesState).add_node("work", _work).add_edge(START, "work")
    return LangGraphProvider({"agent": built.add_node("more", lambda _: {}).add_edge("work", "more")})


@pytest.mark.parametrize("make", [Blocking, graph])
@pytest.mark.parametrize("url", KINDS, indirect=True)
async def test_a_run_ends_well_that_blocked_the_loop_for_longer_than_its_lease(
    url: str,  # noqa: F811 - the fixture
    make: Any,
) -> None:
    settings = StoreSettings(prefix=f"blocked-{make.__name__}", lease=LEASE_SECONDS, heartbeat=0.1)
    config = RuntimeConfig(installed_providers=False, store_lease_seconds=LEASE_SECONDS)
    runtime = CopilotRuntime(providers=[make()], store=open_store(url, settings), config=config)
    async with client_of(runtime) as client:
        for text in ("one", "two"):
            seen = await run(client, "agent", run_input(user(text, id_=text), run=f"run-{text}"))
            assert seen[-1]["type"] == "RUN_FINISHED", seen[-1]
        state = await runtime.load_agent_state(thread_id="t", agent_name="agent")
    assert state is not None
    assert [getattr(message, "content", "") for message in state.messages] == ["one", "the answer", "two", "the answer"]
