from __future__ import annotations

from typing import Any

import pytest
from copilotkit import CopilotKitState
from copilotkit.langgraph import copilotkit_interrupt
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt

from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.runtime import events as ev
from copilotkit_runtime.runtime.context import ContextItem, Resume
from copilotkit_runtime.runtime.messages import TextMessage, ToolCallMessage
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


class AskState(MessagesState):
    answers: list[Any]
    note: str


def asking(*questions: Any) -> Any:
    def ask(_: AskState) -> dict[str, Any]:
        answers = [interrupt(question) for question in questions]
        return {"answers": answers, "messages": [AIMessage(content=f"Got {answers}", id="a")]}

    return StateGraph(AskState).add_node("ask", ask).add_edge(START, "ask")


def answer(response: str | None, value: str = "", name: str = ev.INTERRUPT) -> list[Resume]:
    return [Resume(name=name, value=value, response=response)]


def asked(events: list[ev.Event]) -> list[Any]:
    return [event.value for event in of(ev.Custom, events)]


@pytest.mark.parametrize("question", ["Sure?", {"ask": "Sure?", "options": [1, None]}, ["a"], 7, True, None])
async def test_an_interrupt_of_any_json_value_reaches_the_client(question: Any) -> None:
    events = await Page(asking(question).compile()).run("go")
    assert of(ev.Custom, events) == [ev.Custom(name=ev.INTERRUPT, value=question)]


@pytest.mark.parametrize(
    ("response", "got"),
    [
        ("yes", "yes"),
        ("42", "42"),
        ("", ""),
        (None, ""),
        ('{"ok": true}', {"ok": True}),
        ("[1]", [1]),
        ("false", False),
        ("null", None),
        ("{not json", "{not json"),
    ],
)
async def test_the_answer_arrives_as_text_or_as_the_json_value_it_is(response: str | None, got: Any) -> None:
    page = Page(asking("Sure?").compile())
    await page.run("go")
    events = await page.run("go", resume=answer(response))

    assert states(events)[-1] == {"answers": [got]}
    assert text(events) == f"Got {[got]}"
    assert not asked(events)


async def test_a_second_question_of_the_same_node_follows_the_first() -> None:
    page = Page(asking("one?", "two?").compile())
    assert asked(await page.run("go")) == ["one?"]
    assert asked(await page.run("go", resume=answer("1"))) == ["two?"]
    assert states(await page.run("go", resume=answer("2")))[-1] == {"answers": ["1", "2"]}


def two_at_once() -> Any:
    graph = StateGraph(AskState)
    for name in ("left", "right"):

        def ask(_: AskState, name: str = name) -> dict[str, Any]:
            return {"messages": [AIMessage(content=f"{name}: {interrupt(f'{name}?')}")]}

        graph.add_node(name, ask).add_edge(START, name)
    return graph


async def test_several_interrupts_are_shown_and_answered_by_their_values() -> None:
    page = Page(two_at_once().compile())
    assert sorted(asked(await page.run("go"))) == ["left?", "right?"]

    events = await page.run("go", resume=[*answer("R", "right?"), *answer("L", "left?")])
    assert sorted(content for role, content in thread(events) if role == "assistant") == ["left: L", "right: R"]


async def test_of_several_interrupts_those_without_an_answer_are_repeated() -> None:
    page = Page(two_at_once().compile())
    await page.run("go")

    assert asked(await page.run("go", resume=answer("R", "right?"))) == ["left?"]
    events = await page.run("go", resume=answer("L"))
    assert sorted(content for role, content in thread(events) if role == "assistant") == ["left: L", "right: R"]


async def test_one_answer_may_name_all_interrupts_by_id() -> None:
    graph = two_at_once().compile(checkpointer=InMemorySaver())
    page = Page(graph)
    await page.run("go")
    snapshot = await graph.aget_state({"configurable": {"thread_id": "thread"}})
    ids = {each.value: each.id for each in snapshot.interrupts}

    events = await page.run("go", resume=answer(f'{{"{ids["left?"]}": "L", "{ids["right?"]}": "R"}}'))
    assert sorted(content for role, content in thread(events) if role == "assistant") == ["left: L", "right: R"]


