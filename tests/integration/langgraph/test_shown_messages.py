"""Which of a graph's messages a client sees, once each, and under which ids."""

from __future__ import annotations

import operator
import sqlite3
from copy import deepcopy
from typing import Annotated, Any, TypedDict

import pytest
from copilotkit.langgraph import copilotkit_customize_config
from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import RetryPolicy

from copilotkit_runtime.runtime import events as ev
from copilotkit_runtime.runtime.messages import TextMessage
from tests.integration.langgraph.scripted_model import (
    Page,
    ScriptedModel,
    call_parts,
    of,
    result,
    text,
    thread,
    user,
)


def texts(events: list[ev.Event]) -> list[tuple[str, str]]:
    """The texts that showed, each with its message's id."""
    whole: dict[str, str] = {}
    for event in events:
        if isinstance(event, ev.TextMessageStart):
            whole[event.message_id] = ""
        elif isinstance(event, ev.TextMessageContent):
            whole[event.message_id] += event.delta
    return list(whole.items())


def shown(events: list[ev.Event]) -> list[str]:
    return [content for _, content in texts(events)]


class Public(TypedDict):
    messages: Annotated[list[Any], add_messages]


class Whole(Public):
    scratch: Annotated[list[Any], operator.add]


def hiding(state: Any, output: Any = None) -> Any:
    model = ScriptedModel(script=[["Chain of ", "thought."]])

    async def think(state: Any, config: RunnableConfig) -> dict[str, Any]:
        thought = await model.ainvoke(state["messages"], copilotkit_customize_config(config, emit_messages=False))
        secret = AIMessage("Secret", tool_calls=[{"name": "look", "id": "i1", "args": {}}])
        kept = [AIMessage(thought.content), secret, ToolMessage("Secret result", tool_call_id="i1")]
        return {"scratch": kept, "messages": [AIMessage("Public.")]}

    return StateGraph(state, output_schema=output or state).add_node("think", think).add_edge(START, "think").compile()


@pytest.mark.parametrize("nested", [False, True])
async def test_messages_under_a_key_that_is_not_the_chat_s_do_not_show(nested: bool) -> None:
    graph = hiding(Whole, Public)
    if nested:
        graph = StateGraph(Public).add_node("team", graph).add_edge(START, "team").compile()
    events = await Page(graph).run("go")
    assert shown(events) == ["Public."]
    assert not of(ev.ToolCallStart, events)
    assert not of(ev.ToolCallResult, events)


async def test_the_result_of_a_call_that_showed_shows_under_any_key() -> None:
    model = ScriptedModel(script=[call_parts("look", "l1", "{}")])

    async def ask(state: Any) -> dict[str, Any]:
        said = await model.ainvoke(state["messages"])
        return {"scratch": [said, ToolMessage("found", tool_call_id="l1")]}

    events = await Page(StateGraph(Whole).add_node("ask", ask).add_edge(START, "ask").compile()).run("go")
    assert [event.content for event in of(ev.ToolCallResult, events)] == ["found"]


@pytest.mark.parametrize("shape", ["object", "dict", "tuple", "block"])
async def test_a_node_s_answer_shows_in_every_spelling(shape: str) -> None:
    spelled: Any = {
        "object": AIMessage("Hello."),
        "dict": {"role": "ai", "content": "Hello."},
        "tuple": ("assistant", "Hello."),
        "block": {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]},
    }[shape]
    graph = (
        StateGraph(MessagesState).add_node("say", lambda _: {"messages": [deepcopy(spelled)]}).add_edge(START, "say")
    )
    page = Page(graph.compile())
    events = await page.run("go")
    ((id_, said),) = texts(events)
    assert said == "Hello."
    assert of(ev.MessagesSnapshot, events)[-1].messages[-1]["id"] == id_
    assert shown(await page.run("go", TextMessage(id=id_, role="assistant", content=said), "again")) == ["Hello."]


@pytest.mark.parametrize("returned", ["The answer is 42.", " The answer is 42.\n"])
async def test_a_copy_that_a_node_returns_of_what_streamed_shows_once(returned: str) -> None:
    model = ScriptedModel(script=[["The answer ", "is 42."]])

    async def copy(state: MessagesState) -> dict[str, Any]:
        await model.ainvoke(state["messages"])
        return {"messages": [AIMessage(returned, name="researcher")]}

    page = Page(StateGraph(MessagesState).add_node("copy", copy).add_edge(START, "copy").compile())
    events = await page.run("go")
    ((id_, said),) = texts(events)
    assert said == "The answer is 42."
    # A client that does not take the thread over sends back what streamed.
    await page.run("go", TextMessage(id=id_, role="assistant", content=said), "again")
    roles = [message.type for message in model.seen[-1]]
    assert roles == (["human", "ai", "human"] if returned == said else ["human", "ai", "ai", "human"])


async def test_model_calls_of_the_framework_s_own_middleware_do_not_show() -> None:
    summary = ScriptedModel(script=[["Internal summary."]])
    middleware = SummarizationMiddleware(model=summary, trigger=("messages", 3), keep=("messages", 1))
    page = Page(create_agent(ScriptedModel(script=[["One."], ["Two."]]), [], middleware=[middleware]))
    first = await page.run("go")
    ((id_, said),) = texts(first)
    events = await page.run("go", TextMessage(id=id_, role="assistant", content=said), "on")
    assert len(summary.seen) == 1
    assert shown(events) == ["Two."]


def chunks(*ids: str | None) -> list[AIMessageChunk]:
    return [AIMessageChunk(content=f"{i} " if i else "", id=id_) for i, id_ in enumerate(ids)]


