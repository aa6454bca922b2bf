"""What foreign programs put into the queues of workers ends neither the taking of runs nor the answering of calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from saq import Queue

from tests.integration.execution.deployments import AGUI, KINDS, PATIENCE, Deployment
from tests.support.agui_client import run_input, user
from tests.support.echo_agent import RememberingProvider
from tests.support.polling import until

pytestmark = [
    pytest.mark.parametrize("url", KINDS, indirect=True),
    pytest.mark.usefixtures("brief_takes"),
]


@asynccontextmanager
async def queue(url: str, name: str, **how: Any) -> AsyncIterator[Queue]:
    opened = Queue.from_url(url, name=f"copilotkit.{name}", **how)
    await opened.connect()
    try:
        yield opened
    finally:
        await opened.disconnect()


@pytest.mark.parametrize(
    "given", [{}, {"thread": 1, "number": 1}, {"thread": "t", "number": "1"}, {"body": 1}, {"body": "no call"}]
)
async def test_a_job_that_is_no_run_and_no_call_is_passed_over(
    deployment: Deployment, url: str, thread: str, given: dict[str, Any]
) -> None:
    await deployment.worker(RememberingProvider())
    client = await deployment.web()
    for name in ("default", "default.calls"):
        async with queue(url, name) as opened:
            job = await opened.enqueue("foreign", ttl=60, **given)
            assert job is not None

            async def is_done(opened: Queue = opened, key: str = job.key) -> bool:
                found = await opened.job(key)
                return found is None or found.status.value in ("failed", "complete")

            await until(is_done, PATIENCE)
    await _is_served(client, thread)


async def test_a_job_that_cannot_be_read_at_all_holds_up_no_run(deployment: Deployment, url: str, thread: str) -> None:
    await deployment.worker(RememberingProvider())
    client = await deployment.web()
    for name in ("default", "default.calls"):
        async with queue(url, name, dump=lambda _: '"neither"') as opened:
            await opened.enqueue("foreign", ttl=1)
    await _is_served(client, thread)


async def _is_served(client: Any, thread: str) -> None:
    """Check that a run is executed and a call answered."""
    answer = await client.post(f"{AGUI}/echo/run", json=run_input(user("hello", "u"), thread=thread), timeout=PATIENCE)
    assert "RUN_FINISHED" in answer.text