async def test_an_interrupt_in_a_subgraph_is_reported_once_and_answered() -> None:
    graph = StateGraph(AskState).add_node("team", asking("Sure?").compile()).add_edge(START, "team")
    page = Page(graph.compile())

    assert asked(await page.run("go")) == ["Sure?"]
    assert states(await page.run("go", resume=answer("yes")))[-1] == {"answers": ["yes"]}


async def test_a_rerun_without_an_answer_repeats_the_question_and_runs_nothing() -> None:
    page = Page(asking("Sure?").compile())
    await page.run("go")
    events = await page.run("go")

    assert asked(events) == ["Sure?"]
    assert not of(ev.StepStarted, events)


async def test_a_new_message_instead_of_an_answer_starts_the_graph_again() -> None:
    page = Page(asking("Sure?").compile())
    await page.run("go")
    events = await page.run("go", "never mind")

    assert [event.step_name for event in of(ev.StepStarted, events)] == ["ask"]
    assert asked(events) == ["Sure?"]
    events = await page.run("go", "never mind", resume=answer("yes"))
    assert thread(events) == [("user", "go"), ("user", "never mind"), ("assistant", "Got ['yes']")]


async def test_an_edited_message_instead_of_an_answer_starts_its_turn_over() -> None:
    page = Page(asking("Sure?").compile())
    await page.run(user("go", "first"))
    events = await page.run(user("go!", "first"))

    assert of(ev.StepStarted, events)
    assert thread(events) == [("user", "go!")]


async def test_what_the_asking_node_sent_before_is_no_reason_to_start_again() -> None:
    model = ScriptedModel(script=[["Let me ask."]])

    async def ask(state: AskState) -> dict[str, Any]:
        said = await model.ainvoke(state["messages"])
        return {"answers": [interrupt("Sure?")], "messages": [said]}

    page = Page(StateGraph(AskState).add_node("ask", ask).add_edge(START, "ask").compile())
    (start,) = of(ev.TextMessageStart, await page.run("go"))
    said = TextMessage(id=start.message_id, role="assistant", content="Let me ask.")

    assert asked(events := await page.run("go", said)) == ["Sure?"]
    assert not of(ev.StepStarted, events)


async def test_an_answer_given_twice_changes_nothing_the_second_time() -> None:
    page = Page(asking("Sure?").compile())
    await page.run("go")
    first = await page.run("go", resume=answer("yes"))
    second = await page.run("go", resume=answer("no"))

    assert not of(ev.StepStarted, second)
    assert states(second)[-1] == states(first)[-1]
    assert thread(second) == thread(first)


async def test_an_answer_after_a_restart_goes_on_where_the_other_process_stopped() -> None:
    saver = InMemorySaver()
    await Page(asking("Sure?").compile(), checkpointer=saver).run("go")
    events = await Page(asking("Sure?").compile(), checkpointer=saver).run("go", resume=answer("yes"))

    assert states(events)[-1] == {"answers": ["yes"]}


async def test_state_that_the_client_changed_meanwhile_comes_with_the_answer() -> None:
    page = Page(asking("Sure?").compile())
    await page.run("go", state={"note": "old"})
    events = await page.run("go", state={"note": "new"}, resume=answer("yes"))

    assert states(events)[-1] == {"note": "new", "answers": ["yes"]}


def sdk_asking(**question: Any) -> Any:
    def ask(_: AskState) -> dict[str, Any]:
        text, response = copilotkit_interrupt(**question)
        return {"answers": [text, response]}

    return StateGraph(AskState).add_node("ask", ask).add_edge(START, "ask").compile()


def shown_question(event: ev.Custom) -> list[Any]:
    """The question as the page keeps it: among the thread's messages (react-core 1.10.6)."""
    return [
        TextMessage(id=each["id"], role="assistant", content=each["content"])
        if each["type"] == "TextMessage"
        else ToolCallMessage(
            id=each["id"],
            name=each["name"],
            arguments=each["arguments"],
            parent_message_id=each["parentMessageId"],
        )
        for each in event.value["messages"]
    ]


async def test_the_sdk_s_question_is_answered_by_the_next_message() -> None:
    page = Page(sdk_asking(message="Sure?"))
    (event,) = of(ev.Custom, await page.run("go"))

    assert event.name == ev.COPILOTKIT_INTERRUPT
    assert event.value["value"] == "Sure?"
    (question,) = shown_question(event)
    assert (question.role, question.content) == ("assistant", "Sure?")
    events = await page.run("go", question, "yes")
    assert states(events)[-1]["answers"][0] == "yes"
    assert thread(events) == [("user", "go"), ("assistant", "Sure?"), ("user", "yes")]
    assert not asked(events)


