from __future__ import annotations

import dataclasses
import math
from datetime import UTC, date, datetime
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from pydantic import BaseModel

from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.runtime import events as ev
from copilotkit_runtime.runtime.messages import Message, TextMessage, ToolCallMessage, ToolResultMessage
from copilotkit_runtime.runtime.stores.interface import AgentState
from tests.integration.langgraph.scripted_model import Page, of, result, states, thread


class CountState(MessagesState):
    count: int


def counting() -> StateGraph[Any, Any, Any, Any]:
    def count(state: CountState) -> dict[str, Any]:
        n = state.get("count", 0) + 1
        return {"count": n, "messages": [AIMessage(content=f"{n}", id=f"a{n}")]}

    return StateGraph(CountState).add_node("count", count).add_edge(START, "count")


async def test_a_thread_without_a_checkpoint_has_no_state() -> None:
    assert await Page(counting()).state() is None


async def test_a_thread_s_state_and_messages_are_read_back() -> None:
    page = Page(counting())
    await page.run("one")
    loaded = await page.state()

    assert loaded is not None
    assert loaded.state == {"count": 1}
    said = [(m.role, m.content, m.id) for m in loaded.messages if isinstance(m, TextMessage)]
    assert said == [("user", "one", "id of one"), ("assistant", "1", "a1")]


async def test_a_graph_s_own_checkpointer_is_kept_and_holds_the_client_s_thread_id() -> None:
    own, other = InMemorySaver(), InMemorySaver()
    await Page(counting().compile(checkpointer=own), checkpointer=other).run("one")

    assert own.get({"configurable": {"thread_id": "thread"}}) is not None
    assert not other.storage


async def test_the_provider_s_checkpointer_may_be_replaced() -> None:
    saver = InMemorySaver()
    first = Page(counting())
    first.provider.checkpointer = saver
    await first.run("one")
    second = Page(counting(), checkpointer=saver)

    assert states(await second.run("two"))[-1] == {"count": 2}


async def test_agents_that_share_a_thread_and_a_saver_do_not_share_state() -> None:
    provider = LangGraphProvider({"a": counting(), "b": counting()})
    await Page(provider, "a").run("one")
    assert await Page(provider, "b").state() is None
    assert states(await Page(provider, "b").run("one"))[-1] == {"count": 1}


async def test_threads_of_one_agent_do_not_share_state() -> None:
    provider = LangGraphProvider({"agent": counting()})
    await Page(provider, thread_id="1").run("one")
    assert states(await Page(provider, thread_id="2").run("one"))[-1] == {"count": 1}


async def test_a_graph_that_refuses_a_checkpointer_runs_without_memory() -> None:
    page = Page(counting().compile(checkpointer=False))
    await page.run("one")
    assert states(await page.run("one"))[-1] == {"count": 1}
    assert await page.state() is None


async def test_saved_state_is_what_is_loaded_and_what_the_next_run_starts_from() -> None:
    page = Page(counting())
    messages: list[Message] = [
        TextMessage(id="u", role="user", content="hi"),
        TextMessage(id="a", role="assistant", content="calling"),
        ToolCallMessage(id="c", name="paint", arguments={"x": 1}, parent_message_id="a"),
        result("c", "paint", "red"),
    ]
    await page.provider.save_state("thread", "agent", AgentState(state={"count": 5}, messages=messages))
    loaded = await page.state()

    assert loaded is not None
    assert loaded.state == {"count": 5}
    assert [(type(m), m.id) for m in loaded.messages] == [(type(m), m.id) for m in messages]
    assert isinstance(loaded.messages[3], ToolResultMessage)
    assert states(await page.run(*messages, "next"))[-1] == {"count": 6}


async def test_saved_state_replaces_what_the_thread_held() -> None:
    page = Page(counting())
    await page.run("one")
    only = TextMessage(id="u", role="user", content="only")
    await page.provider.save_state("thread", "agent", AgentState(state={"count": 9}, messages=[only]))
    loaded = await page.state()

    assert loaded is not None
    assert loaded.state == {"count": 9}
    assert [message.id for message in loaded.messages] == ["u"]


async def test_a_run_s_events_match_what_is_loaded_afterwards() -> None:
    page = Page(counting())
    events = await page.run("one")
    loaded = await page.state()

    assert loaded is not None
    assert states(events)[-1] == loaded.state
    assert thread(events) == [(m.role, m.content) for m in loaded.messages if isinstance(m, TextMessage)]


class Place(BaseModel):
    name: str
    seen: datetime


@dataclasses.dataclass
class Point:
    x: float


class OddState(MessagesState):
    place: Any
    points: Any
    day: Any
    bad: Any


@pytest.mark.filterwarnings("ignore")
async def test_values_that_are_no_json_are_shown_and_those_that_cannot_be_are_named_while_the_run_goes_on() -> None:
    def odd(_: OddState) -> dict[str, Any]:
        place = Place(name="Ulm", seen=datetime(2026, 1, 2, tzinfo=UTC))
        points = [Point(1.5), Point(math.nan)]
        return {"place": place, "points": points, "day": date(2026, 1, 2), "bad": {"fine": 1, "lock": odd}}

    def after(_: OddState) -> dict[str, Any]:
        return {"messages": [AIMessage(content="went on")], "day": None}

    graph = StateGraph(OddState).add_node(odd).add_node(after).add_edge(START, "odd").add_edge("odd", "after")
    events = await Page(graph.compile(checkpointer=False)).run("go")

    assert states(events)[0] == {
        "place": {"name": "Ulm", "seen": "2026-01-02T00:00:00+00:00"},
        "points": [{"x": 1.5}, {"x": None}],
        "day": "2026-01-02",
        "bad": {"fine": 1},
    }
    (error,) = of(ev.Custom, events)
    assert error.name == "error"
    assert "bad.lock (function) has no JSON form" in error.value["message"]
    assert thread(events)[-1] == ("assistant", "went on")
