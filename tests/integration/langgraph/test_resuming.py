"""A graph goes on from whatever was kept of a run when its process died."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.runtime import events
from copilotkit_runtime.runtime.context import Resume, RunContext, RunInput
from copilotkit_runtime.runtime.messages import Message, ToolCallMessage
from copilotkit_runtime.runtime.runs.continuation import Continuation
from tests.integration.langgraph.scripted_model import Page, result, user
from tests.support.gone_on import gone_on
from tests.support.resumable_runtime import graph

SCRIPT = json.dumps({"say": ["a ", "b"]})
WRITES = 7
"""How often LangGraph writes in a run of the graph."""


class DyingSaver(InMemorySaver):
    """Keeps what is written before the process dies, and no more until another one begins."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.left = writes

    async def aput(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> RunnableConfig:
        self.left -= 1
        if self.left >= 0:
            return await super().aput(config, checkpoint, metadata, new_versions)
        place = {**config["configurable"], "checkpoint_id": checkpoint["id"]}
        return {"configurable": place}

    async def aput_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        self.left -= 1
        if self.left >= 0:
            await super().aput_writes(config, writes, task_id, task_path)


def asked(*said: Message, **more: Any) -> RunInput:
    return RunInput(thread_id="thread", run_id="run", unique_id="unique", messages=list(said), **more)


async def executed(provider: LangGraphProvider, run: RunInput) -> list[events.Event]:
    return [event async for event in provider.execute_run("graph", run, RunContext())]


async def resumed(provider: LangGraphProvider, run: RunInput, shown: Sequence[events.Event]) -> list[events.Event]:
    kept = await provider.load_state("thread", "graph")
    past = Continuation(shown, len(shown), kept.messages if kept is not None else ())
    return await gone_on(past, provider.resume_run("graph", run, RunContext()))


def texts(run: Sequence[events.Event]) -> list[str]:
    said: dict[str, str] = {}
    for event in run:
        if isinstance(event, events.TextMessageStart):
            assert event.message_id not in said
            said[event.message_id] = ""
        elif isinstance(event, events.TextMessageContent):
            said[event.message_id] += event.delta
    return list(said.values())


@pytest.mark.parametrize("shown", [0, 3, 5, 8, 11])
@pytest.mark.parametrize("writes", range(WRITES + 1))
async def test_a_run_goes_on_from_every_checkpoint_and_sends_everything_once(writes: int, shown: int) -> None:
    saver = DyingSaver(writes)
    provider = LangGraphProvider({"graph": graph}, checkpointer=saver)
    run = asked(user(SCRIPT))
    started = events.RunStarted(thread_id="thread", run_id="run")
    seen = [started, *await executed(provider, run)][:shown]
    assert saver.left == writes - WRITES
    saver.left = 1000

    whole = [*seen, *await resumed(provider, run, seen)]

    state = await provider.load_state("thread", "graph")
    assert state is not None
    assert [getattr(message, "content", "") for message in state.messages] == [SCRIPT, "Let me see. ", "a b"]
    assert state.state["finished"] == ["greet", "answer"]
    said = texts(whole)
    assert said == [text for text in ("Let me see. ", "a b") if text in said]


async def test_an_answered_question_is_not_repeated() -> None:
    def question(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(f"You chose {interrupt('Which?')}.")]}

    asking = StateGraph(MessagesState).add_node(question).add_edge(START, "question").compile()
    for writes in range(3):
        saver = DyingSaver(1000)
        provider = LangGraphProvider({"graph": asking}, checkpointer=saver)
        await executed(provider, asked(user("Go.")))
        answer = Resume(name="on_interrupt", value="Which?", response="this one")
        run = asked(user("Go."), resume=[answer])
        run.unique_id = "second"
        saver.left = writes
        await executed(provider, run)
        saver.left = 1000
        whole = await resumed(provider, run, [])
        assert "You chose this one." in str(whole)
        state = await provider.load_state("thread", "graph")
        assert state is not None
        assert getattr(state.messages[-1], "content", "") == "You chose this one."
        assert not state.interrupts


async def test_a_run_that_had_stopped_with_a_question_repeats_it_and_runs_nothing() -> None:
    ran: list[str] = []

    def question(state: MessagesState) -> Command[str]:
        ran.append("question")
        interrupt("Which?")
        return Command(goto="__end__")

    asking = StateGraph(MessagesState).add_node(question).add_edge(START, "question").compile()
    provider = LangGraphProvider({"graph": asking}, checkpointer=InMemorySaver())
    await executed(provider, asked(user("Go.")))
    whole = await resumed(provider, asked(user("Go.")), [])
    assert [event.value for event in whole if isinstance(event, events.Custom)] == ["Which?"]
    assert ran == ["question"]


async def test_only_agents_whose_checkpoints_outlive_the_process_go_on() -> None:
    never = graph.copy({"checkpointer": False})
    provider = LangGraphProvider({"graph": graph, "own": graph.copy({"checkpointer": InMemorySaver()}), "never": never})
    assert not any(provider.can_resume(agent) for agent in ("graph", "own", "never"))
    async with AsyncSqliteSaver.from_conn_string(":memory:") as saver:
        provider.checkpointer = saver
        assert provider.can_resume("graph")
        assert not any(provider.can_resume(agent) for agent in ("own", "never"))


async def test_a_result_for_a_call_that_a_node_made_again_under_another_id_reaches_it() -> None:
    heard: list[Any] = []

    def act(state: MessagesState) -> dict[str, Any]:
        heard.append([(m.type, getattr(m, "tool_call_id", None)) for m in state["messages"]])
        if state["messages"][-1].type == "tool":
            return {"messages": [AIMessage("Done.")]}
        call = {"name": "look", "id": "second", "args": {"b": 1, "a": 2}}
        return {"messages": [AIMessage("", tool_calls=[call])]}

    acting = StateGraph(MessagesState).add_node(act).add_edge(START, "act").compile()
    page = Page(acting, checkpointer=InMemorySaver())
    await page.run("Look.")
    shown = ToolCallMessage(id="first", name="look", arguments={"a": 2, "b": 1})
    await page.run("Look.", shown, result("first", "look", "found"))
    assert heard[-1] == [("human", None), ("ai", None), ("tool", "second")]
