"""Workflows of LangGraph's functional API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph.message import add_messages
from langgraph.types import interrupt

from copilotkit_runtime.runtime import events as ev
from copilotkit_runtime.runtime.context import Resume
from tests.integration.langgraph.scripted_model import Page, ScriptedModel, of, text


def workflow(kind: str) -> tuple[Any, list[list[Any]]]:
    given: list[list[Any]] = []
    model = ScriptedModel(script=[["Hello."], ["Again."]])

    @task
    async def answer(messages: list[BaseMessage]) -> BaseMessage:
        return await model.ainvoke(messages)

    async def run(messages: Any, previous: Any) -> Any:
        given.append(list(messages))
        everything = add_messages(previous or [], messages)
        said = await answer(everything)  # type: ignore[arg-type]
        return entrypoint.final(value=said, save=add_messages(everything, [said]))

    @entrypoint(checkpointer=InMemorySaver())
    async def bare(messages, *, previous: Any = None) -> Any:  # type: ignore[no-untyped-def]
        return await run(messages, previous)

    @entrypoint(checkpointer=InMemorySaver())
    async def listed(inputs: list[BaseMessage], *, previous: Any = None) -> Any:
        return await run(inputs, previous)

    @entrypoint(checkpointer=InMemorySaver())
    async def sequence(chat: Sequence[Any], *, previous: Any = None) -> Any:
        return await run(chat, previous)

    return {"bare": bare, "listed": listed, "sequence": sequence}[kind], given


@pytest.mark.parametrize("kind", ["bare", "listed", "sequence"])
async def test_a_workflow_that_takes_messages_gets_those_that_it_did_not_save(kind: str) -> None:
    graph, given = workflow(kind)
    page = Page(graph)
    assert text(await page.run("one")) == "Hello."
    assert text(await page.run("one", "two")) == "Again."
    assert [[message.content for message in messages] for messages in given] == [["one"], ["two"]]


async def test_a_workflow_without_memory_gets_the_whole_conversation() -> None:
    @entrypoint()
    async def count(messages: list[BaseMessage]) -> AIMessage:
        return AIMessage(f"{len(messages)} messages")

    assert text(await Page(count, checkpointer=None).run("one", "two")) == "2 messages"


async def test_a_workflow_that_takes_an_object_gets_one() -> None:
    @entrypoint()
    async def count(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"messages": [AIMessage(f"{len(inputs['messages'])} messages")]}

    assert "1 messages" in str(await Page(count).run("one"))


def asking() -> tuple[Any, list[list[Any]]]:
    given: list[list[Any]] = []

    @entrypoint(checkpointer=InMemorySaver())
    async def ask(messages: list[BaseMessage], *, previous: Any = None) -> Any:
        given.append([message.content for message in messages])
        said = AIMessage(f"Got {interrupt('Sure?')}", id=f"a{len(given)}")
        return entrypoint.final(value=said, save=[*(previous or []), *messages, said])

    return ask, given


def asked(events: list[ev.Event]) -> list[Any]:
    return [event.value for event in of(ev.Custom, events)]


async def test_a_workflow_that_waits_is_answered() -> None:
    graph, _ = asking()
    page = Page(graph)
    assert asked(await page.run("one")) == ["Sure?"]
    assert asked(await page.run("one")) == ["Sure?"]
    events = await page.run("one", resume=[Resume(name=ev.INTERRUPT, value="Sure?", response="yes")])
    assert text(events) == "Got yes"


async def test_a_new_message_while_a_workflow_waits_starts_it_again_with_all_that_it_has_not_saved() -> None:
    graph, given = asking()
    page = Page(graph)
    await page.run("one")
    assert asked(await page.run("one", "two")) == ["Sure?"]
    assert given[-1] == ["one", "two"]
    resume = [Resume(name=ev.INTERRUPT, value="Sure?", response="now")]
    assert text(await page.run("one", "two", resume=resume)) == "Got now"
    await page.run("one", "two", "three")
    assert given[-1] == ["three"]