async def test_the_sdk_s_action_is_answered_by_its_result() -> None:
    page = Page(sdk_asking(action="confirm", args={"what": "all"}))
    (event,) = of(ev.Custom, await page.run("go"))

    assert event.value["value"] == '{"action":"confirm","args":{"what":"all"}}'
    (call,) = shown_question(event)
    assert (call.name, call.arguments) == ("confirm", {"what": "all"})
    events = await page.run("go", call, result(call.id, "confirm", '{"ok": true}'), node_name="ask")
    assert states(events)[-1]["answers"][0] == '{"ok": true}'
    assert [role for role, _ in thread(events)] == ["user", "assistant", "tool"]
    assert not asked(events)


async def test_the_node_gets_the_messages_that_answered_it() -> None:
    def ask(_: AskState) -> dict[str, Any]:
        answer, messages = copilotkit_interrupt(message="Which city?")
        return {"note": f"{answer}, {[type(message).__name__ for message in messages]}", "messages": messages}

    page = Page(StateGraph(AskState).add_node("ask", ask).add_edge(START, "ask").compile())
    (question,) = shown_question(of(ev.Custom, await page.run("go"))[0])
    events = await page.run("go", question, "Ulm")
    assert states(events)[-1] == {"note": "Ulm, ['AIMessage', 'HumanMessage']"}
    assert thread(events) == [("user", "go"), ("assistant", "Which city?"), ("user", "Ulm")]


async def test_the_sdk_s_questions_one_after_the_other() -> None:
    def ask(_: AskState) -> dict[str, Any]:
        return {"answers": [copilotkit_interrupt(message=each)[0] for each in ("Where?", "When?")]}

    page = Page(StateGraph(AskState).add_node("ask", ask).add_edge(START, "ask").compile())
    (where,) = shown_question(of(ev.Custom, await page.run("go"))[0])
    (when,) = shown_question(of(ev.Custom, await page.run("go", where, "Ulm"))[0])
    assert when.content == "When?"
    events = await page.run("go", where, "Ulm", when, "now")
    assert states(events)[-1] == {"answers": ["Ulm", "now"]}


async def test_the_sdk_s_question_is_repeated_until_it_is_answered() -> None:
    page = Page(sdk_asking(message="Sure?"))
    (question,) = shown_question(of(ev.Custom, await page.run("go"))[0])
    again = await page.run("go", question)
    assert [shown.content for shown in shown_question(of(ev.Custom, again)[0])] == ["Sure?"]
    assert not of(ev.StepStarted, again)


async def test_a_client_may_answer_the_sdk_s_question_by_a_meta_event_too() -> None:
    page = Page(sdk_asking(action="confirm"))
    await page.run("go")
    events = await page.run("go", resume=answer('{"ok": true}', "", ev.COPILOTKIT_INTERRUPT))
    assert states(events)[-1] == {"answers": ['{"ok": true}', {"ok": True}]}


def reviewed(*allowed: Any) -> tuple[Any, list[str]]:
    booked: list[str] = []

    @tool
    def book(city: str) -> str:
        """Books a trip."""
        booked.append(city)
        return f"booked {city}"

    script = [call_parts("book", "b1", '{"city": "Ulm"}'), ["Fine."]]
    review = HumanInTheLoopMiddleware({"book": {"allowed_decisions": list(allowed)}})
    return create_agent(ScriptedModel(script=script), [book], middleware=[review]), booked


@pytest.mark.parametrize("word", ["approve", " Approve ", "yes", "true", '{"type": "approve"}'])
async def test_a_review_is_answered_by_a_word(word: str) -> None:
    graph, booked = reviewed("approve", "edit", "reject")
    page = Page(graph)
    assert asked(await page.run("go"))[0]["action_requests"]
    assert text(await page.run("go", resume=answer(word))) == "Fine."
    assert booked == ["Ulm"]


async def test_a_review_is_answered_by_a_typed_message_too() -> None:
    graph, booked = reviewed("approve", "reject")
    page = Page(graph)
    await page.run("go")
    events = await page.run("go", "reject: too far")
    assert text(events) == "Fine."
    assert booked == []
    assert "too far" in of(ev.ToolCallResult, events)[0].content


