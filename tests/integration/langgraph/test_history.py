from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, RemoveMessage, SystemMessage
from langgraph.graph import START, MessagesState, StateGraph
from typing_extensions import TypedDict

from copilotkit_runtime.runtime import events as ev
from copilotkit_runtime.runtime.agui_messages import messages_from_agui
from copilotkit_runtime.runtime.context import Tool
from copilotkit_runtime.runtime.messages import (
    AgentStateMessage,
    ImageMessage,
    Message,
    TextMessage,
    ToolCallMessage,
)
from copilotkit_runtime.runtime.stores.interface import AgentState
from tests.integration.langgraph.scripted_model import (
    Page,
    ScriptedModel,
    call_parts,
    of,
    result,
    states,
    thread,
    user,
)


class LogState(MessagesState):
    log: Annotated[list[str], operator.add]


def echo(messages: Sequence[BaseMessage]) -> list[str]:
    return [f"re: {messages[-1].text}"]


def chat(script: Any = echo) -> tuple[Page, ScriptedModel]:
    model = ScriptedModel(script=[script])

    async def answer(state: LogState) -> dict[str, Any]:
        reply = await model.ainvoke(state["messages"])
        return {"messages": [reply], "log": [reply.text]}

    return Page(StateGraph(LogState).add_node("answer", answer).add_edge(START, "answer").compile()), model


async def history_of(page: Page) -> list[Message]:
    loaded = await page.state()
    assert loaded is not None
    return loaded.messages


async def test_only_what_the_checkpoint_lacks_is_added() -> None:
    page, _ = chat()
    await page.run("one")
    events = await page.run(*await history_of(page), "two")

    assert thread(events) == [("user", "one"), ("assistant", "re: one"), ("user", "two"), ("assistant", "re: two")]


async def test_a_client_that_lost_its_messages_does_not_rewind_the_thread() -> None:
    page, _ = chat()
    await page.run("one")
    assert len(thread(await page.run("two"))) == 4


async def test_the_client_s_own_instructions_do_not_enter_the_thread() -> None:
    page, model = chat()
    system = TextMessage(id="s", role="system", content="You are a copilot.")
    await page.run(system, "one")

    assert [message.type for message in model.seen[0]] == ["human"]


async def test_a_regenerated_turn_starts_from_the_state_before_it() -> None:
    page, _ = chat()
    await page.run("one")
    await page.run(*await history_of(page), "two")
    before = await history_of(page)
    events = await page.run(*before[:3], state=states(await page.run(*before))[-1])

    assert thread(events) == [("user", "one"), ("assistant", "re: one"), ("user", "two"), ("assistant", "re: two")]
    assert states(events)[-1] == {"log": ["re: one", "re: two"]}
    assert [message.id for message in await history_of(page)][:3] == [message.id for message in before][:3]


async def test_the_first_turn_can_be_regenerated() -> None:
    page, _ = chat()
    await page.run("one")
    await page.run(*await history_of(page), "two")
    events = await page.run("one")

    assert thread(events) == [("user", "one"), ("assistant", "re: one")]
    assert states(events)[-1] == {"log": ["re: one"]}


async def test_an_edited_message_starts_its_turn_over() -> None:
    page, _ = chat()
    await page.run("one")
    await page.run(*await history_of(page), user("two", "second"))
    kept = (await history_of(page))[:2]
    events = await page.run(*kept, user("2", "second"))

    assert thread(events) == [("user", "one"), ("assistant", "re: one"), ("user", "2"), ("assistant", "re: 2")]
    assert states(events)[-1] == {"log": ["re: one", "re: 2"]}


async def test_the_same_list_again_changes_nothing_in_the_thread() -> None:
    page, _ = chat()
    await page.run("one")
    known = await history_of(page)
    events = await page.run(*known)

    assert thread(events)[:2] == [("user", "one"), ("assistant", "re: one")]


async def test_state_that_the_client_only_echoes_is_not_reduced_again() -> None:
    page, _ = chat()
    state = states(await page.run("one"))[-1]
    assert states(await page.run(*await history_of(page), "two", state=state))[-1] == {"log": ["re: one", "re: two"]}


async def test_state_that_the_client_changed_replaces_the_graph_s() -> None:
    page, _ = chat()
    await page.run("one")
    events = await page.run(*await history_of(page), "two", state={"log": ["edited"]})
    assert states(events)[-1] == {"log": ["edited", "re: two"]}


async def test_messages_that_the_graph_removes_are_gone_for_the_client() -> None:
    def forget(state: MessagesState) -> dict[str, Any]:
        return {"messages": [RemoveMessage(id=str(state["messages"][0].id)), AIMessage(content="forgot")]}

    page = Page(StateGraph(MessagesState).add_node(forget).add_edge(START, "forget").compile())
    assert thread(await page.run("one")) == [("assistant", "forgot")]
    assert thread(await page.run("one", "two"))[-1] == ("assistant", "forgot")


