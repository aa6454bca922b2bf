"""The tokens that an AG-UI agent reports."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from copilotkit_runtime import CopilotRuntime, events
from copilotkit_runtime.providers.agui import AGUIProvider


async def reporting(run: Any) -> AsyncGenerator[dict[str, Any]]:
    ids = {"threadId": "t", "runId": "r"}
    yield {"type": "RUN_STARTED", **ids}
    entries = [{"model": "m", "inputTokens": 5, "outputTokens": 2}, {"inputTokens": 1, "reasoningTokens": 1}]
    yield {"type": "RUN_FINISHED", **ids, "usage": entries}


async def test_what_an_agent_reports_at_its_end_is_usage_of_the_run() -> None:
    async with CopilotRuntime(providers=[AGUIProvider({"agent": reporting})]) as runtime:
        run = await runtime.start_run("agent", "Hi", thread_id="t")
        await run.join()
        found = [event async for event in runtime.follow("t") if isinstance(event, events.RunUsage)]
    assert found == [
        events.RunUsage(input_tokens=5, output_tokens=2, model="m"),
        events.RunUsage(input_tokens=1, reasoning_tokens=1),
    ]
