"""Several questions of one step, as AG-UI's clients are asked and answer them: in one list."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from tests.support.agui_client import connect, run, run_input, user
from tests.support.local_server import client_of


def asks(name: str) -> Any:
    """A node with a question."""

    def node(_state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(content=f"{name}: {interrupt({'question': name})}")]}

    return node


def served(**settings: Any) -> CopilotRuntime:
    """A runtime whose agent asks for a colour and a size."""
    builder = StateGraph(MessagesState)
    for name in ("colour", "size"):
        builder.add_node(name, asks(name))
        builder.add_edge(START, name)
    graph = builder.compile(InMemorySaver())
    return CopilotRuntime(providers=[LangGraphProvider({"asker": graph})], config=RuntimeConfig(**settings))


async def test_a_list_of_answers_answers_each_of_a_list_of_questions() -> None:
    async with client_of(served()) as client:
        asked = await run(client, "asker", run_input(user("hi")))
        [question] = [event["value"] for event in asked if event["type"] == "CUSTOM"]
        assert question == [{"question": "colour"}, {"question": "size"}]
        command = {"resume": ["red", "large"], "interruptEvent": question}
        answered = await run(client, "asker", run_input(user("hi"), run="r2", forwardedProps={"command": command}))
    assert [event for event in answered if event["type"] == "CUSTOM"] == []
    texts = [event["delta"] for event in answered if event["type"] == "TEXT_MESSAGE_CONTENT"]
    assert sorted(texts) == ["colour: red", "size: large"]


async def test_answers_in_another_order_reach_the_questions_that_they_name() -> None:
    async with client_of(served(interrupt_outcome=True)) as client:
        asked = await run(client, "asker", run_input(user("hi")))
        again = await connect(client, "asker")
        colour, size = (question["id"] for question in asked[-1]["outcome"]["interrupts"])
        assert again[-1]["outcome"] == asked[-1]["outcome"]
        given = {size: "large", colour: "red"}
        resume = [{"interruptId": id_, "status": "resolved", "payload": answer} for id_, answer in given.items()]
        answered = await run(client, "asker", run_input(user("hi"), resume=resume))
    texts = [event["delta"] for event in answered if event["type"] == "TEXT_MESSAGE_CONTENT"]
    assert sorted(texts) == ["colour: red", "size: large"]
    assert "outcome" not in answered[-1]
