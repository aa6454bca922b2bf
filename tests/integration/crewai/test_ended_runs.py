"""What crews and flows can still do that go on in their threads after their run was stopped or has failed."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from crewai import LLM, Agent, Crew, Memory, Task
from crewai.flow import Flow, start
from crewai.flow.persistence import SQLiteFlowPersistence, persist
from crewai.tools import tool

from copilotkit_runtime.providers.crewai import CrewAIProvider
from copilotkit_runtime.runtime import events
from copilotkit_runtime.runtime.context import RunContext

from .guests import asking, collect
from .openai_service import OpenAIService, Reply, says


class Work:
    """Work of an agent that is held up until the test lets it go on."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.released = threading.Event()
        self.done: list[str] = []

    def hold(self) -> None:
        """Begin, and wait for the test."""
        self.begun.set()
        assert self.released.wait(60)

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 60)

    async def is_over(self) -> None:
        """Let it go on, and wait until its threads have ended."""
        self.released.set()
        async with asyncio.timeout(60):
            while any(thread.name.startswith("crewai-") for thread in threading.enumerate()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


def tasks_side_by_side(base_url: str, work: Work) -> Any:
    """A crew whose first two tasks run in threads of their own: one calls two tools, the other one streams."""

    @tool("slow")
    def slow() -> str:
        """Takes its time."""
        work.hold()
        work.done.append("slow")
        return "x"

    @tool("after")
    def after() -> str:
        """Comes after the slow one."""
        work.done.append("after")
        return "y"

    llm = LLM(model="openai/gpt-4o", base_url=base_url, api_key="none", max_retries=0)

    def agent(role: str, *tools: Any) -> Agent:
        return Agent(role=role, goal="g", backstory="b", llm=llm, tools=list(tools), max_retry_limit=0)

    def task(name: str, text: str, by: Agent, *, aside: bool) -> Task:
        return Task(name=name, description=text, expected_output="t", agent=by, async_execution=aside)

    busy, writer, closer = agent("Busy", slow, after), agent("Writer"), agent("Closer")
    tasks = [
        task("one", "use the tools", busy, aside=True),
        task("two", "write about {topic}", writer, aside=True),
        task("three", "close", closer, aside=False),
    ]
    return Crew(agents=[busy, writer, closer], tasks=tasks)


def tools_then(other: Reply) -> Any:
    """A model that calls both tools in turn for who has them, and replies with ``other`` to anybody else."""

    def model(asked: dict[str, Any]) -> Reply:
        if not asked.get("tools"):
            return other
        results = sum(message["role"] == "tool" for message in asked["messages"])
        return [Reply(calls=(("c1", "slow", "{}"),)), Reply(calls=(("c2", "after", "{}"),)), says("done")][results]

    return model


async def stop_at_a_word(provider: CrewAIProvider, work: Work) -> None:
    async with asyncio.timeout(60), aclosing(provider.execute_run("a", asking(), RunContext())) as run:
        async for event in run:
            if isinstance(event, events.TextMessageContent) and work.begun.is_set():
                return


@pytest.mark.parametrize("as_object", [False, True])
async def test_tasks_in_threads_of_their_own_end_with_their_run(as_object: bool) -> None:
    work = Work()
    async with OpenAIService(tools_then(Reply(tokens=("word ",) * 100_000))) as model:

        def make() -> Any:
            return tasks_side_by_side(model.base_url, work)

        provider = CrewAIProvider({"a": make() if as_object else make}, queue_size=16)
        await stop_at_a_word(provider, work)
        asked = len(model.asked)
        await work.is_over()
        async with asyncio.timeout(60):
            while model.service.running:  # noqa: ASYNC110 - it may break off in more than one way
                await asyncio.sleep(0.01)
        assert (work.done, len(model.asked)) == (["slow"], asked)
        await stop_at_a_word(provider, work)
        await work.is_over()


async def test_tasks_in_threads_of_their_own_end_when_another_one_fails() -> None:
    work = Work()
    async with OpenAIService(tools_then(Reply(status=500))) as model:

        def make() -> Any:
            crew = tasks_side_by_side(model.base_url, work)
            crew.tasks[:2] = reversed(crew.tasks[:2])
            return crew

        with pytest.raises(Exception, match="500"):
            await collect(CrewAIProvider({"a": make}), asking())
        asked = len(model.asked)
        tasks = [each for each in threading.enumerate() if "_execute_task_async" in each.name]
        work.released.set()
        for thread in tasks:
            await asyncio.to_thread(thread.join, 60)
        assert not any(thread.is_alive() for thread in tasks)
        assert ("after" in work.done, len(model.asked)) == (False, asked)


async def stop_at_the_first_event(provider: CrewAIProvider, work: Work) -> None:
    async with aclosing(provider.execute_run("a", asking(), RunContext())) as run:
        await anext(run)
        await work.has_begun()


@pytest.mark.parametrize("how", ["swallow", "block_the_loop", "block_a_thread"])
async def test_a_stopped_flow_saves_no_state(how: str, tmp_path: Path) -> None:
    work, store = Work(), SQLiteFlowPersistence(str(tmp_path / "flows.db"))

    async def swallow(flow: Any) -> None:
        work.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            flow.state["secret"] = "s"

    async def block_the_loop(flow: Any) -> None:
        work.hold()
        flow.state["secret"] = "s"

    def block_a_thread(flow: Any) -> None:
        work.hold()
        flow.state["secret"] = "s"

    methods = {"swallow": swallow, "block_the_loop": block_the_loop, "block_a_thread": block_a_thread}

    @persist(store)
    class Saving(Flow[dict[str, Any]]):
        only = start()(methods[how])

    await stop_at_the_first_event(CrewAIProvider({"a": Saving}), work)
    await work.is_over()
    assert store.load_state("t") is None


@pytest.mark.parametrize("whose", ["the flow's", "its code's"])
async def test_a_stopped_flow_remembers_nothing(whose: str, tmp_path: Path) -> None:
    work = Work()

    def embed(texts: list[str]) -> list[list[float]]:
        work.hold()
        return [[1.0, 0.0] for _ in texts]

    def memory() -> Memory:
        return Memory(storage=str(tmp_path / "memory"), embedder=embed)

    class Remembering(Flow[dict[str, Any]]):
        def __init__(self, **given: Any) -> None:
            super().__init__(**({"memory": memory()} if whose == "the flow's" else {}), **given)

        @start()
        def only(self) -> None:
            kept: Any = self.memory if whose == "the flow's" else memory()
            kept.remember("secret", scope="/n", categories=["c"], importance=0.5)

    await stop_at_the_first_event(CrewAIProvider({"a": Remembering}), work)
    await work.is_over()
    assert memory().list_records() == []
