"""Agents of the shapes that CopilotKit's own examples had around 1.10, with the real SDK and model clients."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import pytest
from copilotkit import CopilotKitState
from copilotkit.langgraph import (
    copilotkit_customize_config,
    copilotkit_emit_message,
    copilotkit_emit_state,
    copilotkit_exit,
    copilotkit_interrupt,
)
from langchain_core.messages import AIMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

from copilotkit_runtime.providers.langgraph import LangGraphProvider
from copilotkit_runtime.runtime import events as ev
from copilotkit_runtime.runtime.context import Tool
from copilotkit_runtime.runtime.messages import Message, ToolCallMessage
from tests.integration.langgraph.openai_server import OpenAIServer, call, openai_server, say
from tests.integration.langgraph.scripted_model import Page, of, result, states, text, thread, user


@pytest.fixture
async def vendor() -> AsyncIterator[Callable[..., tuple[ChatOpenAI, OpenAIServer]]]:
    """A chat model whose vendor answers with one scripted reply a request."""
    replies: list[Any] = []
    async with openai_server(lambda _: replies.pop(0)) as (server, url):

        def build(*script: Any) -> tuple[ChatOpenAI, OpenAIServer]:
            replies.extend(script)
            return ChatOpenAI(model="m", base_url=url, api_key="k", max_retries=0), server  # type: ignore[arg-type]

        yield build


# The research canvas: predicted report, logs emitted while a node works, a breakpoint before resources go.


class Canvas(CopilotKitState):
    research_question: str
    report: str
    resources: list[dict[str, Any]]
    logs: list[dict[str, Any]]


@tool
def Search(queries: list[str]) -> None:  # noqa: N802 - the model calls it so
    """Searches for resources."""


@tool
def WriteReport(report: str) -> None:  # noqa: N802 - the model calls it so
    """Writes the report."""


@tool
def DeleteResources(urls: list[str]) -> None:  # noqa: N802 - the model calls it so
    """Deletes resources."""


def research_canvas(model: ChatOpenAI) -> Any:
    async def chat_node(
        state: Canvas, config: RunnableConfig
    ) -> Command[Literal["search_node", "chat_node", "delete_node", "__end__"]]:
        predictions = [{"state_key": "report", "tool": "WriteReport", "tool_argument": "report"}]
        config = copilotkit_customize_config(
            config, emit_intermediate_state=predictions, emit_tool_calls="DeleteResources"
        )
        bound = model.bind_tools([Search, WriteReport, DeleteResources], parallel_tool_calls=False)
        system = SystemMessage(content=f"Report so far: {state.get('report', '')}")
        answer = await bound.ainvoke([system, *state["messages"]], config)
        if not answer.tool_calls:
            return Command(goto=END, update={"messages": [answer]})
        called = answer.tool_calls[0]
        if called["name"] == "WriteReport":
            done = ToolMessage(tool_call_id=called["id"], content="Report written.")
            update = {"report": called["args"]["report"], "messages": [answer, done]}
            return Command(goto="chat_node", update=update)
        goto = "search_node" if called["name"] == "Search" else "delete_node"
        return Command(goto=goto, update={"messages": [answer]})

    async def search_node(state: Canvas, config: RunnableConfig) -> dict[str, Any]:
        asked = state["messages"][-1]
        assert isinstance(asked, AIMessage)
        state["logs"] = [{"message": query, "done": False} for query in asked.tool_calls[0]["args"]["queries"]]
        await copilotkit_emit_state(config, state)
        for log in state["logs"]:
            log["done"] = True
            await copilotkit_emit_state(config, state)
        found = ToolMessage(tool_call_id=asked.tool_calls[0]["id"], content="Found one.")
        return {"messages": [found], "resources": [{"url": "https://example.org"}], "logs": []}

    async def delete_node(_: Canvas) -> dict[str, Any]:
        return {}

    async def perform_delete_node(state: Canvas) -> dict[str, Any]:
        answer, asked = state["messages"][-1], state["messages"][-2]
        assert isinstance(asked, AIMessage)
        urls = asked.tool_calls[0]["args"]["urls"]
        kept = [r for r in state["resources"] if answer.content != "YES" or r["url"] not in urls]
        return {"resources": kept}

    graph = StateGraph(Canvas).add_node(chat_node).add_node(search_node)
    graph.add_node(delete_node).add_node(perform_delete_node)
    graph.add_edge(START, "chat_node").add_edge("search_node", "chat_node")
    graph.add_edge("delete_node", "perform_delete_node").add_edge("perform_delete_node", "chat_node")
    return graph.compile(interrupt_after=["delete_node"])


async def test_the_research_canvas(vendor: Any) -> None:
    model, server = vendor(
        call("Search", "s1", '{"queries": ["cats"', ', "dogs"]}'),
        call("WriteReport", "w1", '{"report": "Cats', " and dogs", '."}'),
        say("Here is ", "the report."),
        call("DeleteResources", "d1", '{"urls": ["https://example.org"]}'),
        say("Deleted."),
    )
    page = Page(research_canvas(model))
    start = {"research_question": "pets", "report": "", "resources": [], "logs": []}
    events = await page.run("research pets", state=start)
    shown = states(events)

    assert [state["logs"] for state in shown if state["logs"]] == [
        [{"message": "cats", "done": False}, {"message": "dogs", "done": False}],
        [{"message": "cats", "done": True}, {"message": "dogs", "done": False}],
        [{"message": "cats", "done": True}, {"message": "dogs", "done": True}],
    ]
    assert [state["report"] for state in shown if state["report"]] == ["Cats", "Cats and dogs", "Cats and dogs."]
    assert shown[-1]["resources"] == [{"url": "https://example.org"}]
    assert not of(ev.ToolCallStart, events)
    assert text(events) == "Here is the report."

    loaded = await page.state()
    assert loaded is not None
    events = await page.run(*loaded.messages, "delete it", state=shown[-1])
    (asked,) = of(ev.ToolCallStart, events)
    assert asked.tool_call_name == "DeleteResources"
    assert states(events)[-1]["resources"]

    loaded = await page.state()
    assert loaded is not None
    answered: list[Message] = [*loaded.messages, result("d1", "DeleteResources", "YES")]
    events = await page.run(*answered, state=states(events)[-1], node_name="delete_node")
    assert [event.step_name for event in of(ev.StepStarted, events)] == ["perform_delete_node", "chat_node"]
    assert states(events)[-1]["resources"] == []
    assert text(events) == "Deleted."
    assert [message["role"] for message in server.requests[-1]["messages"]][-2:] == ["assistant", "tool"]


# The e-mail agent: the model drafts, the person decides; once as a frontend action, once as an interrupt.


class Mail(CopilotKitState):
    sent: str


EMAIL = Tool(name="EmailTool", description="Shows a draft.", parameters={"type": "object", "properties": {}})


def email_agent(model: ChatOpenAI) -> Any:
    async def email_node(state: Mail, config: RunnableConfig) -> dict[str, Any]:
        config = copilotkit_customize_config(config, emit_tool_calls=True)
        bound = model.bind_tools(state["copilotkit"]["actions"], tool_choice="EmailTool")
        return {"messages": [await bound.ainvoke(state["messages"], config)]}

    async def send_email_node(state: Mail, config: RunnableConfig) -> dict[str, Any]:
        verdict = state["messages"][-1]
        said = "Sent." if verdict.content == "SEND" else "Dropped."
        await copilotkit_emit_message(config, said)
        return {"messages": [AIMessage(content=said)], "sent": str(verdict.content)}

    graph = StateGraph(Mail).add_node(email_node).add_node(send_email_node)
    graph.add_edge(START, "email_node").add_edge("email_node", "send_email_node")
    return graph.compile(interrupt_after=["email_node"])


@pytest.mark.parametrize(("verdict", "said"), [("SEND", "Sent."), ("CANCEL", "Dropped.")])
async def test_the_email_agent_with_a_frontend_action(vendor: Any, verdict: str, said: str) -> None:
    model, _ = vendor(call("EmailTool", "e1", '{"the_email": ', '"Dear Ada"}'))
    page = Page(email_agent(model))
    events = await page.run("write to Ada", tools=[EMAIL])
    assert "".join(event.delta for event in of(ev.ToolCallArgs, events)) == '{"the_email": "Dear Ada"}'

    loaded = await page.state()
    assert loaded is not None
    answered = [*loaded.messages, result("e1", "EmailTool", verdict)]
    events = await page.run(*answered, tools=[EMAIL], node_name="email_node")
    assert text(events) == said
    assert states(events)[-1] == {"sent": verdict}
    assert [role for role, _ in thread(events)] == ["user", "assistant", "tool", "assistant"]


async def test_the_email_agent_with_an_interrupt(vendor: Any) -> None:
    model, _ = vendor(say("Dear Ada"))

    async def draft(state: Mail, config: RunnableConfig) -> dict[str, Any]:
        config = copilotkit_customize_config(config, emit_messages=False)
        return {"messages": [await model.ainvoke(state["messages"], config)]}

    async def ask(state: Mail) -> dict[str, Any]:
        args = {"the_email": state["messages"][-1].text}
        verdict, _ = copilotkit_interrupt(action="EmailTool", args=args)
        return {"sent": verdict, "messages": [AIMessage(content=verdict)]}

    graph = StateGraph(Mail).add_node(draft).add_node(ask).add_edge(START, "draft").add_edge("draft", "ask")
    page = Page(graph.compile())
    events = await page.run("write to Ada")
    assert text(events) == ""
    (asked,) = of(ev.Custom, events)
    args = {"the_email": "Dear Ada"}
    assert json.loads(asked.value["value"]) == {"action": "EmailTool", "args": args}

    (shown,) = asked.value["messages"]
    call = ToolCallMessage(id=shown["id"], name="EmailTool", arguments=args, parent_message_id=shown["parentMessageId"])
    loaded = await page.state()
    assert loaded is not None
    events = await page.run(*loaded.messages, call, result(call.id, "EmailTool", "SEND"), node_name="ask")
    assert states(events)[-1] == {"sent": "SEND"}
    assert text(events) == "SEND"


# Routing: agents of one provider and one thread hand the conversation over.


class Talk(CopilotKitState):
    joke: str


def router(model: ChatOpenAI) -> Any:
    async def route(state: Talk, config: RunnableConfig) -> dict[str, Any]:
        bound = model.bind_tools(state["copilotkit"]["actions"])
        answer = await bound.ainvoke(state["messages"], config)
        await copilotkit_exit(config)
        return {"messages": [answer]}

    return StateGraph(Talk).add_node(route).add_edge(START, "route").compile()


def joker(model: ChatOpenAI) -> Any:
    async def joke_node(state: Talk, config: RunnableConfig) -> dict[str, Any]:
        answer = await model.ainvoke(state["messages"], config)
        await copilotkit_exit(config)
        return {"messages": [answer], "joke": answer.text}

    return StateGraph(Talk).add_node(joke_node).add_edge(START, "joke_node").compile()


async def test_routing_hands_the_thread_from_agent_to_agent(vendor: Any) -> None:
    model, server = vendor(call("hand_over", "h1", '{"to": "joker"}'), say("Knock, knock."), say("Welcome back."))
    provider = LangGraphProvider({"router": router(model), "joker": joker(model)})
    first, second = Page(provider, "router"), Page(provider, "joker")
    hand_over = Tool(name="hand_over", description="", parameters={"type": "object", "properties": {}})

    events = await first.run("a joke!", tools=[hand_over])
    assert [event.tool_call_name for event in of(ev.ToolCallStart, events)] == ["hand_over"]
    assert ev.Custom(name=ev.EXIT, value={}) in events
    loaded = await first.state()
    assert loaded is not None

    events = await second.run(*loaded.messages, result("h1", "hand_over", "done"))
    assert text(events) == "Knock, knock."
    assert states(events)[-1] == {"joke": "Knock, knock."}
    assert [message["role"] for message in server.requests[1]["messages"]] == ["user", "assistant", "tool"]

    told = await second.state()
    assert told is not None
    events = await first.run(*told.messages, user("thanks"), tools=[hand_over])
    assert text(events) == "Welcome back."
    roles = [message["role"] for message in server.requests[2]["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]
    assert "joke" not in states(events)[-1] if states(events) else True


# The AI researcher: steps predicted from a forced tool call, then worked off with emitted state.


class Research(CopilotKitState):
    steps: list[dict[str, Any]]
    answer: str


@tool
def SearchTool(steps: list[dict[str, Any]]) -> None:  # noqa: N802 - the model calls it so
    """Plans the search."""


def ai_researcher(model: ChatOpenAI) -> Any:
    async def steps_node(state: Research, config: RunnableConfig) -> dict[str, Any]:
        predictions = [{"state_key": "steps", "tool": "SearchTool", "tool_argument": "steps"}]
        config = copilotkit_customize_config(config, emit_intermediate_state=predictions, emit_tool_calls=False)
        bound = model.bind_tools([SearchTool], tool_choice="SearchTool")
        answer = await bound.ainvoke(state["messages"], config)
        steps = [{**step, "status": "pending"} for step in answer.tool_calls[0]["args"]["steps"]]
        done = ToolMessage(content="planned", tool_call_id=answer.tool_calls[0]["id"])
        return {"steps": steps, "messages": [answer, done]}

    async def search_node(state: Research, config: RunnableConfig) -> dict[str, Any]:
        step = next(step for step in state["steps"] if step["status"] == "pending")
        step["updates"] = ["Searching"]
        await copilotkit_emit_state(config, state)
        step["status"] = "complete"
        return {"steps": state["steps"]}

    def more(state: Research) -> str:
        pending = any(step["status"] == "pending" for step in state["steps"])
        return "search_node" if pending else "summarize_node"

    async def summarize_node(state: Research, config: RunnableConfig) -> dict[str, Any]:
        config = copilotkit_customize_config(config, emit_messages=True)
        answer = await model.ainvoke(state["messages"], config)
        return {"answer": answer.text, "messages": [answer]}

    graph = StateGraph(Research).add_node(steps_node).add_node(search_node).add_node(summarize_node)
    graph.add_edge(START, "steps_node").add_edge("steps_node", "search_node")
    graph.add_conditional_edges("search_node", more, ["search_node", "summarize_node"])
    return graph.compile()


async def test_the_ai_researcher(vendor: Any) -> None:
    plan = ['{"steps": [{"id": 1, "description": "look', ' up"}', ', {"id": 2, "description": "read"}]}']
    model, _ = vendor(call("SearchTool", "s1", *plan), say("All ", "done."))
    events = await Page(ai_researcher(model)).run("find out")
    shown = [state["steps"] for state in states(events) if state.get("steps")]

    assert shown[0] == [{"id": 1, "description": "look"}]
    assert [step["description"] for step in shown[2]] == ["look up", "read"]
    assert [step.get("status") for step in shown[3]] == ["pending", "pending"]
    assert shown[4][0]["updates"] == ["Searching"]
    assert shown[4][0]["status"] == "pending"
    assert [step["status"] for step in shown[-1]] == ["complete", "complete"]
    assert states(events)[-1]["answer"] == "All done."
    assert [event.step_name for event in of(ev.StepStarted, events)] == [
        "steps_node",
        "search_node",
        "search_node",
        "summarize_node",
    ]
    assert not of(ev.ToolCallStart, events)
    assert text(events) == "All done."
