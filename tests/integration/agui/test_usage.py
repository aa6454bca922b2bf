"""The tokens that an AG-UI agent reports."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from copilotkit_runtime import CopilotRuntime, events
from copilotkit_runtime.providers.agui import AGUIProvider
from tests.support.agui_client import run, run_input, user
from tests.support.local_server import client_of

IDS = {"threadId": "t", "runId": "r"}
ENTRIES = [{"model": "m", "inputTokens": 5, "outputTokens": 2}, {"inputTokens": 1, "reasoningTokens": 1}]


async def reporting(given: Any) -> AsyncGenerator[dict[str, Any]]:
    yield {"type": "RUN_STARTED", **IDS}
    yield {"type": "RUN_FINISHED", **IDS, "usage": ENTRIES}


async def failing(given: Any) -> AsyncGenerator[dict[str, Any]]:
    yield {"type": "RUN_STARTED", **IDS}
    yield {"type": "RUN_ERROR", "message": "No tea left", "usage": ENTRIES}


@pytest.mark.parametrize("agent", [reporting, failing])
async def test_what_an_agent_reports_at_its_end_is_usage_of_the_run(agent: Any) -> None:
    async with CopilotRuntime(providers=[AGUIProvider({"agent": agent})]) as runtime:
        run = await runtime.start_run("agent", "Hi", thread_id="t")
        await run.join()
        found = [event async for event in runtime.follow("t") if isinstance(event, events.RunUsage)]
    assert found == [
        events.RunUsage(input_tokens=5, output_tokens=2, model="m"),
        events.RunUsage(input_tokens=1, reasoning_tokens=1),
    ]


@pytest.mark.parametrize("agent", [reporting, failing])
async def test_it_is_passed_on_to_the_client(agent: Any) -> None:
    async with client_of(CopilotRuntime(providers=[AGUIProvider({"agent": agent})])) as client:
        shown = await run(client, "agent", run_input(user("Hi")))
    assert shown[-1]["usage"] == [
        {"model": "m", "inputTokens": 5, "outputTokens": 2, "totalTokens": 7},
        {"inputTokens": 1, "outputTokens": 0, "totalTokens": 1, "reasoningTokens": 1},
    ]
