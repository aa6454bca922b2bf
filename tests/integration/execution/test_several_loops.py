"""A process that hands runs over uses one event loop after another, as a script does that starts runs."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE

import pytest
from typing_extensions import override

from copilotkit_runtime import AgentDescriptor
from tests.integration.execution.deployments import KINDS, Deployment
from tests.support.echo_agent import EchoProvider
from tests.support.queued_loops import LOOPS


class Having(EchoProvider):
    """Has one of the agents alone."""

    def __init__(self, agent: str, queue: str) -> None:
        super().__init__()
        self.name = f"having {agent}"
        self._agent, self._queue = agent, queue

    @override
    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name=self._agent, queue=self._queue)]


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("brief_takes")
@pytest.mark.parametrize("url", KINDS, indirect=True)
async def test_runs_are_handed_over_in_one_asyncio_run_after_another(deployment: Deployment, url: str) -> None:
    await deployment.worker(Having("echo", "default"))
    command = (sys.executable, "-m", "tests.support.queued_loops", url)
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(240):
            ends = [await process.stdout.readline() for _ in range(LOOPS)]
            assert ends == [b"echo finished\n"] * LOOPS
            await deployment.worker(Having("heavy", "heavy"), {"queues": ["heavy"]})
            process.stdin.write(b"\n")
            assert await process.stdout.readline() == b"heavy finished\n"
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
