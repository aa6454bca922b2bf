"""The ``copilotkit`` SDK's helpers, as agents call them."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from copilotkit import CopilotKitMiddleware, CopilotKitState
from copilotkit.langgraph import (
    copilotkit_customize_config,
    copilotkit_emit_message,
    copilotkit_emit_state,
    copilotkit_emit_tool_call,
    copilotkit_exit,
)
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from copilotkit_runtime.runtime import events as ev
from copilotkit_runtime.runtime.context import ContextItem, Tool
from tests.integration.langgraph.scripted_model import (
    Page,
    ScriptedModel,
    call_parts,
    of,
    result,
    states,
    text,
    thread,
    user,
)

PAINT = Tool(name="paint", description="Paints the page.", parameters={"type": "object", "properties": {}})


class AgentState(CopilotKitState):
    doc: str
    progress: int


def one_node(work: Any) -> Any:
    return StateGraph(AgentState).add_node("work", work).add_edge(START, "work").compile()


async def test_an_emitted_message_is_shown_once_though_the_node_returns_it_too() -> None:
    async def work(_: AgentState, config: RunnableConfig) -> dict[str, Any]:
        await copilotkit_emit_message(config, "Step 1")
        return {"messages": [AIMessage(content="Step 1")]}

    events = await Page(one_node(work)).run("go")
    assert text(events) == "Step 1"
    assert thread(events)[-1] == ("assistant", "Step 1")


async def test_an_emitted_tool_call_is_whole_and_its_own_parent() -> None:
    async def work(_: AgentState, config: RunnableConfig) -> dict[str, Any]:
        await copilotkit_emit_tool_call(config, name="paint", args={"color": "red"}, tool_call_id="p1")
        return {}

    events = await Page(one_node(work)).run("go")
    assert of(ev.ToolCallStart, events) == [
        ev.ToolCallStart(tool_call_id="p1", tool_call_name="paint", parent_message_id="p1")
    ]
    assert [event.delta for event in of(ev.ToolCallArgs, events)] == ['{"color":"red"}']


async def test_emitted_state_shows_until_the_node_ends_as_it_was_when_it_was_emitted() -> None:
    async def work(state: AgentState, config: RunnableConfig) -> dict[str, Any]:
        shown = {"doc": "draft", "steps": [{"done": False}]}
        await copilotkit_emit_state(config, shown)
        shown["steps"][0]["done"] = True  # type: ignore[index]
        await copilotkit_emit_state(config, shown)
        return {"doc": "final"}

    assert states(await Page(one_node(work)).run("go", state={"doc": ""})) == [
        {"doc": ""},
        {"doc": "draft", "steps": [{"done": False}]},
        {"doc": "draft", "steps": [{"done": True}]},
        {"doc": "final"},
    ]


async def test_exit_is_reported_and_does_not_stop_the_graph() -> None:
    async def work(_: AgentState, config: RunnableConfig) -> dict[str, Any]:
        await copilotkit_exit(config)
        return {"doc": "done"}

    events = await Page(one_node(work)).run("go")
    assert of(ev.Custom, events) == [ev.Custom(name=ev.EXIT, value={})]
    assert states(events)[-1] == {"doc": "done"}


def speaking(model: ScriptedModel, **policy: Any) -> Any:
    async def work(state: AgentState, config: RunnableConfig) -> dict[str, Any]:
        answer = await model.ainvoke(state["messages"], copilotkit_customize_config(config, **policy))
        return {"messages": [answer]}

    return one_node(work)


def two_calls() -> list[Any]:
    return ["text", *call_parts("a", "1", "{}"), *call_parts("b", "2", "{}", index=1)]


@pytest.mark.parametrize(
    ("policy", "shown", "calls"),
    [
        ({}, "text", ["a", "b"]),
        ({"emit_messages": False}, "", ["a", "b"]),
        ({"emit_tool_calls": False}, "text", []),
        ({"emit_tool_calls": "a"}, "text", ["a"]),
        ({"emit_tool_calls": ["b"]}, "text", ["b"]),
        ({"emit_tool_calls": False, "emit_messages": False}, "", []),
    ],
)
async def test_a_policy_decides_what_of_a_model_call_is_shown(
    policy: dict[str, Any], shown: str, calls: list[str]
) -> None:
    events = await Page(speaking(ScriptedModel(script=[two_calls()]), **policy)).run("go")

    assert text(events) == shown
    assert [event.tool_call_name for event in of(ev.ToolCallStart, events)] == calls
    assert len(of(ev.ToolCallEnd, events)) == len(calls)


async def test_results_of_hidden_calls_are_hidden() -> None:
    model = ScriptedModel(script=[call_parts("a", "1", "{}")])

    async def work(state: AgentState, config: RunnableConfig) -> dict[str, Any]:
        config = copilotkit_customize_config(config, emit_tool_calls=False)
        answer = await model.ainvoke(state["messages"], config)
        return {"messages": [answer, ToolMessage(content="secret", tool_call_id="1")]}

    assert not of(ev.ToolCallResult, await Page(one_node(work)).run("go"))


WRITE = [{"state_key": "doc", "tool": "write", "tool_argument": "text"}]


async def test_predicted_state_grows_with_the_arguments_and_stays_until_a_task_writes_it() -> None:
    model = ScriptedModel(script=[call_parts("write", "w1", '{"te', 'xt": "Once', " upon", ' a time"}')])

    async def draft(state: AgentState, config: RunnableConfig) -> dict[str, Any]:
        config = copilotkit_customize_config(config, emit_intermediate_state=WRITE, emit_tool_calls=False)
        return {"messages": [await model.ainvoke(state["messages"], config)], "progress": 1}

    def keep(_: AgentState) -> dict[str, Any]:
        return {"doc": "Once upon a time.", "messages": [ToolMessage(content="ok", tool_call_id="w1")]}

    graph = StateGraph(AgentState).add_node("draft", draft).add_node("keep", keep)
    graph.add_edge(START, "draft").add_edge("draft", "keep")
    events = await Page(graph.compile()).run("go", state={"progress": 0})

    assert states(events) == [
        {"progress": 0},
        {"progress": 0, "doc": "Once"},
        {"progress": 0, "doc": "Once upon"},
        {"progress": 0, "doc": "Once upon a time"},
        {"progress": 1, "doc": "Once upon a time"},
        {"progress": 1, "doc": "Once upon a time."},
    ]
    assert not of(ev.ToolCallStart, events)


async def test_a_prediction_that_nothing_made_true_is_gone_at_the_end() -> None:
    model = ScriptedModel(script=[call_parts("write", "w1", '{"text": "never"}')])
    events = await Page(speaking(model, emit_intermediate_state=WRITE)).run("go", state={"doc": "kept"})

    assert states(events) == [{"doc": "kept"}, {"doc": "never"}, {"doc": "kept"}]


async def test_without_a_named_argument_all_arguments_are_predicted() -> None:
    model = ScriptedModel(script=[call_parts("write", "w1", '{"text": "a", "tone": "b"}')])
    events = await Page(speaking(model, emit_intermediate_state=[{"state_key": "doc", "tool": "write"}])).run("go")

    assert {"doc": {"text": "a", "tone": "b"}} in states(events)


async def test_a_long_prediction_is_sent_in_linear_size() -> None:
    words = ["word "] * 4000
    model = ScriptedModel(script=[call_parts("write", "w1", '{"text": "', *words, '"}')])
    events = await Page(speaking(model, emit_intermediate_state=WRITE)).run("go")

    shown = [state["doc"] for state in states(events) if state.get("doc")]
    assert shown[-1] == "".join(words)
    assert sum(map(len, shown)) < 200 * len(shown[-1])


def agent(model: ScriptedModel, *tools: Any, **options: Any) -> Any:
    return create_agent(model, list(tools), middleware=[CopilotKitMiddleware()], **options)


async def test_the_middleware_offers_the_client_s_tools_and_context_to_the_model() -> None:
    model = ScriptedModel(script=[["ok"]])
    context = [ContextItem(description="The user's name", value="Ada")]
    await Page(agent(model)).run("hi", tools=[PAINT], context=context)

    assert [offered["function"]["name"] for offered in model.offered[0]] == ["paint"]
    assert "Ada" in model.seen[0][0].text


async def test_the_middleware_writes_nothing_of_the_runtime_s_into_the_prompt() -> None:
    model = ScriptedModel(script=[["ok"]])
    await Page(agent(model)).run("hi", tools=[PAINT])

    assert [message.type for message in model.seen[0]] == ["human"]


async def test_a_frontend_tool_is_called_answered_and_talked_about() -> None:
    model = ScriptedModel(script=[call_parts("paint", "p1", '{"color": "red"}'), ["It is red."]])
    page = Page(agent(model))
    events = await page.run("paint it", tools=[PAINT])

    (call,) = of(ev.ToolCallStart, events)
    assert (call.tool_call_id, call.tool_call_name) == ("p1", "paint")
    assert not of(ev.ToolCallResult, events)

    loaded = await page.state()
    assert loaded is not None
    events = await page.run(*loaded.messages, result("p1", "paint", "done"), tools=[PAINT])
    assert text(events) == "It is red."
    assert [message.type for message in model.seen[1]] == ["human", "ai", "tool"]


async def test_a_frontend_and_a_backend_call_in_one_turn_are_both_done() -> None:
    @tool
    def weather(city: str) -> str:
        """Tells the weather."""
        return f"sunny in {city}"

    both = [*call_parts("weather", "w1", '{"city": "Ulm"}'), *call_parts("paint", "p1", "{}", index=1)]
    model = ScriptedModel(script=[both, ["Painted."], ["All done."]])
    page = Page(agent(model, weather))
    events = await page.run("go", tools=[PAINT])

    assert {event.tool_call_id for event in of(ev.ToolCallStart, events)} == {"w1", "p1"}
    assert [event.tool_call_id for event in of(ev.ToolCallResult, events)] == ["w1"]

    loaded = await page.state()
    assert loaded is not None
    answered = [*loaded.messages, result("p1", "paint", "painted")]
    events = await page.run(*answered, tools=[PAINT])
    asked = [m for m in model.seen[2] if isinstance(m, ToolMessage)]
    assert sorted((m.tool_call_id, m.content) for m in asked) == [("p1", "painted"), ("w1", "sunny in Ulm")]

    await page.run(*answered, "and now?", tools=[PAINT])
    assert len([m for m in model.seen[-1] if isinstance(m, ToolMessage)]) == 2


async def test_a_subgraph_s_middleware_finds_the_client_s_tools() -> None:
    model = ScriptedModel(script=[["ok"]])
    graph = StateGraph(CopilotKitState).add_node("team", agent(model)).add_edge(START, "team").compile()
    await Page(graph).run("hi", tools=[PAINT])

    assert [offered["function"]["name"] for offered in model.offered[0]] == ["paint"]


async def test_a_tool_writes_predicted_state_with_a_command() -> None:
    from copilotkit import StateItem, StateStreamingMiddleware  # type: ignore[attr-defined]
    from langchain.agents import AgentState as BaseAgentState

    class DocState(BaseAgentState):  # type: ignore[type-arg]
        doc: str

    @tool
    def write(text: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> Command[Any]:
        """Writes the document."""
        return Command(update={"doc": text, "messages": [ToolMessage("ok", tool_call_id=tool_call_id)]})

    model = ScriptedModel(script=[call_parts("write", "w1", '{"text": "He', 'llo"}'), ["Written."]])
    streaming = StateStreamingMiddleware(StateItem(state_key="doc", tool="write", tool_argument="text"))
    graph = create_agent(model, [write], middleware=[streaming], state_schema=DocState)
    shown = [state.get("doc") for state in states(await Page(graph).run("go"))]

    assert shown == ["He", "Hello"]


async def test_a_custom_event_of_the_agent_s_own_keeps_its_name_and_place() -> None:
    from langchain_core.callbacks import adispatch_custom_event

    model = ScriptedModel(script=[["ab"], ["cd"]])

    async def work(_: AgentState, config: RunnableConfig) -> dict[str, Any]:
        await model.ainvoke("1", config)
        await adispatch_custom_event("progress", {"percent": 50}, config=config)
        await model.ainvoke("2", config)
        return {}

    events = await Page(one_node(work)).run(user("go"))
    order = [e for e in events if isinstance(e, (ev.TextMessageContent, ev.Custom))]
    assert [getattr(e, "delta", None) or e.name for e in order] == ["ab", "progress", "cd"]  # type: ignore[union-attr]


async def test_a_synchronous_node_dispatches_too() -> None:
    from langchain_core.callbacks import dispatch_custom_event

    def work(_: AgentState, config: RunnableConfig) -> dict[str, Any]:
        dispatch_custom_event("progress", 1, config=config)
        return {}

    assert of(ev.Custom, await Page(one_node(work)).run("go")) == [ev.Custom(name="progress", value=1)]
