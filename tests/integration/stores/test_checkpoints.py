"""LangGraph's checkpoints follow the store's URL."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import AsyncIterator
from typing import Annotated, Any, TypedDict

import msgspec
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, interrupt

from copilotkit_runtime.providers.langgraph.savers import open_saver
from copilotkit_runtime.runtime.errors import ConfigurationError
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from tests.integration.stores.conftest import CLUSTER, KINDS, SHARED
from tests.integration.stores.servers import Server
from tests.support.polling import until

THREAD: RunnableConfig = {"configurable": {"thread_id": "thread"}}


class Talk(TypedDict):
    said: Annotated[list[str], operator.add]


def _graph(saver: BaseCheckpointSaver[Any]) -> CompiledStateGraph[Talk, None, Talk, Talk]:
    """Sends something, asks a person, and sends what they answered."""

    def speak(state: Talk) -> Talk:
        return {"said": [f"speaks after {len(state['said'])}"]}

    def ask(state: Talk) -> Talk:
        return {"said": [interrupt("well?")]}

    builder = StateGraph(Talk)
    builder.add_node("speak", speak)
    builder.add_node("ask", ask)
    builder.add_edge(START, "speak")
    builder.add_edge("speak", "ask")
    builder.add_edge("ask", END)
    return builder.compile(checkpointer=saver)


async def _said(saver: BaseCheckpointSaver[Any]) -> list[str]:
    snapshot = await _graph(saver).aget_state(THREAD)
    said: list[str] = snapshot.values.get("said", [])
    return said


@pytest.mark.parametrize("url", [*KINDS, CLUSTER], indirect=True)
async def test_the_framework_finds_the_saver_conformant(url: str, settings: StoreSettings) -> None:
    @checkpointer_test(name=url)
    async def opened() -> AsyncIterator[BaseCheckpointSaver[Any]]:
        async with open_saver(url, settings) as saver:
            yield saver

    report = await validate(opened)

    assert {name: result.failures for name, result in report.results.items() if result.failures} == {}
    assert report.passed_all_base()


@pytest.mark.parametrize("url", [*SHARED, CLUSTER], indirect=True)
async def test_a_graph_that_waits_for_a_person_goes_on_after_a_restart(url: str, settings: StoreSettings) -> None:
    async with open_saver(url, settings) as saver:
        await _graph(saver).ainvoke({"said": ["hello"]}, THREAD)
    async with open_saver(url, settings) as saver:
        assert await _said(saver) == ["hello", "speaks after 1"]
        await _graph(saver).ainvoke(Command(resume="fine"), THREAD)
    async with open_saver(url, settings) as saver:
        assert await _said(saver) == ["hello", "speaks after 1", "fine"]


@pytest.mark.parametrize("url", [*SHARED, CLUSTER], indirect=True)
async def test_a_graph_can_be_invoked_from_another_thread_than_the_loops(url: str, settings: StoreSettings) -> None:
    async with open_saver(url, settings) as saver:
        graph = _graph(saver)
        await asyncio.to_thread(graph.invoke, {"said": ["hello"]}, THREAD)
        await asyncio.to_thread(graph.invoke, Command(resume="fine"), THREAD)
        history = await asyncio.to_thread(lambda: [*graph.get_state_history(THREAD)])

        assert await _said(saver) == ["hello", "speaks after 1", "fine"]
        assert [len(snapshot.values.get("said", [])) for snapshot in history] == [3, 2, 1, 0]
        await asyncio.to_thread(saver.delete_thread, "thread")
        assert await _said(saver) == []


@pytest.mark.parametrize("url", ["redis"], indirect=True)
async def test_the_loops_own_thread_is_never_blocked(url: str, settings: StoreSettings) -> None:
    async with open_saver(url, settings) as saver:
        with pytest.raises(asyncio.InvalidStateError):
            saver.get_tuple(THREAD)


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_many_workers_may_open_a_saver_on_an_empty_store_at_once(url: str, settings: StoreSettings) -> None:
    async def work(number: int) -> None:
        config: RunnableConfig = {"configurable": {"thread_id": f"thread-{number}"}}
        async with open_saver(url, settings) as saver:
            await _graph(saver).ainvoke({"said": []}, config)
            assert (await _graph(saver).aget_state(config)).next == ("ask",)

    await asyncio.gather(*(work(number) for number in range(4)))


@pytest.mark.parametrize("url", ["redis"], indirect=True)
async def test_checkpoints_of_all_threads_are_listed_until_their_time_to_live_is_over(
    url: str, settings: StoreSettings
) -> None:
    async with open_saver(url, msgspec.structs.replace(settings, ttl=0.5)) as saver:
        for thread_id in ("one", "two"):
            await _graph(saver).ainvoke({"said": []}, {"configurable": {"thread_id": thread_id}})
        listed = [found.config["configurable"]["thread_id"] async for found in saver.alist(None)]
        assert set(listed) == {"one", "two"}

        async def gone() -> bool:
            return [found async for found in saver.alist(None)] == []

        await until(gone)


@pytest.mark.parametrize("server", ["redis", "postgres"], indirect=True)
async def test_a_run_goes_on_when_a_server_that_was_away_is_back(server: Server) -> None:
    settings = StoreSettings(connect_timeout=1.0, command_timeout=1.0, retry_for=20.0)
    async with open_saver(server.url, settings) as saver:
        await _graph(saver).ainvoke({"said": ["hello"]}, THREAD)
        server.kill()
        going_on = asyncio.create_task(_graph(saver).ainvoke(Command(resume="fine"), THREAD))
        await asyncio.wait([going_on], timeout=1.5)
        assert not going_on.done()
        await asyncio.to_thread(server.start)

        await asyncio.wait_for(going_on, 30)
        assert await _said(saver) == ["hello", "speaks after 1", "fine"]


@pytest.mark.parametrize("server", ["postgres"], indirect=True)
async def test_a_saver_waits_for_a_server_that_is_not_up_yet(server: Server) -> None:
    server.kill()

    async def open_and_run() -> list[str]:
        async with open_saver(server.url, StoreSettings(retry_for=20.0)) as saver:
            await _graph(saver).ainvoke({"said": ["hello"]}, THREAD)
            return await _said(saver)

    opening = asyncio.create_task(open_and_run())
    await asyncio.wait([opening], timeout=0.5)
    await asyncio.to_thread(server.start)

    assert await asyncio.wait_for(opening, 30) == ["hello", "speaks after 1"]


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_many_runs_at_once_keep_apart(url: str, settings: StoreSettings) -> None:
    async with open_saver(url, settings) as saver:

        async def run(number: int) -> list[str]:
            config: RunnableConfig = {"configurable": {"thread_id": f"thread-{number}"}}
            await _graph(saver).ainvoke({"said": ["x"] * number}, config)
            snapshot = await _graph(saver).aget_state(config)
            said: list[str] = snapshot.values["said"]
            return said

        said = await asyncio.gather(*(run(number) for number in range(30)))

    assert [lines[-1] for lines in said] == [f"speaks after {number}" for number in range(30)]


@pytest.mark.parametrize("server", ["redis", "postgres"], indirect=True)
async def test_a_run_fails_when_a_server_stays_away(server: Server) -> None:
    settings = StoreSettings(connect_timeout=1.0, command_timeout=1.0, retry_for=1.0)
    async with open_saver(server.url, settings) as saver:
        server.kill()
        with pytest.raises(StoreUnavailableError):
            await asyncio.wait_for(_graph(saver).ainvoke({"said": []}, THREAD), 20)


@pytest.mark.parametrize("wrong", ["mysql://host/db", "nonsense", ""])
async def test_a_url_that_names_no_store_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError):
        async with open_saver(wrong):
            pass
