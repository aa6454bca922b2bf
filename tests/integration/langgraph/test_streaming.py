from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langgraph.config import get_stream_writer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from copilotkit_runtime.runtime import events as ev
from copilotkit_runtime.runtime.context import RunContext, RunInput
from tests.integration.langgraph.scripted_model import Page, ScriptedModel, call_parts, of, states, text, thread, user


class CountingState(MessagesState):
    count: int


def chat_graph(model: Any) -> Any:
    async def chat(state: CountingState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])], "count": state.get("count", 0) + 1}

    return StateGraph(CountingState).add_node("chat", chat).add_edge(START, "chat").compile()


async def test_text_streams_as_the_model_sends_it() -> None:
    events = await Page(chat_graph(ScriptedModel(script=[["Hel", "lo", "!"]]))).run("hi")

    assert [event.delta for event in of(ev.TextMessageContent, events)] == ["Hel", "lo", "!"]
    assert len(of(ev.TextMessageStart, events)) == len(of(ev.TextMessageEnd, events)) == 1


async def test_a_node_is_entered_and_left_with_the_state_that_it_made() -> None:
    events = await Page(chat_graph(ScriptedModel(script=[["x"]]))).run("hi", state={"count": 4})
    steps = (ev.StepStarted, ev.StepFinished, ev.StateSnapshot)

    assert [event for event in events if isinstance(event, steps)] == [
        ev.StateSnapshot(snapshot={"count": 4}),
        ev.StepStarted(step_name="chat"),
        ev.StateSnapshot(snapshot={"count": 5}),
        ev.StepFinished(step_name="chat"),
    ]


async def test_the_run_ends_with_the_thread_as_the_graph_holds_it() -> None:
    events = await Page(chat_graph(ScriptedModel(script=[["Hello"]]))).run("hi")

    assert thread(events) == [("user", "hi"), ("assistant", "Hello")]
    assert of(ev.MessagesSnapshot, events)[-1].messages[1]["id"] == of(ev.TextMessageStart, events)[0].message_id


async def test_two_tool_calls_stream_their_arguments_side_by_side() -> None:
    first, second = call_parts("a", "1", '{"x"', ": 1}"), call_parts("b", "2", '{"y": ', "2}", index=1)
    reply = [part for pair in zip(first, second, strict=True) for part in pair]
    events = await Page(chat_graph(ScriptedModel(script=[reply]))).run("go")

    assert [event.tool_call_name for event in of(ev.ToolCallStart, events)] == ["a", "b"]
    arguments = [(event.tool_call_id, event.delta) for event in of(ev.ToolCallArgs, events)]
    assert arguments == [("1", '{"x"'), ("2", '{"y": '), ("1", ": 1}"), ("2", "2}")]
    assert [event.tool_call_id for event in of(ev.ToolCallEnd, events)] == ["1", "2"]


async def test_calls_that_all_claim_index_zero_stay_apart() -> None:
    parts = [*call_parts("a", "1", '{"x": 1}'), *call_parts("b", "2", '{"y": 2}')]
    events = await Page(chat_graph(ScriptedModel(script=[parts]))).run("go")

    arguments = [(event.tool_call_id, event.delta) for event in of(ev.ToolCallArgs, events)]
    assert arguments == [("1", '{"x": 1}'), ("2", '{"y": 2}')]


async def test_a_tool_result_names_the_call_it_answers() -> None:
    def weather(city: str) -> str:
        """Tells the weather."""
        return f"sunny in {city}"

    model = ScriptedModel(script=[call_parts("weather", "w1", '{"city": "Ulm"}')])

    async def chat(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState).add_node("chat", chat).add_node("tools", ToolNode([weather]))
    graph.add_edge(START, "chat").add_edge("chat", "tools")
    events = await Page(graph.compile()).run("weather?")

    (answer,) = of(ev.ToolCallResult, events)
    assert (answer.tool_call_id, answer.tool_call_name, answer.content) == ("w1", "weather", "sunny in Ulm")


async def test_a_model_that_cannot_stream_is_shown_whole() -> None:
    call = {"name": "a", "args": {"x": 1}, "id": "1"}
    model = FakeMessagesListChatModel(responses=[AIMessage(content="Done", tool_calls=[call])])
    events = await Page(chat_graph(model)).run("go")

    assert text(events) == "Done"
    assert [event.delta for event in of(ev.ToolCallArgs, events)] == ['{"x":1}']


async def test_a_message_that_a_node_only_returns_is_shown() -> None:
    graph = StateGraph(MessagesState).add_node("say", lambda _: {"messages": [AIMessage(content="as is")]})

    assert text(await Page(graph.add_edge(START, "say").compile()).run("go")) == "as is"


async def test_reasoning_is_sent_before_the_answer() -> None:
    thinking = AIMessageChunk(content=[{"type": "thinking", "thinking": "hm"}])
    answer = AIMessageChunk(content=[{"type": "text", "text": "42", "index": 1}])
    events = await Page(chat_graph(ScriptedModel(script=[[thinking, answer]]))).run("go")

    kinds = [type(event) for event in events if isinstance(event, (ev.ReasoningMessageContent, ev.ReasoningEnd))]
    assert kinds == [ev.ReasoningMessageContent, ev.ReasoningEnd]
    assert of(ev.ReasoningMessageContent, events)[0].delta == "hm"
    assert text(events) == "42"
    assert events.index(of(ev.ReasoningEnd, events)[0]) < events.index(of(ev.TextMessageStart, events)[0])


