"""A runtime that is never stopped is used in one ``asyncio.run`` after another."""

from __future__ import annotations

import asyncio
from pathlib import Path

from copilotkit_runtime import CopilotRuntime
from tests.support.gated_agent import GatedAgent
from tests.support.polling import until


def test_listing_agents_in_another_asyncio_run_goes_on_with_what_is_done_beside_requests(tmp_path: Path) -> None:
    runtime = CopilotRuntime(providers=[GatedAgent()], store=f"sqlite:///{tmp_path / 'kept.sqlite'}")

    async def leave_a_run() -> None:
        await runtime.start()
        runs = runtime.service.archive.store
        await runs.open("thread", run_id="r", agent_name="answering", owner="gone", lease=0.1)

    async def list_agents() -> None:
        assert [agent.name for agent in await runtime.discover_agents()] == ["answering"]

        async def is_closed() -> bool:
            return [run.status for run in await runtime.service.archive.runs("thread")] == ["broken"]

        await until(is_closed)
        await runtime.stop()

    asyncio.run(leave_a_run())
    asyncio.run(list_agents())
