"""Providers that yield events in AG-UI's other forms are understood; what is not an event is refused in words."""

from __future__ import annotations

import gc
import json
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from ag_ui import core

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from tests.parity.fold import fold
from tests.parity.wire import ask
from tests.support.local_server import PATH, client_of
from tests.support.request_bodies import generate, text_message
from tests.support.tool_calls import shown

IDS = {"thread_id": "t-1", "run_id": "r"}


class Yielding(AgentProvider):
    """Yields the items that it was made with."""

    name = "yielding"

    def __init__(self, *items: Any) -> None:
        self.items = items

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="a")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        for item in self.items:
            yield item


async def answer_of(*items: Any) -> Any:
    async with client_of(CopilotRuntime(providers=[Yielding(*items)])) as client:
        answer = await ask(client, PATH, generate(text_message("hi"), agent="a"))
    assert answer.complete
    return fold(answer.parts)


def texts(response: Any) -> list[str]:
    return [text for message, text in zip(response["messages"], shown(response), strict=True) if "content" in message]


MODELS = [
    core.RunStartedEvent(**IDS),
    core.StepStartedEvent(step_name="think"),
    core.TextMessageStartEvent(message_id="m", role="assistant"),
    core.TextMessageContentEvent(message_id="m", delta="tea"),
    core.TextMessageEndEvent(message_id="m"),
    core.ToolCallStartEvent(tool_call_id="c", tool_call_name="f"),
    core.ToolCallArgsEvent(tool_call_id="c", delta="{}"),
    core.ToolCallEndEvent(tool_call_id="c"),
    core.ToolCallResultEvent(message_id="x", tool_call_id="c", content="done"),
    core.StateSnapshotEvent(snapshot={"cups": 2}),
    core.StepFinishedEvent(step_name="think"),
    core.RunFinishedEvent(**IDS),
]


@pytest.mark.parametrize(
    "items",
    [
        MODELS,
        [model.model_dump(mode="json", by_alias=True, exclude_none=True) for model in MODELS],
        [model.model_dump(exclude_none=True) for model in MODELS],
        [events.StepStarted(step_name="think"), *MODELS[2:]],
        [*MODELS[1:8], events.ToolCallResult(tool_call_id="c", content="done"), *MODELS[9:]],
    ],
    ids=["models", "camel case", "snake case", "own events first", "own events between"],
)
async def test_events_of_the_protocols_own_package_are_shown(items: list[Any]) -> None:
    response = await answer_of(*items)
    assert response["status"]["code"] == "Success"
    assert texts(response) == ["tea"]
    assert [m["result"] for m in response["messages"] if m["__typename"] == "ResultMessageOutput"] == ["done"]
    last = [m for m in response["messages"] if m["__typename"] == "AgentStateMessageOutput"][-1]
    assert json.loads(last["state"]) == {"cups": 2}


async def test_chunks_are_expanded_and_what_is_open_is_closed() -> None:
    chunks = [core.TextMessageChunkEvent(message_id="m", delta=delta) for delta in ("gre", "en")]
    assert texts(await answer_of(*chunks)) == ["green"]
    assert texts(await answer_of(*MODELS[2:4])) == ["tea"]


async def test_an_error_of_the_protocols_own_package_fails_the_run() -> None:
    response = await answer_of(*MODELS[:5], core.RunErrorEvent(message="No tea left"))
    assert response["status"]["code"] == "Failed"
    assert response["status"]["details"]["description"] == "No tea left"
    assert texts(response) == ["tea"]


class Returning(Yielding):
    """Returns its items, by a method that is no generator."""

    def execute_run(self, *_: Any) -> Any:
        return list(self.items)


async def test_a_list_of_events_is_refused_in_words() -> None:
    async with client_of(CopilotRuntime(providers=[Returning(*MODELS)])) as client:
        answer = await ask(client, PATH, generate(text_message("hi"), agent="a"))
    response = fold(answer.parts)
    assert response["status"]["code"] == "Failed"
    text = response["status"]["details"]["description"]
    assert "execute_run of provider 'yielding' returned list" in text
    assert "async def execute_run" in text


class Answering(Yielding):
    """Has a coroutine where the stream is expected."""

    def execute_run(self, *_: Any) -> Any:
        async def answer() -> str:
            return "tea"

        return answer()


@pytest.mark.filterwarnings("default")
async def test_a_coroutine_is_refused_in_words_and_leaves_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    async with client_of(CopilotRuntime(providers=[Answering()])) as client:
        response = fold((await ask(client, PATH, generate(text_message("hi"), agent="a"))).parts)
    gc.collect()
    assert "execute_run of provider 'yielding' returned coroutine" in response["status"]["details"]["description"]
    assert not [each for each in recwarn if "never awaited" in str(each.message)]


class Event(events.BaseEvent, tag="OWN_KIND"):
    """An event of a kind that the runtime does not have."""


@pytest.mark.parametrize(
    "item",
    ["hi", b"hi", None, 7, ["hi"], SimpleNamespace(type="TEXT_MESSAGE_END"), events, Event()],
    ids=["text", "bytes", "None", "number", "list", "object", "module", "own kind"],
)
@pytest.mark.parametrize("before", [[], MODELS[2:4]], ids=["first", "later"])
async def test_what_is_not_an_event_is_refused_in_words(item: Any, before: list[Any]) -> None:
    with structlog.testing.capture_logs() as logs:
        response = await answer_of(*before, item)
    assert response["status"]["code"] == "Failed"
    assert texts(response) == (["tea"] if before else [])
    text = response["status"]["details"]["description"]
    assert f"Provider 'yielding' yielded {type(item).__name__}, which is not an event" in text
    assert "TextMessageContent" in text
    assert [log["error"] for log in logs if log["event"] == "run_failed"] == [text]


async def test_a_mapping_that_is_not_an_event_is_refused_in_words() -> None:
    response = await answer_of({"text": "hi"})
    assert "not an AG-UI event" in response["status"]["details"]["description"]


def said(id_: str, text: str) -> list[events.Event]:
    return [
        events.TextMessageStart(message_id=id_),
        events.TextMessageContent(message_id=id_, delta=text),
        events.TextMessageEnd(message_id=id_),
    ]


def run(id_: str, *within: Any) -> list[Any]:
    return [
        events.RunStarted(thread_id="t-1", run_id=id_),
        *within,
        events.RunFinished(thread_id="t-1", run_id=id_, result=id_),
    ]


async def test_one_run_may_follow_another_in_a_stream() -> None:
    second = [events.StepStarted(step_name="s"), *said("b", "two"), events.StepFinished(step_name="s")]
    response = await answer_of(*run("r1", *said("a", "one")), *run("r2", *second), *run("r3", *said("c", "three")))
    assert response["status"]["code"] == "Success"
    assert texts(response) == ["one", "two", "three"]


async def test_the_second_run_may_fail() -> None:
    response = await answer_of(
        *run("r1", *said("a", "one")),
        events.RunStarted(thread_id="t-1", run_id="r2"),
        *said("b", "two"),
        events.RunError(message="No more"),
    )
    assert response["status"]["details"]["description"] == "No more"
    assert texts(response) == ["one", "two"]


async def test_between_two_runs_nothing_may_come() -> None:
    response = await answer_of(*run("r1", *said("a", "one")), *said("b", "two"))
    assert "The run has already finished with 'RUN_FINISHED'" in response["status"]["details"]["description"]
    assert texts(response) == ["one"]
