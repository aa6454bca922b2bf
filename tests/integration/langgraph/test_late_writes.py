"""Nodes that go on after their run has ended write no checkpoint, whosever the thread is by then."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from copilotkit_runtime import ApiKeyAuth, CopilotRuntime, RuntimeConfig
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.integration.stores.conftest import (  # noqa: F401 - fixtures
    KINDS,
    SHARED,
    postgres_url,
    redis_url,
    server_folder,
    url,
)
from tests.support.agui_client import PATH, run_input, user
from tests.support.local_server import client_of

AUTH = ApiKeyAuth({"ann": "key-of-ann", "bob": "key-of-bob"})


class Stubborn:
    """A graph whose first node ignores that it is cancelled, until it is let go."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.let_go = asyncio.Event()
        self.ended = asyncio.Event()

    async def _work(self, state: MessagesState) -> dict[str, Any]:
        heard = " | ".join(str(each.content) for each in state["messages"])
        if "secret" in str(state["messages"][-1].content):
            self.began.set()
            while not self.let_go.is_set():
                try:
                    await self.let_go.wait()
                except asyncio.CancelledError:
                    continue
        asyncio.get_running_loop().call_soon(self.ended.set)
        return {"messages": [AIMessage(f"heard {heard}")]}

    def graph(self) -> StateGraph[Any, Any, Any, Any]:
        graph = StateGraph(MessagesState).add_node("work", self._work)
        return (
            graph.add_node("more", lambda _: {"messages": [AIMessage("more")]})
            .add_edge(START, "work")
            .add_edge("work", "more")
        )


async def say(client: httpx.AsyncClient, person: str, text: str) -> str:
    body = run_input(user(text, id_=text), run=f"run-{text}")
    headers = {"x-api-key": f"key-of-{person}"}
    return (await client.post(f"{PATH}/agent/agent/run", json=body, headers=headers)).text


def kept(saver: InMemorySaver) -> str:
    """All that a saver holds, as text."""
    return repr((dict(saver.storage), dict(saver.writes), dict(saver.blobs)))


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("url", KINDS, indirect=True)
@pytest.mark.parametrize("brings_own", [True, False])
async def test_a_run_that_lost_its_thread_writes_no_checkpoint(
    url: str,  # noqa: F811 - the fixture
    brings_own: bool,
    before: bool,
) -> None:
    """The node ends ``before`` somebody else begins a thread of the same id, or behind their first turn."""
    stubborn, own = Stubborn(), InMemorySaver()
    graph = stubborn.graph().compile(checkpointer=own) if brings_own else stubborn.graph()
    store = open_store(url, StoreSettings(prefix=f"late-{brings_own}-{before}"))
    provider = LangGraphProvider({"agent": graph})
    runtime = CopilotRuntime(
        providers=[provider], store=store, auth=AUTH, config=RuntimeConfig(installed_providers=False)
    )
    async with client_of(runtime) as client:
        running = asyncio.create_task(say(client, "ann", "secret of ann"))
        await stubborn.began.wait()
        assert await runtime.delete_thread("t")
        await running
        if before:
            stubborn.let_go.set()
            await stubborn.ended.wait()
            assert not await provider.keeps_thread("t")
        first = await say(client, "bob", "hello")
        stubborn.let_go.set()
        await stubborn.ended.wait()
        second = await say(client, "bob", "again")
        again = await client.post(
            f"{PATH}/agent/agent/connect", json=run_input(run="c"), headers={"x-api-key": "key-of-bob"}
        )
    assert "heard hello" in first
    assert "heard hello" in second
    assert "secret" not in first + second + again.text
    assert "secret" not in kept(own)


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_a_run_that_slept_through_its_lease_writes_no_checkpoint(
    url: str,  # noqa: F811 - the fixture
) -> None:
    """As in a process that is stopped and goes on: its node may end before it looks at its lock again."""
    stubborn = Stubborn()

    def process(**settings: float) -> CopilotRuntime:
        provider = LangGraphProvider({"agent": stubborn.graph()})
        store = open_store(url, StoreSettings(prefix="slept", **settings))  # type: ignore[arg-type]
        return CopilotRuntime(providers=[provider], store=store, config=RuntimeConfig(installed_providers=False))

    async with process(lease=3.0, heartbeat=600.0) as sleeping, process() as awake:
        slept = await sleeping.start_run("agent", "secret", thread_id="t")
        await stubborn.began.wait()
        hello = await awake.start_run("agent", "hello", thread_id="t")
        assert await hello.join() == "finished"
        stubborn.let_go.set()
        await stubborn.ended.wait()
        await slept.join()
        again = await awake.start_run("agent", "again", thread_id="t")
        assert await again.join() == "finished"
        state = await awake.load_agent_state(thread_id="t", agent_name="agent")
    assert state is not None
    said = [message.content for message in state.messages if isinstance(message, TextMessage)]
    assert "heard secret | hello" in said
    assert "heard secret" not in said, "what the run that slept has said"