async def test_agent_states_in_the_list_are_no_messages() -> None:
    page, model = chat()
    shown = AgentStateMessage(
        thread_id="t", agent_name="a", node_name="n", run_id="r", active=True, running=True, role="assistant", state={}
    )
    await page.run("one", shown)
    assert len(model.seen[0]) == 1


async def test_messages_of_another_agent_on_the_thread_are_handed_over_in_order() -> None:
    page, model = chat()
    said: list[Message | str] = [
        "help",
        TextMessage(id="a1", role="assistant", content="I pass you on."),
        ToolCallMessage(id="c1", name="route", arguments={"to": "agent"}, parent_message_id="a1"),
        result("c1", "route", "ok"),
        "thanks",
    ]
    await page.run(*said)

    assert [message.type for message in model.seen[0]] == ["human", "ai", "tool", "human"]
    handed = model.seen[0][1]
    assert isinstance(handed, AIMessage)
    assert handed.tool_calls[0]["args"] == {"to": "agent"}


async def test_a_second_result_for_a_call_is_dropped() -> None:
    page, model = chat(lambda messages: call_parts("paint", "p1", "{}") if len(messages) == 1 else ["ok"])
    await page.run("go", tools=[Tool(name="paint", description="", parameters={})])
    answered = [*await history_of(page), result("p1", "paint", "red")]
    await page.run(*answered)
    again = result("p1", "paint", "blue")
    again.id = "other"
    await page.run(*answered, again, "and?")

    assert [m.text for m in model.seen[-1] if m.type == "tool"] == ["red"]


async def test_a_late_result_goes_right_behind_its_call() -> None:
    page, model = chat(lambda messages: call_parts("paint", "p1", "{}") if len(messages) == 1 else ["ok"])
    await page.run("go")
    called = await history_of(page)
    await page.run(*called, "still there?")
    latest = await history_of(page)
    await page.run(*latest, result("p1", "paint", "red"))

    assert [message.type for message in model.seen[-1]] == ["human", "ai", "tool", "human", "ai"]


async def test_a_call_that_nobody_answered_gets_a_result_until_the_real_one_comes() -> None:
    page, model = chat(lambda messages: call_parts("paint", "p1", "{}") if len(messages) == 1 else ["ok"])
    await page.run("go")
    await page.run(*await history_of(page), "still there?")
    assert [m.text for m in model.seen[-1] if m.type == "tool"] == ["The person went on without answering."]
    await page.run(*await history_of(page), result("p1", "paint", "red"))
    assert [m.text for m in model.seen[-1] if m.type == "tool"] == ["red"]


async def test_a_call_that_was_cut_off_by_the_stop_button_does_not_enter_the_thread() -> None:
    page, model = chat()
    text = TextMessage(id="a", role="assistant", content="I will")
    call = ToolCallMessage(id="c", name="paint", arguments={}, parent_message_id="a")
    await page.run("go", text, call, "rather not")

    assert [(m.type, m.text) for m in model.seen[0]] == [("human", "go"), ("ai", "I will"), ("human", "rather not")]
    assert not getattr(model.seen[0][1], "tool_calls", None)


async def test_images_travel_both_ways() -> None:
    page, model = chat()
    picture = ImageMessage(id="i1", role="user", format="png", bytes="QUJD")
    events = await page.run("look", picture)

    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    assert model.seen[0][1].content == [image]
    loaded = [message for message in await history_of(page) if isinstance(message, ImageMessage)]
    assert [(message.id, message.format, message.bytes) for message in loaded] == [("i1", "png", "QUJD")]
    shown = of(ev.MessagesSnapshot, events)[-1].messages[1]
    assert shown["content"] == [{"type": "binary", "mimeType": "image/png", "data": "QUJD"}]
    await page.run(*await history_of(page), "again")
    assert len([m for m in model.seen[-1] if m.type == "human"]) == 3


PARTS = [
    {"type": "text", "text": "what is"},
    {"type": "image", "source": {"type": "data", "value": "QUJD", "mimeType": "image/png"}},
    {"type": "text", "text": "and"},
    {"type": "document", "source": {"type": "data", "value": "QQ==", "mimeType": "application/pdf"}},
]


def with_text(text: str) -> list[Message]:
    """A user's message of several parts, the first of which is this text."""
    parts = [{"type": "text", "text": text}, *PARTS[1:]]
    return list(messages_from_agui([{"id": "u", "role": "user", "content": parts}]))


