"""What a queue adds to the way to a run's first word, counted in round trips to the database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from copilotkit_runtime import CopilotRuntime, events
from copilotkit_runtime.runtime.config import RuntimeConfig
from copilotkit_runtime.runtime.context import RunContext, RunInput
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.request import RunRequest
from copilotkit_runtime.runtime.service import RuntimeService
from tests.support.echo_agent import EchoProvider

RUNS = 8
ADDED = 20
"""13 on a quiet machine: look at the queue, open the run, put it, take it, claim it, write and read its first events.

Beside that: settle it twice, look for news, read before there are any, report the job as done, look for the next one.
The rest is for what processes do from time to time.
"""


class RoundTrips:
    """Counts what the asynchronous connections of this process wait for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        wait = psycopg.AsyncConnection.wait

        async def counted(connection: Any, generator: Any, *arguments: Any, **more: Any) -> Any:
            # A connection that confirms each statement has nothing to send when it is given back.
            self.count += generator.__name__ not in ("_commit_gen", "notifies")
            return await wait(connection, generator, *arguments, **more)

        monkeypatch.setattr(psycopg.AsyncConnection, "wait", counted)


@asynccontextmanager
async def deployed(url: str, execution: str) -> AsyncIterator[RuntimeService]:
    """Yield the service that takes requests."""
    async with AsyncExitStack() as stack:
        if execution == "queue":
            worker = CopilotRuntime([EchoProvider()], config=RuntimeConfig(store=url, execution="queue"))
            worker.become_worker()
            await stack.enter_async_context(worker)
            front = CopilotRuntime(config=RuntimeConfig(store=url, execution="queue"))
        else:
            front = CopilotRuntime([EchoProvider()], config=RuntimeConfig(store=url))
        yield (await stack.enter_async_context(front)).service


async def until_first_word(service: RuntimeService, trips: RoundTrips) -> int:
    """Run the agent; return how many round trips were made until its first word was there."""
    asked = RunInput(thread_id=f"thread-{uuid4()}", run_id="r", messages=[TextMessage(role="user", content="hello")])
    before = trips.count
    handle = await service.start(RunRequest(agent_name="patient", input=asked, context=RunContext()))
    while not any(isinstance(event, events.TextMessageContent) for event in await handle.read()):
        pass
    found = trips.count - before
    await handle.cancel()
    handle.close()
    return found


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
async def test_a_queue_adds_few_round_trips_to_a_first_word(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trips = RoundTrips(monkeypatch)
    fewest = {}
    for execution in ("inline", "queue"):
        async with deployed(url, execution) as service:
            # What processes do from time to time is in some of them, and in none of the fewest.
            fewest[execution] = min([await until_first_word(service, trips) for _ in range(RUNS)])
    assert fewest["queue"] - fewest["inline"] <= ADDED
