from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from ag_ui.core import (
    AssistantMessage,
    MessagesSnapshotEvent,
    RunAgentInput,
    RunFinishedEvent,
    RunStartedEvent,
    TextMessageChunkEvent,
)

from copilotkit_runtime.providers.agui import AGUIHttpAgent, AGUIProvider
from copilotkit_runtime.runtime import events
from copilotkit_runtime.runtime.agui_messages import messages_from_agui
from copilotkit_runtime.runtime.context import RunContext, RunInput
from copilotkit_runtime.runtime.errors import MisuseError
from copilotkit_runtime.runtime.messages import TextMessage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SAID = [
    events.TextMessageStart(message_id="m"),
    events.TextMessageContent(message_id="m", delta="hi"),
    events.TextMessageEnd(message_id="m"),
]


class Echo:
    description = "Says it again"

    async def run(self, input: RunAgentInput) -> AsyncIterator[Any]:
        yield RunStartedEvent(thread_id=input.thread_id, run_id=input.run_id)
        yield TextMessageChunkEvent(message_id="m", delta=str(input.messages[-1].content))
        yield RunFinishedEvent(thread_id=input.thread_id, run_id=input.run_id)


async def echo(input: RunAgentInput) -> AsyncIterator[Any]:
    async for event in Echo().run(input):
        yield event


async def awaited(input: RunAgentInput) -> AsyncIterator[Any]:
    return echo(input)


def in_turn(input: RunAgentInput) -> Iterator[dict[str, Any]]:
    yield {"type": "RUN_STARTED", "threadId": input.thread_id, "runId": input.run_id}
    yield {"type": "TEXT_MESSAGE_CHUNK", "messageId": "m", "delta": input.messages[-1].content}
    yield {"type": "RUN_FINISHED", "threadId": input.thread_id, "runId": input.run_id}


def run_input() -> RunInput:
    return RunInput(thread_id="t", run_id="r", messages=[TextMessage(role="user", content="hi")])


async def collect(provider: AGUIProvider, agent: str = "a") -> list[events.Event]:
    return [event async for event in provider.execute_run(agent, run_input(), RunContext())]


@pytest.mark.parametrize(
    "source", [Echo(), Echo, echo, awaited, in_turn], ids=lambda s: getattr(s, "__name__", "object")
)
async def test_an_agent_may_be_an_object_a_factory_or_a_function(source: Any) -> None:
    decoded = await collect(AGUIProvider({"a": source}))
    assert decoded == [
        events.RunStarted(thread_id="t", run_id="r"),
        *SAID,
        events.RunFinished(thread_id="t", run_id="r"),
    ]


async def test_agents_are_listed_with_their_descriptions() -> None:
    remote = AGUIHttpAgent("http://localhost/a", description="Far away")
    provider = AGUIProvider({"near": Echo(), "far": remote, "url": "https://localhost/b"})
    listed = [(agent.name, agent.description) for agent in await provider.list_agents()]
    assert listed == [("near", "Says it again"), ("far", "Far away"), ("url", "")]


@pytest.mark.parametrize("source", [17, "not a url", "ftp://localhost/x", "http://", "http://[::1"])
def test_what_is_not_an_agent_is_refused_at_once(source: Any) -> None:
    with pytest.raises(MisuseError):
        AGUIProvider({"a": source})


async def test_a_run_that_yields_nothing_iterable_is_a_misuse() -> None:
    with pytest.raises(MisuseError, match="must yield events"):
        await collect(AGUIProvider({"a": lambda _input: 5}))


async def test_an_agent_that_can_be_cloned_is_cloned_for_each_run() -> None:
    class Stateful(Echo):
        clones = 0
        used = False

        def clone(self) -> Stateful:
            Stateful.clones += 1
            return Stateful()

        async def run(self, input: RunAgentInput) -> AsyncIterator[Any]:
            assert not self.used
            self.used = True
            async for event in super().run(input):
                yield event

    provider = AGUIProvider({"a": Stateful()})
    await asyncio.gather(collect(provider), collect(provider))
    assert Stateful.clones == 2


