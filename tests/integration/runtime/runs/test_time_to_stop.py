"""A run that is stopped has ended within a second, by a clock of which no machine's speed takes anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from copilotkit_runtime import (
    AgentDescriptor,
    AgentProvider,
    CopilotRuntime,
    RunContext,
    RunInput,
    RuntimeConfig,
    events,
)
from tests.support import virtual_time
from tests.support.agui_client import run_input, user
from tests.support.local_server import PATH
from tests.support.polling import until
from tests.support.request_bodies import generate, text_message

PROMISED = 1.0
"""Seconds, in docs/reliability.md."""


class Waiting(AgentProvider):
    """Sends a word, then waits for ever; some that wait swallow a cancellation or two, as clients of databases may."""

    name = "waiting"

    def __init__(self, swallows: int) -> None:
        self.swallows = swallows
        self.begun = asyncio.Event()
        self.left_at: float | None = None

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="waiting")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        try:
            yield events.TextMessageStart(message_id="m")
            yield events.TextMessageContent(message_id="m", delta="word")
            self.begun.set()
            for _ in range(self.swallows):
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    continue
            await asyncio.Event().wait()
        finally:
            self.left_at = virtual_time.now()


class Client:
    """Sends one request to an application, and leaves when it wants to."""

    def __init__(self, path: str, body: object) -> None:
        self._path = path
        self._body = msgspec.json.encode(body)
        self._left = asyncio.Event()
        self._sent = False
        self.status: int | None = None

    async def request(self, app: Any) -> None:
        """Send the request and take the answer to its end."""
        await app(self._scope(), self._receive, self._send)

    def leave(self) -> None:
        """Close the connection."""
        self._left.set()

    def _scope(self) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": self._path,
            "raw_path": self._path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"x"), (b"content-type", b"application/json")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }

    async def _receive(self) -> Any:
        if not self._sent:
            self._sent = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.status = message.get("status", self.status)


Stop = Callable[[CopilotRuntime, Any], Awaitable[None]]


async def leaves_over_graphql(runtime: CopilotRuntime, begun: asyncio.Event) -> float:
    client = Client(PATH, generate(text_message("hi"), agent="waiting", threadId="thread"))
    asking = asyncio.create_task(client.request(runtime.create_app()))
    await begun.wait()
    at = virtual_time.now()
    client.leave()
    await asking
    return at


async def stops_over_agui(runtime: CopilotRuntime, begun: asyncio.Event) -> float:
    app = runtime.create_app()
    client = Client(f"{PATH}/agent/waiting/run", run_input(user("hi", "u"), thread="thread"))
    asking = asyncio.create_task(client.request(app))
    await begun.wait()
    at = virtual_time.now()
    stop = Client(f"{PATH}/agent/waiting/stop/thread", {})
    await stop.request(app)
    assert stop.status == 200
    await asking
    return at


@pytest.mark.parametrize("swallows", [0, 1], ids=["ends at once", "ends when it is cancelled again"])
@pytest.mark.parametrize("stop", [leaves_over_graphql, stops_over_agui])
def test_a_run_ends_within_a_second_of_its_stop(
    stop: Callable[[CopilotRuntime, asyncio.Event], Awaitable[float]], swallows: int
) -> None:
    async def main() -> None:
        agent = Waiting(swallows)
        async with runtime_of(agent) as runtime:
            asked_at = await stop(runtime, agent.begun)
            await all_over(runtime)
            assert agent.left_at is not None
            assert agent.left_at - asked_at <= PROMISED
            assert virtual_time.now() - asked_at <= PROMISED, "its end is stored, and its thread is free"

    virtual_time.run(main)


def test_a_run_ends_within_a_second_of_its_stop_in_another_process(tmp_path: Path) -> None:
    """With a file no news of stops arrive: the process that has the run looks for them, now and then."""

    async def main() -> None:
        url = f"sqlite:///{tmp_path / 'runs.sqlite'}"
        agent = Waiting(0)
        async with runtime_of(agent, url) as here, runtime_of(Waiting(0), url) as there:
            for tenth in range(10):
                agent.begun.clear()
                run = await here.start_run("waiting", "hi", thread_id=f"thread-{tenth}")
                await agent.begun.wait()
                await asyncio.sleep(2 + tenth / 10)  # so that it comes at any moment between two looks
                asked_at = virtual_time.now()
                assert await there.stop(f"thread-{tenth}")
                assert await run.join() == "cancelled"
                assert agent.left_at is not None
                assert agent.left_at - asked_at <= PROMISED

    virtual_time.run(main)


def runtime_of(agent: AgentProvider, store: str = "memory://") -> CopilotRuntime:
    return CopilotRuntime(providers=[agent], store=store, config=RuntimeConfig(installed_providers=False))


async def all_over(runtime: CopilotRuntime) -> None:
    async def over() -> bool:
        return runtime.service.active_runs == 0

    await until(over)
