"""A stop reaches the runs of whoever asks for it, also where the thread becomes another's while it is looked up."""

from __future__ import annotations

import asyncio

import pytest

from copilotkit_runtime import CopilotRuntime, RunContext, RunInput
from copilotkit_runtime.runtime.errors import ThreadNotFoundError
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.request import RunRequest
from copilotkit_runtime.runtime.runs.handle import RunHandle
from copilotkit_runtime.runtime.stores.interface import ThreadInfo
from tests.integration.stores.conftest import KINDS
from tests.support.gated_agent import GatedAgent


def _asked(words: str, person: str) -> RunRequest:
    message = TextMessage(role="user", content=words)
    asked = RunInput(thread_id="thread", run_id=f"run of {person}", messages=[message])
    return RunRequest(agent_name="answering", input=asked, context=RunContext(identity=person))


@pytest.mark.parametrize("url", KINDS, indirect=True)
async def test_a_stop_does_not_reach_who_has_the_thread_by_now(
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent = GatedAgent()
    agent.gates["of bob"] = asyncio.Event()
    async with CopilotRuntime(providers=[agent], store=url) as runtime:
        await (await runtime.service.start(_asked("of ann", "ann"))).run.join()
        look, looks, bobs = runtime.store.thread, 0, list[RunHandle]()

        async def look_slowly(thread_id: str) -> ThreadInfo | None:
            nonlocal looks
            looks += 1
            found = await look(thread_id)
            if looks == 1:  # ann's stop has found her thread
                await runtime.delete_thread("thread", owner="ann")
                bobs.append(await runtime.service.start(_asked("of bob", "bob")))
                while await agent.begun.get() != "of bob":
                    pass
            return found

        monkeypatch.setattr(runtime.store, "thread", look_slowly)
        with pytest.raises(ThreadNotFoundError):
            await runtime.service.stops.stop("thread", identity="ann")
        assert looks > 1
        agent.gates["of bob"].set()
        await bobs[0].run.join()
        assert bobs[0].status.value == "finished"
