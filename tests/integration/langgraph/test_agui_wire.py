"""Graphs over AG-UI: questions and their answers, threads that others made, and messages that no model streamed."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from tests.integration.langgraph.scripted_model import ScriptedModel
from tests.support.agui_client import PATH, connect, run, run_input, types_of, user
from tests.support.local_server import client_of


class AskState(MessagesState):
    answers: list[Any]


class CountState(MessagesState):
    count: Any


def ask(state: AskState) -> dict[str, Any]:
    """Ask, and say what was answered."""
    del state
    answer = interrupt({"question": "Sure?"})
    return {"answers": [answer], "messages": [AIMessage(content=f"Got {answer!r}", id="a")]}


def asking(saver: InMemorySaver | None = None) -> Any:
    """A graph that asks."""
    return StateGraph(AskState).add_node("ask", ask).add_edge(START, "ask").compile(checkpointer=saver)


def served(graph: Any) -> CopilotRuntime:
    return CopilotRuntime(providers=[LangGraphProvider({"asker": graph})])


def texts(events: list[dict[str, Any]]) -> list[str]:
    return [event["delta"] for event in events if event["type"] == "TEXT_MESSAGE_CONTENT"]


ASKED = {"type": "CUSTOM", "name": "on_interrupt", "value": {"question": "Sure?"}}


@pytest.mark.parametrize("answer", [False, None, "", "true", True, {"ok": [1]}, 0])
@pytest.mark.parametrize("standard", [False, True])
async def test_an_answer_reaches_the_graph_as_it_is(answer: Any, standard: bool) -> None:
    async with client_of(served(asking())) as client:
        first = await run(client, "asker", run_input(user("go")))
        assert first[-2] == ASKED
        more: dict[str, Any] = {"forwardedProps": {"command": {"resume": answer, "interruptEvent": first[-2]["value"]}}}
        if standard:
            more = {"resume": [{"interruptId": "?", "status": "resolved", "payload": answer}]}
        second = await run(client, "asker", run_input(user("go"), **more))
        assert texts(second) == [f"Got {answer!r}"]
        assert [event for event in await connect(client, "asker") if event["type"] == "CUSTOM"] == [ASKED]


async def test_a_number_of_a_page_that_64_bits_do_not_hold_is_kept_as_javascript_has_it() -> None:
    def answer(state: CountState) -> dict[str, Any]:
        return {"messages": [AIMessage(content=repr(state["count"]), id="a")]}

    graph = StateGraph(CountState).add_node("answer", answer).add_edge(START, "answer").compile()
    async with client_of(served(graph)) as client:
        events = await run(client, "asker", run_input(user("go"), state={"count": [2**64, 2**63]}))
        assert texts(events) == [repr([float(2**64), 2**63])]
        assert types_of(await connect(client, "asker"))[-1] == "RUN_FINISHED"


async def test_a_text_that_a_later_node_corrects_is_corrected_wherever_it_is_shown() -> None:
    model = ScriptedModel(script=[["The code is ", "1234."]])

    async def answer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    def redact(state: MessagesState) -> dict[str, Any]:
        last = state["messages"][-1]
        return {"messages": [AIMessage(str(last.content).replace("1234", "[hidden]"), id=last.id)]}

    nodes = StateGraph(MessagesState).add_node("answer", answer).add_node("redact", redact)
    graph = nodes.add_edge(START, "answer").add_edge("answer", "redact").compile(checkpointer=InMemorySaver())
    async with client_of(served(graph)) as client:
        live = await run(client, "asker", run_input(user("go")))
        corrected = [event["messages"][-1]["content"] for event in live if event["type"] == "MESSAGES_SNAPSHOT"]
        assert corrected == ["The code is [hidden]."]
        assert texts(await connect(client, "asker")) == corrected
        for kept in ("messages", "events"):
            shown = (await client.get(f"{PATH}/threads/t/{kept}")).text
            assert "[hidden]" in shown
            assert "1234" not in shown


async def test_an_open_question_of_a_foreign_thread_is_sent() -> None:
    saver = InMemorySaver()
    await asking(saver).ainvoke({"messages": [HumanMessage("go", id="u")]}, {"configurable": {"thread_id": "t"}})
    async with client_of(served(asking(saver))) as client:
        events = await connect(client, "asker")
        assert types_of(events) == ["RUN_STARTED", "MESSAGES_SNAPSHOT", "CUSTOM", "RUN_FINISHED"]
        assert events[-2] == ASKED
        answered = await run(client, "asker", run_input(forwardedProps={"command": {"resume": "yes"}}))
        assert texts(answered) == ["Got 'yes'"]


async def test_a_client_that_sends_only_its_last_message_keeps_the_thread() -> None:
    def count(state: MessagesState) -> dict[str, Any]:
        said = len(state["messages"])
        return {"messages": [AIMessage(content=f"{said} so far", id=f"a{said}")]}

    graph = StateGraph(MessagesState).add_node("count", count).add_edge(START, "count").compile()
    async with client_of(served(graph)) as client:
        await run(client, "asker", run_input(user("one", "u1")))
        second = await run(client, "asker", run_input(user("two", "u2")))
        assert texts(second) == ["3 so far"]
        again = await connect(client, "asker")
        assert texts(again) == ["1 so far", "3 so far"]


async def test_a_second_answer_changes_nothing() -> None:
    async with client_of(served(asking())) as client:
        await run(client, "asker", run_input(user("go")))
        answer = run_input(user("go"), forwardedProps={"command": {"resume": "yes"}})
        assert texts(await run(client, "asker", answer)) == ["Got 'yes'"]
        answer["messages"].append({"id": "a", "role": "assistant", "content": "Got 'yes'"})
        again = await run(client, "asker", answer)
        assert texts(again) == []
        assert types_of(again)[-1] == "RUN_FINISHED"


async def test_what_a_person_does_on_a_surface_is_the_graph_s_next_turn() -> None:
    seen: list[list[str]] = []

    def draw(state: MessagesState) -> dict[str, Any]:
        seen.append([f"{message.type}:{message.text}" for message in state["messages"]])
        if len(seen) > 1:
            return {"messages": [AIMessage(content="Good choice.", id=f"a{len(seen)}")]}
        surface = {"surfaceId": "s", "components": [{"id": "root", "component": "Text", "text": "Hello"}]}
        call = {"name": "render_a2ui", "args": surface, "id": "c", "type": "tool_call"}
        return {"messages": [AIMessage(content="", id="a1", tool_calls=[call])]}

    graph = StateGraph(MessagesState).add_node("draw", draw).add_edge(START, "draw").compile(InMemorySaver())
    runtime = CopilotRuntime(providers=[LangGraphProvider({"asker": graph})], a2ui=True)
    async with client_of(runtime) as client:
        first = await run(client, "asker", run_input(user("Show me")))
        assert "ACTIVITY_SNAPSHOT" in types_of(first)
        [result] = [event for event in first if event["type"] == "TOOL_CALL_RESULT"]
        call = {"id": "c", "type": "function", "function": {"name": "render_a2ui", "arguments": "{}"}}
        thread = [
            user("Show me"),
            {"id": "a1", "role": "assistant", "toolCalls": [call]},
            {"id": result["messageId"], "role": "tool", "toolCallId": "c", "content": result["content"]},
        ]
        action = {"userAction": {"name": "press", "surfaceId": "s", "context": {}}}
        second = await run(client, "asker", run_input(*thread, forwardedProps={"a2uiAction": action}))
        assert texts(second) == ["Good choice."]
        third = await run(client, "asker", run_input(*thread, user("And now?", "u2")))
        assert texts(third) == ["Good choice."]
    assert seen[1][-2:] == ["ai:", 'tool:The user did "press" on the surface "s". Context: {}']
    assert 'tool:{"status":"rendered"}' in seen[1]
    assert seen[2][-1] == "human:And now?"
