"""A tool that asked a person goes on: some agents announce its call a second time, in front of the result."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from ag_ui.core import RunAgentInput
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.providers.agui import AGUIProvider
from tests.support.agui_client import connect, run, run_input, say, user
from tests.support.local_server import client_of, served
from tests.support.react_page import ReactPage

CALL = [
    {"type": "TOOL_CALL_START", "toolCallId": "c", "toolCallName": "ask", "parentMessageId": "a"},
    {"type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": '{"x":1}'},
    {"type": "TOOL_CALL_END", "toolCallId": "c"},
]
ASKS = [*CALL, {"type": "CUSTOM", "name": "on_interrupt", "value": "Sure?"}]
GOES_ON = [*CALL, {"type": "TOOL_CALL_RESULT", "messageId": "r", "toolCallId": "c", "content": "yes"}]
SENT = {
    "id": "a",
    "role": "assistant",
    "toolCalls": [{"id": "c", "type": "function", "function": {"name": "ask", "arguments": '{"x":1}'}}],
}
RESULT = {"id": "r", "role": "tool", "toolCallId": "c", "content": "yes"}
ANSWER = {"forwardedProps": {"command": {"resume": "yes"}}}


@asynccontextmanager
async def client_of_an_agent(*runs: list[dict[str, Any]]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an agent that does one thing after the other."""
    left = iter(runs)

    async def answer(request: Request) -> Response:
        given = RunAgentInput.model_validate(await request.json())
        ids = {"threadId": given.thread_id, "runId": given.run_id}
        events = [{"type": "RUN_STARTED", **ids}, *next(left), {"type": "RUN_FINISHED", **ids}]
        return Response("".join(f"data: {json.dumps(event)}\n\n" for event in events), media_type="text/event-stream")

    agent = served(Starlette(routes=[Route("/", answer, methods=["POST"])]))
    async with agent as origin, client_of(CopilotRuntime(providers=[AGUIProvider({"asker": origin})])) as client:
        yield client


def calls_of(events: list[dict[str, Any]]) -> list[str]:
    return [event["toolCallId"] for event in events if event["type"] == "TOOL_CALL_START"]


def results_of(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["toolCallId"], event["content"]) for event in events if event["type"] == "TOOL_CALL_RESULT"]


async def test_a_call_that_goes_on_is_shown_once() -> None:
    async with client_of_an_agent(ASKS, GOES_ON) as client:
        asked = await run(client, "asker", run_input(user("hi")))
        went_on = await run(client, "asker", run_input(user("hi"), SENT, run="r2", **ANSWER))
        history = await connect(client, "asker")
    assert (calls_of(asked), results_of(asked)) == (["c"], [])
    assert (calls_of(went_on), results_of(went_on)) == ([], [("c", "yes")])
    assert (calls_of(history), results_of(history)) == (["c"], [("c", "yes")])


@pytest.mark.parametrize("repeated", [GOES_ON, GOES_ON[-1:]], ids=["repeated", "not repeated"])
async def test_graphql_clients_get_the_result_with_the_name_of_its_call(repeated: list[dict[str, Any]]) -> None:
    async with client_of_an_agent(ASKS, repeated) as client:
        page = ReactPage(client, "asker")
        await page.say("hi")
        response = await page.answer("yes")
    kinds = [message["__typename"] for message in response["messages"]]
    assert "ActionExecutionMessageOutput" not in kinds
    results = [each for each in response["messages"] if each["__typename"] == "ResultMessageOutput"]
    assert [(each["actionExecutionId"], each["actionName"], each["result"]) for each in results] == [
        ("c", "ask", "yes")
    ]


async def test_a_result_that_the_client_has_is_not_sent_under_the_agent_s_own_id() -> None:
    """A graph's memory has results under other ids than clients were streamed."""
    kept = [user("hi"), SENT, {**RESULT, "id": "kept"}]
    done = [{"type": "MESSAGES_SNAPSHOT", "messages": kept}, *say("done", "b")]
    async with client_of_an_agent(GOES_ON, [each.get("event", each) for each in done]) as client:
        first = await run(client, "asker", run_input(user("hi")))
        second = await run(client, "asker", run_input(user("hi"), SENT, RESULT, run="r2", **ANSWER))
        history = await connect(client, "asker")
    assert results_of(first) == results_of(history) == [("c", "yes")]
    assert results_of(second) == []


async def test_an_id_that_a_model_uses_again_is_another_call() -> None:
    async with client_of_an_agent(GOES_ON, GOES_ON) as client:
        first = await run(client, "asker", run_input(user("hi")))
        second = await run(client, "asker", run_input(user("hi"), SENT, RESULT, user("again", "u2"), run="r2"))
    assert len(calls_of(first)) == len(calls_of(second)) == 1
    assert len(results_of(first)) == len(results_of(second)) == 1