async def test_a_user_s_message_is_one_message_with_all_its_parts() -> None:
    page, model = chat()
    await page.run(*with_text("what is"))

    asked = [message for message in model.seen[0] if message.type == "human"]
    assert [message.id for message in asked] == ["u"]
    types = [part["type"] for part in asked[0].content if isinstance(part, dict)]
    assert types == ["text", "image_url", "text", "file"]
    known = await history_of(page)
    assert [message.id for message in known][:4] == ["u", "u-1", "u-2", "u-3"]
    await page.run(*known, "again")
    assert [message.id for message in model.seen[-1] if message.type == "human"] == ["u", "id of again"]


async def test_a_message_of_several_parts_that_comes_back_is_not_an_edit() -> None:
    page, model = chat(lambda messages: call_parts("paint", "p1", "{}") if len(messages) == 1 else ["ok"])
    await page.run(*with_text("what is"))
    await page.run(*await history_of(page), result("p1", "paint", "done"))

    assert [message.type for message in model.seen[-1]] == ["human", "ai", "tool"]


async def test_an_edit_of_a_text_keeps_the_other_parts() -> None:
    page, model = chat()
    await page.run(*with_text("what is"))
    await page.run(*with_text("who is"))

    asked = [message for message in model.seen[-1] if message.type == "human"]
    assert [message.id for message in asked] == ["u"]
    assert asked[0].text == "who isand"
    assert len(asked[0].content) == 4


async def test_a_message_of_several_parts_is_recognised_by_each_of_them() -> None:
    content: list[Any] = [
        {"type": "text", "text": "see"},
        {"type": "image", "source_type": "base64", "mime_type": "image/jpeg", "data": "QQ=="},
    ]

    def show(_: MessagesState) -> dict[str, Any]:
        return {"messages": [HumanMessage(id="both", content=content)]}

    page = Page(StateGraph(MessagesState).add_node(show).add_edge(START, "show").compile())
    await page.run("go")
    known = await history_of(page)
    assert [message.id for message in known] == ["id of go", "both", "both-1"]
    events = await page.run(*known, "more")
    assert len(of(ev.MessagesSnapshot, events)[-1].messages) == 3


async def test_developer_messages_stay_developer_messages() -> None:
    page, model = chat()
    await page.run("one", TextMessage(id="d", role="developer", content="Be brief."), "two")

    assert isinstance(model.seen[0][1], SystemMessage)
    assert [message.role for message in await history_of(page) if isinstance(message, TextMessage)][1] == "developer"


class Added(TypedDict):
    messages: Annotated[list[AnyMessage], operator.add]


class Listed(TypedDict):
    messages: list[AnyMessage]


@pytest.mark.parametrize("schema", [Added, Listed])
async def test_graphs_with_their_own_way_of_keeping_messages(schema: Any) -> None:
    def answer(state: Any) -> dict[str, Any]:
        reply = AIMessage(id=f"a{len(state['messages'])}", content=f"re: {state['messages'][-1].content}")
        return {"messages": [reply] if schema is Added else [*state["messages"], reply]}

    page = Page(StateGraph(schema).add_node("answer", answer).add_edge(START, "answer").compile())
    await page.run("one")
    events = await page.run(*await history_of(page), "two")
    assert thread(events) == [("user", "one"), ("assistant", "re: one"), ("user", "two"), ("assistant", "re: two")]


async def test_a_turn_of_a_saved_thread_without_earlier_checkpoints_is_regenerated_in_place() -> None:
    page, _ = chat()
    saved: list[Message] = [user("one"), TextMessage(id="a", role="assistant", content="old")]
    await page.provider.save_state("thread", "agent", AgentState(state={"log": ["old"]}, messages=saved))
    events = await page.run("one")

    assert thread(events) == [("user", "one"), ("assistant", "re: one")]
    assert states(events)[-1] == {"log": ["old", "re: one"]}


async def test_a_call_that_only_the_client_has_seen_goes_back_into_its_message() -> None:
    page, model = chat()
    await page.run("one")
    known = await history_of(page)
    call = ToolCallMessage(id="c", name="paint", arguments={}, parent_message_id=known[1].id)
    await page.run(*known, call, result("c", "paint", "red"))

    asked = model.seen[-1]
    assert [(message.type, message.text) for message in asked] == [("human", "one"), ("ai", "re: one"), ("tool", "red")]
    assert isinstance(asked[1], AIMessage)
    assert [each["id"] for each in asked[1].tool_calls] == ["c"]


class Counted(TypedDict):
    count: int


async def test_a_graph_without_messages_is_not_given_any() -> None:
    graph = StateGraph(Counted).add_node("n", lambda s: {"count": s["count"] + 1}).add_edge(START, "n")
    page = Page(graph.compile())
    events = await page.run("one", state={"count": 1})

    assert states(events)[-1] == {"count": 2}
    assert not of(ev.MessagesSnapshot, events)
