from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt

from copilotkit_runtime.providers.langgraph.recent_saver import RecentMemorySaver
from copilotkit_runtime.runtime.context import Resume
from tests.integration.langgraph.scripted_model import Page, states, thread, user


class CountState(MessagesState):
    count: int


def counting() -> Any:
    def count(state: CountState) -> dict[str, Any]:
        return {"count": state.get("count", 0) + 1, "messages": [AIMessage("ok")]}

    inner = StateGraph(CountState).add_node(count).add_edge(START, "count").compile(checkpointer=True)
    return StateGraph(CountState).add_node("inner", inner).add_edge(START, "inner")


async def test_a_long_thread_keeps_its_state_and_only_its_newest_checkpoints() -> None:
    saver = RecentMemorySaver(checkpoints=6)
    page = Page(counting(), checkpointer=saver)
    for number in range(30):
        events = await page.run(f"turn {number}")

    assert states(events)[-1] == {"count": 30}
    assert len(thread(events)) == 60
    ((_, namespaces),) = saver.storage.items()
    assert len(namespaces[""]) == 6
    assert sum(len(kept) for name, kept in namespaces.items() if name) <= 6
    assert len({key[3] for key in saver.blobs if key[2] == "messages"}) <= 12
    assert {key[2] for key in saver.writes} <= {id_ for kept in namespaces.values() for id_ in kept}


async def test_threads_that_were_used_least_recently_are_forgotten_whole() -> None:
    saver = RecentMemorySaver(threads=2)
    provider = Page(counting(), checkpointer=saver).provider
    for thread_id in ("1", "2", "1", "3"):
        await Page(provider, thread_id=thread_id).run(f"to {thread_id}")

    assert await Page(provider, thread_id="2").state() is None
    assert await Page(provider, thread_id="1").state() is not None
    assert len({key[0] for key in (*saver.blobs, *saver.writes)}) == 2


async def test_an_interrupt_survives_many_steps_of_a_subgraph() -> None:
    def step(state: CountState) -> dict[str, Any]:
        return {"count": state.get("count", 0) + 1}

    def ask(_: CountState) -> dict[str, Any]:
        return {"count": int(interrupt("How many?"))}

    inner = StateGraph(CountState).add_node(step).add_node(ask).add_edge(START, "step")
    inner.add_conditional_edges("step", lambda state: "step" if state["count"] < 20 else "ask", ["step", "ask"])
    graph = StateGraph(CountState).add_node("inner", inner.compile()).add_edge(START, "inner")
    page = Page(graph, checkpointer=RecentMemorySaver(checkpoints=3))
    await page.run("go")

    events = await page.run("go", resume=[Resume(name="on_interrupt", value="", response="7")])
    assert states(events)[-1] == {"count": 7}


async def test_a_turn_whose_checkpoints_are_forgotten_is_still_regenerated() -> None:
    graph = StateGraph(CountState).add_node("n", lambda _: {"messages": [AIMessage("ok")]}).add_edge(START, "n")
    page = Page(graph, checkpointer=RecentMemorySaver(checkpoints=2))
    for number in range(3):
        await page.run(user(f"turn {number}", f"u{number}"))
    events = await page.run(user("again", "u1"))

    assert [said for role, said in thread(events) if role == "user"] == ["turn 0", "again"]


async def test_asking_for_a_thread_that_there_is_not_leaves_no_trace() -> None:
    saver = RecentMemorySaver()
    assert await Page(counting(), checkpointer=saver).state() is None
    assert not saver.storage


async def test_a_deleted_thread_leaves_nothing_behind() -> None:
    saver = RecentMemorySaver()
    page = Page(counting(), checkpointer=saver)
    await page.run("go")
    await saver.adelete_thread("agent:thread")

    assert not saver.blobs
    assert not saver.writes
    assert not saver.storage
    assert await page.state() is None


def _size(saver: RecentMemorySaver) -> int:
    namespaces = (kept for thread in saver.storage.values() for kept in thread.values())
    checkpoints = (each for kept in namespaces for each in kept.values())
    writes = (write[2] for writes in saver.writes.values() for write in writes.values())
    blobs = (*saver.blobs.values(), *writes)
    return sum(len(each[0][1]) + len(each[1][1]) for each in checkpoints) + sum(len(each[1]) for each in blobs)


async def test_all_threads_together_take_a_bounded_number_of_bytes() -> None:
    saver = RecentMemorySaver(max_bytes=50_000)
    provider = Page(counting(), checkpointer=saver).provider
    for number in range(20):
        for _ in range(2):
            await Page(provider, thread_id=str(number)).run(f"{number} " + "x" * 5_000)
        assert _size(saver) == saver.size <= 60_000  # one run's writes come behind its last checkpoint
    for number in range(20):
        events = await Page(provider, thread_id="long").run(f"turn {number}" + "x" * 2_000)

    # What is left of a thread that is too large is its newest state: its graph's, its subgraph's, and the last writes.
    assert _size(saver) == saver.size <= 4 * 20 * 2_500
    assert states(events)[-1] == {"count": 20}
    assert {key.split(":")[1] for key in saver.storage} == {"long"}
