"""What becomes of runs that wait for a worker, and of what is large."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncGenerator

import httpx
import pytest
from typing_extensions import override

from copilotkit_runtime.runtime import events
from copilotkit_runtime.runtime.context import RunContext, RunInput
from copilotkit_runtime.runtime.events import Event
from copilotkit_runtime.runtime.messages import ImageMessage
from tests.integration.execution.deployments import AGUI, KINDS, PATIENCE, Deployment
from tests.support.agui_client import run, run_input, types_of, user
from tests.support.echo_agent import EchoProvider
from tests.support.polling import until

pytestmark = [pytest.mark.parametrize("url", KINDS, indirect=True), pytest.mark.usefixtures("brief_takes")]


async def occupied(deployment: Deployment, thread: str) -> tuple[EchoProvider, httpx.AsyncClient, asyncio.Task[object]]:
    """Start a worker whose only place is taken by a run; return its provider, a client, and that run."""
    provider = EchoProvider()
    await deployment.worker(provider, {"worker_concurrency": 1})
    client = await deployment.web()
    running = asyncio.create_task(
        run(client, "patient", run_input(user("wait"), thread=f"{thread}-first", run="first"))
    )
    await asyncio.wait_for(provider.waiting.wait(), PATIENCE)
    return provider, client, running


async def test_a_thread_is_deleted_with_its_run_that_waits_for_a_worker_which_is_never_executed(
    deployment: Deployment, thread: str
) -> None:
    provider, client, running = await occupied(deployment, thread)
    waiting = asyncio.create_task(run(client, "echo", run_input(user("hello"), thread=thread, run="second")))

    async def listed() -> bool:
        threads = (await client.get("/api/copilotkit/threads")).json()["threads"]
        return thread in [each["id"] for each in threads]

    await until(listed, PATIENCE)
    assert (await client.delete(f"/api/copilotkit/threads/{thread}")).status_code == 200
    assert types_of(await asyncio.wait_for(waiting, PATIENCE))[-1] in {"RUN_FINISHED", "RUN_ERROR"}
    await client.post(f"{AGUI}/patient/stop/{thread}-first")
    await asyncio.wait_for(running, PATIENCE)
    assert not await listed()
    await run(client, "echo", run_input(user("again"), thread=thread, run="third"))
    assert provider.ran == ["first", "third"]


class Looking(EchoProvider):
    """Sends a digest of each picture that it is sent."""

    @override
    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[Event]:
        pictures = [each for each in run.messages if isinstance(each, ImageMessage)]
        yield events.TextMessageStart(message_id="answer")
        for picture in pictures:
            yield events.TextMessageContent(message_id="answer", delta=digest(picture.bytes))
        yield events.TextMessageEnd(message_id="answer")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def test_an_attachment_of_ten_megabytes_reaches_a_worker_whole(deployment: Deployment, thread: str) -> None:
    picture = base64.b64encode(os.urandom(10_000_000)).decode()
    await deployment.worker(Looking())
    client = await deployment.web()
    parts = [
        {"type": "text", "text": "what is this?"},
        {"type": "image", "source": {"type": "data", "mimeType": "image/png", "value": picture}},
    ]
    shown = await run(client, "echo", run_input({"id": "u", "role": "user", "content": parts}, thread=thread))
    assert [each["delta"] for each in shown if each["type"] == "TEXT_MESSAGE_CONTENT"] == [digest(picture)]
    assert types_of(shown)[-1] == "RUN_FINISHED"
