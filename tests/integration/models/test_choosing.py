"""How a run gets its model from what the user gave."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, AIMessageChunk

from copilotkit_runtime.providers.models import ModelProvider, model_provider
from copilotkit_runtime.runtime.context import ForwardedParameters, RunContext, RunInput
from copilotkit_runtime.runtime.errors import MisuseError, NetworkError
from copilotkit_runtime.runtime.events import Event, TextMessageContent, TextMessageEnd, TextMessageStart
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.provider import AgentDescriptor, AgentProvider
from tests.integration.models.asking import ask, asking, run_of, said
from tests.integration.models.vendor import FakeVendor
from tests.integration.models.wires import OpenAIWire


class Echo(AgentProvider):
    """A provider of the user's own."""

    async def list_agents(self) -> list[AgentDescriptor]:
        return []

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[Event]:
        yield TextMessageStart(message_id="m")
        yield TextMessageContent(message_id="m", delta=run.thread_id)


def chat(text: str) -> FakeListChatModel:
    return FakeListChatModel(responses=[text])


async def later(run: RunInput, context: RunContext) -> Any:
    return chat(f"{run.thread_id} {context.properties['who']}")


async def yields_texts(run: RunInput, context: RunContext) -> AsyncIterator[str]:
    yield "Hel"
    yield "lo"


async def yields_events() -> AsyncIterator[Event]:
    yield TextMessageStart(message_id="mine")
    yield TextMessageContent(message_id="mine", delta="Hello")
    yield TextMessageEnd(message_id="mine")


def yields_in_a_thread(run: RunInput) -> Iterator[str]:
    yield "Hel"
    yield "lo"


async def yields_messages() -> AsyncIterator[Any]:
    yield AIMessageChunk("Hel", id="m")
    yield "lo"


CALLABLES = [
    lambda: chat("Hello"),
    lambda run, context: chat("Hello"),
    lambda: AIMessage("Hello"),
    lambda *anything: chat("Hello"),
    yields_texts,
    yields_events,
    yields_in_a_thread,
    yields_messages,
    lambda: yields_events(),
]


@pytest.mark.parametrize("pick", CALLABLES)
async def test_a_callable_answers(pick: Any) -> None:
    assert said(await ask(pick)) == "Hello"


async def test_a_callable_receives_the_caller() -> None:
    provider = ModelProvider(later)
    context = RunContext(properties={"who": "Ada"})
    events = [event async for event in provider.execute_run("", run_of(), context)]
    assert said(events) == "t Ada"


async def test_a_callable_may_pick_by_the_forwarded_model(vendor: FakeVendor) -> None:
    wire = OpenAIWire()
    client, _ = wire.model(vendor.url)
    vendor.streams(*wire.text("ok"))
    run = run_of(forwarded=ForwardedParameters(model="tiny"))
    assert said(await ask(lambda run, context: (client, run.forwarded.model), run)) == "ok"
    assert vendor.body["model"] == "tiny"
    await client.close()


async def test_a_callable_may_name_a_model(vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", vendor.url)
    vendor.streams(*OpenAIWire().text("ok"))
    assert said(await ask(lambda: "ollama:small")) == "ok"


async def test_a_callable_may_pick_a_provider() -> None:
    assert said(await ask(Echo)) == "t"


async def test_leaving_an_answer_closes_what_the_callable_yields() -> None:
    closed = []

    async def answer() -> AsyncIterator[str]:
        try:
            yield "one"
            yield "two"
        finally:
            closed.append(True)

    async with asking(answer) as events:
        await anext(events)
    assert closed == [True]


async def test_leaving_an_answer_closes_a_generator_in_a_thread() -> None:
    closed = []

    def answer() -> Iterator[str]:
        try:
            yield "one"
            yield "two"
        finally:
            closed.append(True)

    async with asking(answer) as events:
        await anext(events)
    assert closed == [True]


async def test_an_error_of_the_callables_own_is_kept() -> None:
    def fail() -> Any:
        raise NetworkError("No model today.")

    with pytest.raises(NetworkError, match="No model today"):
        await ask(fail)


@pytest.mark.parametrize("pick", [lambda: 3, lambda: None, lambda: (3, "x")])
async def test_a_callable_that_returns_no_model_is_misuse(pick: Any) -> None:
    with pytest.raises(MisuseError, match="It may return"):
        await ask(pick)


async def test_a_callable_that_yields_no_answer_is_misuse() -> None:
    async def answer() -> AsyncIterator[Any]:
        yield 3

    with pytest.raises(MisuseError, match="not int"):
        await ask(answer)


@pytest.mark.parametrize("source", [3, None, ("x",), {"model": "gpt-4o"}])
def test_what_can_never_answer_is_refused_at_once(source: Any) -> None:
    with pytest.raises(MisuseError, match="A model is"):
        model_provider(source)


def test_a_client_that_blocks_is_refused_at_once() -> None:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(api_key="k") as client, pytest.raises(MisuseError, match="OpenAI cannot be used here"):
        model_provider(client)


def test_a_provider_is_returned_as_it_is() -> None:
    provider = Echo()
    assert model_provider(provider) is provider


async def test_a_model_lists_no_agents() -> None:
    assert await model_provider(chat("Hello")).list_agents() == []


async def test_assistants_are_refused_clearly() -> None:
    run = run_of(extensions={"openaiAssistantAPI": {"threadId": "x"}})
    with pytest.raises(MisuseError, match="OpenAI Assistants"):
        await ask(chat("Hello"), run)
    with pytest.raises(MisuseError, match="OpenAI Assistants"):
        await ask("openai-assistant:asst_1")


async def test_a_model_that_is_not_ready_fails_its_runs_and_not_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    provider = ModelProvider("groq:llama")
    await provider.start()
    async with aclosing(provider.execute_run("", run_of(), RunContext())) as events:
        with pytest.raises(Exception, match="GROQ_API_KEY"):
            await anext(events)


async def test_a_conversation_without_messages_is_answered() -> None:
    assert said(await ask(chat("Hello"), run_of([]))) == "Hello"
    assert said(await ask(chat("Hello"), run_of([TextMessage(role="system", content="Do it.")]))) == "Hello"
