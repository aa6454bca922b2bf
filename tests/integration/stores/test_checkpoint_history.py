"""A thread's checkpoints take room in proportion to its length, and its turns can still be done over."""

from __future__ import annotations

import operator
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from typing import Annotated, Any, TypedDict

import msgspec
import psycopg
import pytest
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt
from redis.asyncio import Redis

from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.providers.langgraph.recent_saver import RecentMemorySaver
from copilotkit_runtime.runtime.context import Resume
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store, sqlite_path
from tests.integration.langgraph.scripted_model import Page, states, thread, user
from tests.integration.stores.conftest import KINDS

THREAD = "agent:thread"


class AskState(MessagesState):
    asked: str


class NoteState(TypedDict):
    noted: Annotated[int, operator.add]


class LogState(AskState):
    log: Annotated[list[str], operator.add]
    noted: int


def _answer(state: LogState) -> dict[str, Any]:
    said = state["messages"][-1].text
    return {"messages": [AIMessage(f"re: {said}")], "log": [said[:10]]}


def _ask(state: AskState) -> dict[str, Any]:
    return {"asked": interrupt("well?") if "?" in state["messages"][-2].text else ""}


def _graph() -> Any:
    """Counts in a subgraph that remembers earlier turns, answers, then perhaps asks in a subgraph that does not.

    The first has no messages of its own: LangGraph gives such a subgraph its newest checkpoint in a fork, too, so that
    it would bring back all that was said behind the fork.
    """
    lasting = (
        StateGraph(NoteState)
        .add_node("note", lambda _: {"noted": 1})
        .add_edge(START, "note")
        .compile(checkpointer=True)
    )
    passing = StateGraph(AskState).add_node("ask", _ask).add_edge(START, "ask").compile()
    graph = StateGraph(LogState).add_node("lasting", lasting).add_node("answer", _answer).add_node("asking", passing)
    return graph.add_edge(START, "lasting").add_edge("lasting", "answer").add_edge("answer", "asking")


@asynccontextmanager
async def _opened(url: str, settings: StoreSettings, graph: Any = None) -> AsyncGenerator[Page]:
    store = open_store(url, settings)
    await store.start()
    provider = LangGraphProvider({"agent": graph or _graph()})
    provider.store = store
    await provider.start()
    try:
        yield Page(provider)
    finally:
        await provider.stop()
        await store.stop()


async def _bytes(url: str, page: Page, settings: StoreSettings) -> int:
    saver = page.provider.checkpointer
    if isinstance(saver, RecentMemorySaver):
        checkpoints = (each for kept in saver.storage[THREAD].values() for each in kept.values())
        return sum(len(each[0][1]) for each in checkpoints) + sum(len(each[1]) for each in saver.blobs.values())
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(sqlite_path(url))) as file:
            tables = (("checkpoint", "checkpoints"), ("value", "writes"))
            return sum(file.execute(f"SELECT SUM(LENGTH({c})) FROM {t}").fetchone()[0] for c, t in tables)
    if url.startswith("redis"):
        async with Redis.from_url(url) as client:
            values = await client.hvals(f"{settings.prefix}:checkpoints:values:{THREAD}")
            return sum(map(len, values))
    with psycopg.connect(url) as connection:
        tables = (("checkpoint_blobs", "blob"), ("checkpoint_writes", "blob"))
        counts = [connection.execute(f"SELECT SUM(OCTET_LENGTH({c})) FROM {t}").fetchone() for t, c in tables]
        return sum(int(count[0]) for count in counts if count is not None)


@pytest.mark.parametrize("url", KINDS, indirect=True)
async def test_the_room_of_a_thread_grows_with_its_length(url: str, settings: StoreSettings) -> None:
    sizes = []
    graph = StateGraph(LogState).add_node("answer", _answer).add_edge(START, "answer")
    async with _opened(url, settings, graph) as page:
        for turn in range(48):
            await page.run(user(f"{turn:<2000}", f"u{turn}"))
            if turn in (11, 23, 47):
                sizes.append(await _bytes(url, page, settings))

    # Twice as many turns take twice the room; with all checkpoints it would be four times.
    assert sizes[2] - sizes[1] < 2.5 * (sizes[1] - sizes[0])


@pytest.mark.parametrize("url", KINDS, indirect=True)
async def test_turns_are_done_over_from_the_state_before_them_or_in_place(url: str, settings: StoreSettings) -> None:
    async with _opened(url, settings) as page:
        for turn in range(12):
            await page.run(user(f"turn {turn}", f"u{turn}"))
        for _ in range(8):
            again = await page.run(user("turn 11", "u11"))
        assert states(again)[-1]["log"] == [f"turn {turn}" for turn in range(12)]
        edited = await page.run(user("other", "u10"))
        assert states(edited)[-1]["log"] == [*(f"turn {turn}" for turn in range(10)), "other"]
        in_place = await page.run(user("early", "u2"))

    assert [said for role, said in thread(in_place) if role == "user"] == ["turn 0", "turn 1", "early"]


@pytest.mark.parametrize("url", KINDS, indirect=True)
async def test_a_question_in_a_subgraph_is_answered_after_a_long_thread(url: str, settings: StoreSettings) -> None:
    async with _opened(url, settings) as page:
        for turn in range(8):
            await page.run(user(f"turn {turn}", f"u{turn}"))
        await page.run("well?")
        events = await page.run("well?", resume=[Resume(name="on_interrupt", value="", response="fine")])

    assert states(events)[-1]["asked"] == "fine"


@pytest.mark.parametrize("url", KINDS, indirect=True)
@pytest.mark.parametrize(("turns", "kept"), [(None, lambda n: n > 30), (1, lambda n: n < 8)])
async def test_a_setting_limits_of_how_many_turns_checkpoints_are_kept(
    url: str, settings: StoreSettings, turns: int | None, kept: Callable[[int], bool]
) -> None:
    async with _opened(url, msgspec.structs.replace(settings, checkpoint_history=turns)) as page:
        for turn in range(12):
            await page.run(user(f"turn {turn}", f"u{turn}"))
        of_graph: Any = {"configurable": {"thread_id": THREAD, "checkpoint_ns": ""}}
        assert kept(len([each async for each in page.provider.checkpointer.alist(of_graph)]))