@pytest.mark.parametrize(
    "ids", [("resp_1", None, None), ("resp_1", "resp_1", None), (None, None), ("resp_1", None, "late")]
)
async def test_one_model_call_is_one_message_under_the_id_that_is_kept(ids: tuple[str | None, ...]) -> None:
    model = ScriptedModel(script=[chunks(*ids)])

    async def say(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    events = await Page(StateGraph(MessagesState).add_node("say", say).add_edge(START, "say").compile()).run("go")
    ((id_, _),) = texts(events)
    assert of(ev.MessagesSnapshot, events)[-1].messages[-1]["id"] == id_


async def test_half_an_answer_before_a_retry_is_marked_as_broken_and_not_sent_back() -> None:
    def failing(_: Any) -> Any:
        yield "Half"
        raise ConnectionError("gone")

    model = ScriptedModel(script=[failing, ["Whole."], ["Next."]])

    async def say(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    policy = RetryPolicy(initial_interval=0.001, jitter=False)
    page = Page(StateGraph(MessagesState).add_node("say", say, retry_policy=policy).add_edge(START, "say").compile())
    events = await page.run("go")
    assert shown(events) == ["Half", "Whole."]
    assert [event.broken for event in of(ev.TextMessageEnd, events)] == [True, False]
    kept = [TextMessage(id=id_, role="assistant", content=said) for id_, said in texts(events)]
    await page.run("go", *kept, "on")
    assert [message.content for message in model.seen[-1]] == ["go", "Whole.", "on"]


async def test_a_fallback_s_answer_follows_the_broken_call_of_the_first_model() -> None:
    def failing(_: Any) -> Any:
        yield from call_parts("pick", "p1", '{"a"')
        raise ConnectionError("gone")

    model = ScriptedModel(script=[failing]).with_fallbacks([ScriptedModel(script=[["Fallback."]])])

    async def say(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    events = await Page(StateGraph(MessagesState).add_node("say", say).add_edge(START, "say").compile()).run("go")
    assert [event.broken for event in of(ev.ToolCallEnd, events)] == [True]
    assert shown(events) == ["Fallback."]


async def test_calls_that_a_model_numbers_anew_are_distinguished() -> None:
    @tool
    def step(n: int) -> str:
        """Takes a step."""
        return f"result {n}"

    rounds = [call_parts("step", "call_0", f'{{"n": {n}}}') for n in (1, 2)]
    page = Page(create_agent(ScriptedModel(script=[*rounds, ["Done."]]), [step]))
    events = await page.run("go")
    started = [event.tool_call_id for event in of(ev.ToolCallStart, events)]
    answered = {event.tool_call_id: event.content for event in of(ev.ToolCallResult, events)}
    assert [answered[id_] for id_ in started] == ["result 1", "result 2"]
    kept = of(ev.MessagesSnapshot, events)[-1].messages
    assert [each["toolCallId"] for each in kept if each["role"] == "tool"] == started
    loaded = await page.state()
    assert loaded is not None
    assert {m.id for m in loaded.messages} >= set(started)


async def test_a_frontend_tool_that_is_called_under_one_id_each_turn_is_answered_each_turn() -> None:
    def reply(messages: list[Any]) -> Any:
        asks = messages[-1].type == "human"
        return call_parts("paint", "paint:0", '{"c": 1}') if asks else [f"Got {messages[-1].content}."]

    model = ScriptedModel(script=[reply])

    async def chat(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    page = Page(StateGraph(MessagesState).add_node("chat", chat).add_edge(START, "chat").compile())
    said: list[Any] = []
    for turn, color in enumerate(("red", "blue", "green")):
        said.append(user("paint", f"u{turn}"))
        (start,) = of(ev.ToolCallStart, await page.run(*said))
        loaded = await page.state()
        assert loaded is not None
        answer = result(start.tool_call_id, "paint", color)
        events = await page.run(*loaded.messages, answer)
        assert text(events) == f"Got {color}."
        said = [
            *loaded.messages,
            answer,
            TextMessage(id=texts(events)[0][0], role="assistant", content=f"Got {color}."),
        ]
    assert [content for role, content in thread(events) if role == "tool"] == ["red", "blue", "green"]
    assert {call["id"] for m in model.seen[-1] for call in getattr(m, "tool_calls", [])} == {"paint:0"}


async def test_a_user_s_message_that_the_graph_rewrites_is_not_an_edit() -> None:
    model = ScriptedModel(script=[call_parts("pick", "p1", "{}"), ["Done."]])
    runs: list[int] = []

    async def rewrite(state: MessagesState) -> dict[str, Any]:
        runs.append(len(state["messages"]))
        first = state["messages"][0]
        return {"messages": [HumanMessage(f"{first.content} (rewritten)", id=first.id)]} if len(runs) == 1 else {}

    async def chat(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState).add_node("rewrite", rewrite).add_node("chat", chat)
    page = Page(graph.add_edge(START, "rewrite").add_edge("rewrite", "chat").compile())
    await page.run("go")
    loaded = await page.state()
    assert loaded is not None
    events = await page.run(user("go"), *loaded.messages[1:], result("p1", "pick", "red"))
    assert text(events) == "Done."
    assert [message.type for message in model.seen[-1]] == ["human", "ai", "tool"]
    assert len(model.seen) == 2


async def test_a_graph_with_a_synchronous_saver_keeps_its_threads() -> None:
    saver = SqliteSaver(sqlite3.connect(":memory:", check_same_thread=False))

    def count(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(f"{len(state['messages'])}")]}

    page = Page(StateGraph(MessagesState).add_node("count", count).add_edge(START, "count").compile(checkpointer=saver))
    assert text(await page.run("one")) == "1"
    assert text(await page.run("one", "two")) == "3"
    saver.conn.close()