async def test_a_message_that_is_not_a_decision_starts_the_graph_again() -> None:
    graph, booked = reviewed("approve", "reject")
    page = Page(graph)
    await page.run("go")
    assert text(await page.run("go", "to Graz, please")) == "Fine."
    assert booked == []


def booking() -> tuple[Any, ScriptedModel]:
    @tool
    def book(city: str) -> str:
        """Books a trip."""
        return f"{city}: {interrupt(f'Book {city}?')}"

    model = ScriptedModel(script=[call_parts("book", "b1", '{"city": "Ulm"}'), ["Fine."]])
    return create_agent(model, [book]), model


async def test_an_interrupt_inside_a_tool_is_answered() -> None:
    graph, _ = booking()
    page = Page(graph)
    assert asked(await page.run("go")) == ["Book Ulm?"]
    events = await page.run("go", resume=answer("booked"))

    assert [event.content for event in of(ev.ToolCallResult, events)] == ["Ulm: booked"]
    assert text(events) == "Fine."


async def test_a_call_whose_interrupt_is_ignored_gets_a_result_so_that_vendors_accept_the_thread() -> None:
    graph, model = booking()
    page = Page(graph)
    await page.run("go")
    assert text(await page.run("go", "rather not")) == "Fine."

    kinds = [message.type for message in model.seen[1]]
    assert kinds == ["human", "ai", "tool", "human"]
    assert isinstance(model.seen[1][2], ToolMessage)


async def test_a_static_breakpoint_goes_on_at_the_client_s_node_with_what_the_client_sends() -> None:
    async def draft(_: AskState) -> dict[str, Any]:
        return {"messages": [AIMessage(content="Draft")]}

    def send(state: AskState) -> dict[str, Any]:
        return {"answers": [state["messages"][-1].content], "note": state["note"] + "!"}

    graph = StateGraph(AskState).add_node("draft", draft).add_node("send", send)
    graph.add_edge(START, "draft").add_edge("draft", "send")
    page = Page(graph.compile(interrupt_after=["draft"]))

    events = await page.run("go")
    assert [event.step_name for event in of(ev.StepStarted, events)] == ["draft"]
    assert not asked(events)
    loaded = await page.state()
    assert loaded is not None
    events = await page.run(*loaded.messages, "ok", state={"note": "sent"}, node_name="draft")
    assert [event.step_name for event in of(ev.StepStarted, events)] == ["send"]
    assert states(events)[-1] == {"note": "sent!", "answers": ["ok"]}


async def test_the_client_s_node_means_nothing_to_a_run_that_was_only_cut_off() -> None:
    failing = [True]

    def work(_: AskState) -> dict[str, Any]:
        if failing.pop():
            raise ConnectionError("gone")
        return {"note": "done"}

    page = Page(StateGraph(AskState).add_node("work", work).add_edge(START, "work").compile())
    with pytest.raises(ConnectionError):
        await page.run("go")
    failing.append(False)
    events = await page.run("go", user("again"), node_name="work")
    assert states(events)[-1] == {"note": "done"}


async def test_answers_of_one_agent_never_reach_another() -> None:
    provider = LangGraphProvider({"one": asking("one?").compile(), "two": asking("two?").compile()})
    one, two = Page(provider, "one"), Page(provider, "two")
    await one.run("go")
    assert asked(await two.run("go")) == ["two?"]
    await one.run("go", resume=answer("1"))
    assert states(await two.run("go", resume=answer("2")))[-1] == {"answers": ["2"]}


class PageState(CopilotKitState):
    """Holds the page's context in a key that takes one value a step."""

    answers: list[Any]


async def test_two_answers_in_one_node_arrive_though_the_clients_context_changes_before_each() -> None:
    def ask(_: PageState) -> dict[str, Any]:
        answers = [interrupt("first?"), interrupt("second?")]
        return {"answers": answers, "messages": [AIMessage(content=f"Got {answers}", id="a")]}

    page = Page(StateGraph(PageState).add_node("ask", ask).add_edge(START, "ask").compile())
    for number, resume in enumerate(([], answer("one"), answer("two"))):
        context = [ContextItem(description="clock", value=str(number))]
        events = await page.run("go", resume=resume, context=context)
    assert text(events) == "Got ['one', 'two']"
