"""A saver without asynchronous methods works, wherever it is given, and one that cannot work is refused in words."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.memory import InMemorySaver, MemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.runtime.errors import ConfigurationError
from tests.integration.langgraph.scripted_model import Page, text


def count(state: MessagesState) -> dict[str, Any]:
    return {"messages": [AIMessage(f"{len(state['messages'])}")]}


counting = StateGraph(MessagesState).add_node(count).add_edge(START, "count")


class WatchedSaver(SqliteSaver):
    """Notes the threads that read and write."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.threads: set[threading.Thread] = set()

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        self.threads.add(threading.current_thread())
        return super().get_tuple(config)

    def put(self, *given: Any, **named: Any) -> RunnableConfig:
        self.threads.add(threading.current_thread())
        return super().put(*given, **named)


@pytest.fixture
def saver() -> Iterator[WatchedSaver]:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    yield WatchedSaver(connection)
    connection.close()


def ways_to_give(saver: Any) -> dict[str, LangGraphProvider]:
    return {
        "to the graph": LangGraphProvider({"agent": counting.compile(checkpointer=saver)}),
        "to what a factory builds": LangGraphProvider({"agent": lambda: counting.compile(checkpointer=saver)}),
        "to the provider": LangGraphProvider({"agent": counting.compile()}, checkpointer=saver),
    }


WAYS = list(ways_to_give(InMemorySaver()))


@pytest.mark.parametrize("way", WAYS)
async def test_a_thread_is_kept_read_and_deleted_without_blocking_the_loop(way: str, saver: WatchedSaver) -> None:
    provider = ways_to_give(saver)[way]
    await provider.start()
    page = Page(provider)
    assert text(await page.run("one")) == "1"
    assert text(await page.run("one", "two")) == "3"
    assert await page.state() is not None
    assert await provider.keeps_thread("thread")
    await provider.delete_thread("thread")
    assert not await provider.keeps_thread("thread")
    await provider.stop()
    assert saver.threads
    assert threading.current_thread() not in saver.threads


@pytest.mark.parametrize("way", WAYS)
async def test_a_saver_in_memory_is_taken_as_it_is(way: str) -> None:
    page = Page(ways_to_give(MemorySaver())[way])
    await page.run("one")
    assert text(await page.run("one", "two")) == "3"


@pytest.mark.parametrize("way", ["to the graph", "to the provider"])
async def test_a_connection_that_was_closed_before_the_server_began_is_refused_at_its_start(
    way: str, tmp_path: Path
) -> None:
    with SqliteSaver.from_conn_string(str(tmp_path / "threads.sqlite")) as saver:
        provider = ways_to_give(saver)[way]
    with pytest.raises(ConfigurationError) as refused:
        await CopilotRuntime(providers=[provider]).start()
    assert "closed" in str(refused.value)
    assert "`with`" in str(refused.value)


@pytest.mark.parametrize("way", ["to the graph", "to the provider"])
async def test_a_connection_for_one_thread_only_is_refused_at_the_start(way: str, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "threads.sqlite")
    runtime = CopilotRuntime(providers=[ways_to_give(SqliteSaver(connection))[way]])
    with pytest.raises(ConfigurationError, match="check_same_thread=False"):
        await runtime.start()
    connection.close()


def test_what_is_no_saver_is_refused_with_what_was_probably_meant() -> None:
    given: Any = SqliteSaver.from_conn_string("threads.sqlite")
    with pytest.raises(
        ConfigurationError, match=r"checkpointer is a _GeneratorContextManager, not a saver.*from_conn_"
    ):
        LangGraphProvider({"agent": counting.compile()}, checkpointer=given)
