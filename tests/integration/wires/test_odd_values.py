"""Whatever an agent puts into its events, its run ends with a status and its thread can be read ever after."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx
import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from tests.parity.fold import fold
from tests.parity.wire import ask
from tests.support.agui_client import PATH, connect, run, run_input, types_of, user
from tests.support.local_server import client_of
from tests.support.request_bodies import generate, text_message

LOAD = "query($d: LoadAgentStateInput!){loadAgentState(data:$d){threadExists state messages}}"


def nested(depth: int) -> Any:
    """An object of that depth."""
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def result(content: Any) -> list[events.Event]:
    """A call with its result, which the agent gives as it has it."""
    return [
        events.ToolCallStart(tool_call_id="c", tool_call_name="t"),
        events.ToolCallEnd(tool_call_id="c"),
        events.ToolCallResult(tool_call_id="c", content=content),
    ]


def dug(times: int) -> list[events.Event]:
    """A state that gets deeper with each short operation."""
    step = [
        {"op": "add", "path": "/n", "value": {}},
        {"op": "move", "from": "/r", "path": "/n/c"},
        {"op": "move", "from": "/n", "path": "/r"},
    ]
    return [events.StateSnapshot(snapshot={"r": {}}), events.StateDelta(delta=step * times)]


DEPTHS = (150, 940, 960, 980, 5000)
GIVEN: dict[str, list[events.Event]] = {
    "object": result({"cups": 2}),
    "list": result([1, 2]),
    "number": result(7),
    "nothing": result(None),
    "set": result({1}),
    "own object": result(object()),
    "step": [events.StepStarted(step_name=7), events.StepFinished(step_name=7)],  # type: ignore[arg-type]
    "name": [events.Custom(name=None, value=1)],  # type: ignore[arg-type]
    **{f"result {depth}": result(nested(depth)) for depth in DEPTHS},
    **{f"state {depth}": [events.StateSnapshot(snapshot=nested(depth))] for depth in DEPTHS},
    **{
        f"delta {depth}": [events.StateDelta(delta=[{"op": "add", "path": "/x", "value": nested(depth)}])]
        for depth in DEPTHS
    },
    **{f"custom {depth}": [events.Custom(name="c", value=nested(depth))] for depth in DEPTHS},
    **{f"dug {times}": dug(times) for times in (100, 320, 1000)},
    "path": [events.StateSnapshot(snapshot={}), events.StateDelta(delta=[{"op": "add", "path": "/a" * 999}])],
}


class Giving(AgentProvider):
    """Yields what it is asked for, and a word."""

    name = "giving"

    async def list_agents(self) -> list[AgentDescriptor]:
        """The one agent."""
        return [AgentDescriptor(name="giving")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Give."""
        for event in GIVEN.get(getattr(run.messages[-1], "content", ""), ()):
            yield event
        yield events.TextMessageStart(message_id=f"said-{run.run_id}")
        yield events.TextMessageContent(message_id=f"said-{run.run_id}", delta="ok")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(CopilotRuntime(providers=[Giving()])) as client:
        yield client


async def assert_readable(client: httpx.AsyncClient, thread: str) -> None:
    """Assert that a thread is read by every verb, and takes another turn."""
    for what in ("messages", "events", "state"):
        response = await client.get(f"{PATH}/threads/{thread}/{what}")
        assert response.status_code == 200, (what, response.text)
    loading = {"query": LOAD, "variables": {"d": {"threadId": thread, "agentName": "giving"}}}
    loaded = (await client.post(PATH, json=loading)).json()
    assert "errors" not in loaded, loaded
    assert types_of(await connect(client, "giving", thread))[-1] == "RUN_FINISHED"
    assert types_of(await run(client, "giving", run_input(user("more", "u2"), thread=thread)))[-1] == "RUN_FINISHED"


@pytest.mark.parametrize("given", GIVEN)
async def test_a_run_ends_and_its_thread_is_readable_over_agui(client: httpx.AsyncClient, given: str) -> None:
    shown = await run(client, "giving", run_input(user(given), thread="t"))
    assert types_of(shown)[-1] in ("RUN_FINISHED", "RUN_ERROR")
    await assert_readable(client, "t")


@pytest.mark.parametrize("given", GIVEN)
async def test_a_run_ends_and_its_thread_is_readable_over_graphql(client: httpx.AsyncClient, given: str) -> None:
    answer = await ask(client, PATH, generate(text_message(given), agent="giving", threadId="t"))
    assert answer.complete
    assert fold(answer.parts)["status"]["code"] in ("Success", "Failed")
    await assert_readable(client, "t")


@pytest.mark.parametrize(("given", "text"), [("object", '{"cups":2}'), ("list", "[1,2]"), ("number", "7")])
async def test_a_result_that_is_no_text_is_shown_as_json(client: httpx.AsyncClient, given: str, text: str) -> None:
    shown = await run(client, "giving", run_input(user(given), thread="t"))
    assert [event["content"] for event in shown if event["type"] == "TOOL_CALL_RESULT"] == [text]
    kept = (await client.get(f"{PATH}/threads/t/messages")).json()["messages"]
    assert [message["content"] for message in kept if message["role"] == "tool"] == [text]


@pytest.mark.parametrize("depth", [300, 900, 960, 980])
async def test_a_client_s_deep_values_leave_the_thread_readable(client: httpx.AsyncClient, depth: int) -> None:
    arguments = '{"a":' * depth + "{}" + "}" * depth
    call = {"id": "c", "type": "function", "function": {"name": "t", "arguments": arguments}}
    asked = {"id": "p", "role": "assistant", "toolCalls": [call]}
    body = run_input(user("hi"), asked, user("more", "u3"), thread="t")
    assert types_of(await run(client, "giving", body))[-1] == "RUN_FINISHED"
    await assert_readable(client, "t")