async def test_closing_a_run_closes_the_agents_generator() -> None:
    closed = asyncio.Event()

    async def endless(_input: Any) -> AsyncIterator[Any]:
        try:
            yield SAID[0]
            await asyncio.Event().wait()
        finally:
            closed.set()

    async with aclosing(AGUIProvider({"a": endless}).execute_run("a", run_input(), RunContext())) as run:
        assert await anext(run) == SAID[0]
    assert closed.is_set()


async def test_an_agents_own_exception_is_raised() -> None:
    async def broken(_input: Any) -> AsyncIterator[Any]:
        yield SAID[0]
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        await collect(AGUIProvider({"a": broken}))


async def test_the_node_name_reaches_the_agents_that_are_named_for_it() -> None:
    given: dict[str, Any] = {}

    def agent(name: str) -> Any:
        async def run(input: RunAgentInput) -> AsyncIterator[Any]:
            given[name] = dict(input.forwarded_props or {}).get("nodeName")
            yield RunStartedEvent(thread_id=input.thread_id, run_id=input.run_id)

        return run

    provider = AGUIProvider({"a": agent("a"), "b": agent("b")}, forward_node_name=["b"])
    run = RunInput(thread_id="t", run_id="r", node_name="n")
    for name in ("a", "b"):
        [event async for event in provider.execute_run(name, run, RunContext())]
    assert given == {"a": None, "b": "n"}
    with pytest.raises(MisuseError, match="not there: c"):
        AGUIProvider({"a": Echo()}, forward_node_name=["c"])


async def test_system_messages_of_a_thread_are_not_given_back() -> None:
    async def agent(input: RunAgentInput) -> AsyncIterator[Any]:
        yield MessagesSnapshotEvent(messages=[*input.messages, AssistantMessage(id="a", content="ok")])

    said = [TextMessage(id=role, role=role, content=role) for role in ("system", "user", "developer")]
    run = RunInput(thread_id="t", run_id="r", messages=[*said, TextMessage(id="s", role="system", content="more")])
    provider = AGUIProvider({"a": agent})
    [snapshot] = [event async for event in provider.execute_run("a", run, RunContext())]
    assert isinstance(snapshot, events.MessagesSnapshot)
    assert [message["id"] for message in snapshot.messages] == ["user", "developer", "a"]


PICTURE = {"type": "image", "source": {"type": "data", "value": "AAAA", "mimeType": "image/png"}}
OLDER_PICTURE = {"type": "binary", "mimeType": "image/png", "data": "AAAA"}


# Some versions of the package take both forms, and advise against the older one.
OLDER = pytest.mark.filterwarnings("ignore:BinaryInputContent is deprecated:DeprecationWarning")


@OLDER
@pytest.mark.parametrize("part", [PICTURE, OLDER_PICTURE], ids=["typed", "binary"])
async def test_an_attachment_reaches_an_agent_in_the_form_that_its_package_takes(part: dict[str, Any]) -> None:
    seen: list[Any] = []

    async def agent(input: RunAgentInput) -> AsyncIterator[Any]:
        seen.append(input.messages[0].model_dump(mode="json", by_alias=True))
        for _ in range(0):
            yield input

    sent = [{"id": "u", "role": "user", "content": [{"type": "text", "text": "look"}, part]}]
    run = RunInput(thread_id="t", run_id="r", messages=messages_from_agui(sent))
    async with aclosing(AGUIProvider({"a": agent}).execute_run("a", run, RunContext())) as stream:
        assert [event async for event in stream] == []
    [message] = seen
    assert "AAAA" in str(message["content"][1])


@OLDER
async def test_an_input_that_no_form_makes_valid_is_an_error() -> None:
    async def agent(input: RunAgentInput) -> AsyncIterator[Any]:
        for _ in range(0):
            yield input

    run = RunInput(thread_id="t", run_id="r", messages=messages_from_agui([{"role": "user", "content": [PICTURE]}]))
    run.thread_id = 5  # type: ignore[assignment]
    with pytest.raises(ValueError, match="threadId"):
        async with aclosing(AGUIProvider({"a": agent}).execute_run("a", run, RunContext())) as stream:
            await anext(stream)