async def test_reasoning_beside_the_content_is_sent_too() -> None:
    thinking = AIMessageChunk(content="", additional_kwargs={"reasoning_content": "hm"})
    events = await Page(chat_graph(ScriptedModel(script=[[thinking, "42"]]))).run("go")

    assert of(ev.ReasoningMessageContent, events)[0].delta == "hm"
    assert text(events) == "42"


def nested(model: ScriptedModel) -> Any:
    inner = chat_graph(model)
    return StateGraph(CountingState).add_node("team", inner).add_edge(START, "team").compile()


async def test_a_subgraph_sends_text_within_the_root_s_node() -> None:
    events = await Page(nested(ScriptedModel(script=[["inner"]]))).run("hi")

    assert text(events) == "inner"
    assert [event.step_name for event in of(ev.StepStarted, events)] == ["team"]


@pytest.mark.parametrize("given", [{"config": {"streamSubgraphs": False}}, {}])
async def test_a_subgraph_can_be_hidden(given: dict[str, Any]) -> None:
    page = Page(nested(ScriptedModel(script=[["inner"]])), stream_subgraphs=bool(given))

    events = await page.run("hi", **given)
    assert text(events) == ""
    assert thread(events)[-1] == ("assistant", "inner")


async def test_parallel_nodes_of_one_name_are_one_step() -> None:
    from langgraph.types import Send

    graph = StateGraph(CountingState).add_node("work", lambda _: {})
    graph.add_conditional_edges(START, lambda _: [Send("work", {}), Send("work", {})])
    events = await Page(graph.compile()).run("hi")

    assert len(of(ev.StepStarted, events)) == len(of(ev.StepFinished, events)) == 1


async def test_what_a_node_writes_to_the_stream_is_passed_through() -> None:
    def work(_: Any) -> dict[str, Any]:
        get_stream_writer()({"progress": {1, 2}})
        return {}

    events = await Page(StateGraph(CountingState).add_node(work).add_edge(START, "work").compile()).run("hi")
    assert of(ev.Raw, events) == [ev.Raw(event={"progress": [1, 2]}, source="langgraph")]


async def test_an_error_of_a_node_is_raised_as_it_is_after_what_was_sent() -> None:
    model = ScriptedModel(script=[["half"]])

    async def chat(state: MessagesState) -> dict[str, Any]:
        await model.ainvoke(state["messages"])
        raise KeyError("broken")

    provider = Page(StateGraph(MessagesState).add_node(chat).add_edge(START, "chat").compile()).provider
    seen: list[ev.Event] = []

    async def read() -> None:
        async for event in provider.execute_run("agent", RunInput(thread_id="t", run_id="r"), RunContext()):
            seen.append(event)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(KeyError, match="broken") as caught:
        await read()
    assert text(seen) == "half"
    assert any("chat" in note for note in caught.value.__notes__)


async def test_closing_the_run_cancels_the_graph_at_once() -> None:
    cancelled = asyncio.Event()

    async def work(_: Any) -> dict[str, Any]:
        get_stream_writer()("working")
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return {}

    provider = Page(StateGraph(CountingState).add_node(work).add_edge(START, "work").compile()).provider
    run = provider.execute_run("agent", RunInput(thread_id="t", run_id="r", state={"count": 1}), RunContext())
    async for event in run:
        if isinstance(event, ev.Raw):
            break
    async with asyncio.timeout(10):
        await run.aclose()  # type: ignore[union-attr]
    assert cancelled.is_set()


async def test_a_run_may_be_closed_by_another_task() -> None:
    cancelled = asyncio.Event()

    async def work(_: Any) -> dict[str, Any]:
        get_stream_writer()("working")
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return {}

    provider = Page(StateGraph(CountingState).add_node(work).add_edge(START, "work").compile()).provider
    run = provider.execute_run("agent", RunInput(thread_id="t", run_id="r"), RunContext())

    async def read() -> None:
        async for event in run:
            if isinstance(event, ev.Raw):
                return

    await asyncio.create_task(read())
    await asyncio.create_task(run.aclose())  # type: ignore[union-attr]
    assert cancelled.is_set()


async def test_cancelling_the_task_that_reads_cancels_the_graph_at_once() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def work(_: Any) -> dict[str, Any]:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return {}

    page = Page(StateGraph(CountingState).add_node(work).add_edge(START, "work").compile())
    task = asyncio.create_task(page.run("hi"))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled.is_set()


async def test_callbacks_that_the_author_put_on_a_graph_are_kept() -> None:
    class Counter(BaseCallbackHandler):
        ends = 0

        def on_chain_end(self, *_: Any, **__: Any) -> None:
            self.ends += 1

    counter = Counter()
    graph = chat_graph(ScriptedModel(script=[["x"]])).with_config(callbacks=[counter], recursion_limit=7)
    await Page(graph).run("hi")
    assert counter.ends


async def test_results_of_a_returned_tool_message_are_shown_with_their_content_as_json() -> None:
    blocks = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}]
    reply = ToolMessage(content=blocks, tool_call_id="1", name="look")  # type: ignore[arg-type]
    graph = StateGraph(MessagesState).add_node("say", lambda _: {"messages": [reply]})
    (answer,) = of(ev.ToolCallResult, await Page(graph.add_edge(START, "say").compile()).run(user("go")))

    assert answer.tool_call_name == "look"
    assert answer.content.startswith('[{"type":"text","text":"a"},{"type":"image_url"')


async def test_states_that_do_not_change_are_not_sent_again() -> None:
    graph = StateGraph(CountingState).add_node("one", lambda _: {}).add_node("two", lambda _: {})
    graph.add_edge(START, "one").add_edge("one", "two")

    assert states(await Page(graph.compile()).run("hi", state={"count": 1})) == [{"count": 1}]
