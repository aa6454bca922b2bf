"""What the specification asks of runs, and of what a thread holds after them, beyond a single answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx
import pytest

from copilotkit_runtime import (
    Action,
    AgentDescriptor,
    AgentProvider,
    CopilotRuntime,
    RunContext,
    RunInput,
    RuntimeConfig,
    errors,
    events,
)
from copilotkit_runtime.runtime.messages import ImageMessage, TextMessage, ToolResultMessage
from copilotkit_runtime.runtime.stores.interface import AgentState
from tests.support.agui_client import PATH, connect, events_of, run, run_input, say, script, types_of
from tests.support.local_server import client_of
from tests.support.polling import until
from tests.support.request_bodies import event
from tests.support.scripted_agent import ScriptedProvider
from tests.support.tool_calls import Listener, call


class CountingProvider(AgentProvider):
    """Sends how many messages it was given, and keeps what it was given."""

    name = "counting"

    def __init__(self) -> None:
        self.given: list[RunInput] = []

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="counting")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        self.given.append(run)
        id_ = f"said-{len(self.given)}"
        yield events.TextMessageStart(message_id=id_)
        yield events.TextMessageContent(message_id=id_, delta=str(len(run.messages)))
        yield events.TextMessageEnd(message_id=id_)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a runtime with the scripted agent."""
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()])) as client:
        yield client


class RemotelyKept(CountingProvider):
    """Keeps its threads on a server, which is away."""

    keeps_state = False

    async def load_state(self, thread_id: str, agent_name: str) -> AgentState | None:
        raise errors.NetworkError("The agent's server cannot be reached.")


async def test_the_reason_why_an_agent_s_memory_cannot_be_read_is_reported() -> None:
    async with client_of(CopilotRuntime(providers=[RemotelyKept()])) as client:
        answer = await client.post(f"{PATH}/agent/counting/run", json=run_input(script()))
    assert answer.status_code == 500
    assert answer.json()["message"] == "The agent's server cannot be reached."


@pytest.mark.parametrize("verb", ["run", "connect", "suggest"])
@pytest.mark.parametrize("body", [b"nonsense", b"[]", b"{}", b""])
async def test_an_agent_that_is_not_there_is_reported_before_a_body_that_cannot_be_read(
    client: httpx.AsyncClient, verb: str, body: bytes
) -> None:
    nobody = await client.post(f"{PATH}/agent/nobody/{verb}", content=body)
    assert nobody.json() == {"error": "Agent not found", "message": "Agent 'nobody' does not exist"}
    assert nobody.status_code == 404
    refused = await client.post(f"{PATH}/agent/scripted/{verb}", content=body)
    assert (refused.status_code, refused.json()["error"]) == (400, "Invalid request body")
    assert isinstance(refused.json()["details"], str)


@pytest.mark.parametrize(
    "more",
    [
        {"state": [1, 2]},
        {"state": None},
        {"state": "text"},
        {"forwardedProps": [1]},
        {"forwardedProps": "text"},
        {"forwardedProps": {"command": [], "config": 7, "toolChoice": 3, "stop": {}, "maxTokens": "x", "model": {}}},
        {"tools": {}, "context": "x", "resume": 3, "parentRunId": 5},
        {"lastSeenEventId": "e", "protocolVersion": "1.0", "unheardOf": {"a": 1}},
    ],
    ids=str,
)
async def test_what_is_optional_may_have_any_shape(client: httpx.AsyncClient, more: dict[str, Any]) -> None:
    events_ = await run(client, "scripted", run_input(script(*say("hi")), **more))
    assert types_of(events_)[-1] == "RUN_FINISHED"


async def test_a_run_that_waits_for_its_thread_has_its_headers_at_once_and_is_kept_alive() -> None:
    config = RuntimeConfig(keep_alive_seconds=0.05)
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()], config=config)) as client:
        first = asyncio.create_task(run(client, "scripted", run_input(script({"hang": True}))))
        await until(lambda: is_running(client, "r"))
        body = run_input(script(*say("mine", "a2"), id_="u2"), run="r2")
        async with client.stream("POST", f"{PATH}/agent/scripted/run", json=body) as waiting:
            assert waiting.status_code == 200
            pieces, text = waiting.aiter_text(), ""
            while ": keep-alive" not in text:
                text += await anext(pieces)
            assert (await client.post(f"{PATH}/agent/scripted/stop/t", json={"runId": "r"})).json()["stopped"]
            text += "".join([piece async for piece in pieces])
        await first
    assert "mine" in text
    assert types_of(events_of(text))[-1] == "RUN_FINISHED"


async def is_running(client: httpx.AsyncClient, run_id: str) -> bool:
    found = await client.post(f"{PATH}/agent/scripted/stop/t", json={"runId": f"not {run_id}"})
    return "not the active run" in found.text


async def test_a_tool_of_the_server_has_its_result_in_the_same_run() -> None:
    def weather(city: str) -> str:
        return f"sunny in {city}"

    runtime = CopilotRuntime(providers=[ScriptedProvider()], actions=[Action("weather", "The weather", weather)])
    page = {"name": "weather", "description": "the page's own", "parameters": {"type": "object", "properties": {}}}
    async with client_of(runtime) as client:
        body = run_input(script(*call("c", "weather", '{"city":"Rome"}')), tools=[page])
        shown = await run(client, "scripted", body)
    [result] = [event for event in shown if event["type"] == "TOOL_CALL_RESULT"]
    assert (result["toolCallId"], result["content"]) == ("c", "sunny in Rome")
    assert result["messageId"]


async def test_a_call_that_nobody_has_answered_comes_back_without_an_answer(client: httpx.AsyncClient) -> None:
    await run(client, "scripted", run_input(script(*call("c", "ask_person", '{"a":1}'))))
    for past in (await connect(client, "scripted"), await connect(client, "scripted")):
        assert types_of(past) == ["RUN_STARTED", "TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END", "RUN_FINISHED"]


async def test_results_of_the_client_come_back_with_the_run_that_they_came_with() -> None:
    listener = Listener()
    async with client_of(CopilotRuntime(providers=[listener])) as client:
        first = script(*say("calling", "a"), *call("c1", "good"), *call("c2", "bad"))
        await run(client, "scripted", run_input(first))
        calls = [{"id": id_, "type": "function", "function": {"name": name, "arguments": "{}"}} for id_, name in CALLS]
        thread = [
            first,
            {"id": "a", "role": "assistant", "content": "calling", "toolCalls": calls},
            {"id": "t1", "role": "tool", "toolCallId": "c1", "content": "fine"},
            {"id": "t2", "role": "tool", "toolCallId": "c2", "content": "Error: boom"},
            script(*say("thanks", "b"), id_="u2"),
        ]
        await run(client, "scripted", run_input(*thread, run="r2"))
        past = await connect(client, "scripted")
    started = [event["input"]["messages"] for event in past if event["type"] == "RUN_STARTED"]
    assert [[message["id"] for message in brought] for brought in started] == [["u"], ["t1", "t2", "u2"]]
    results = [message for message in listener.given[1].messages if isinstance(message, ToolResultMessage)]
    names = {result.tool_call_id: result.tool_name for result in results}
    assert names == {"c1": "good", "c2": "bad"}


async def test_a_result_that_an_agent_s_text_follows_comes_back_too() -> None:
    """A tool of the server's is answered, and the agent goes on, before the client has answered the call of its own."""
    listener = Listener()
    served = event("TOOL_CALL_RESULT", toolCallId="c2", messageId="served", content="sunny")
    async with client_of(CopilotRuntime(providers=[listener])) as client:
        first = script(*call("c1", "good", "{}"), *call("c2", "bad", "{}"), served, *say("half done", "a"))
        await run(client, "scripted", run_input(first))
        calls = [{"id": id_, "type": "function", "function": {"name": name, "arguments": "{}"}} for id_, name in CALLS]
        thread = [
            first,
            {"id": "a1", "role": "assistant", "toolCalls": calls},
            {"id": "served", "role": "tool", "toolCallId": "c2", "content": "sunny"},
            {"id": "t1", "role": "tool", "toolCallId": "c1", "content": "painted"},
            {"id": "a", "role": "assistant", "content": "half done"},
        ]
        for number in ("r2", "r3"):
            await run(client, "scripted", run_input(*thread, run=number))
        past = await connect(client, "scripted")
    brought = [[message["id"] for message in event["input"]["messages"]] for event in past if "input" in event]
    assert brought == [["u"], ["t1"], []]
    assert [event["messageId"] for event in past if event["type"] == "TOOL_CALL_RESULT"] == ["served"]


CALLS = (("c1", "good"), ("c2", "bad"))


@pytest.mark.parametrize("whole", [True, False])
async def test_a_result_that_has_an_id_of_the_agent_s_is_one_result(*, whole: bool) -> None:
    listener = Listener()
    result = event("TOOL_CALL_RESULT", toolCallId="c", messageId="agent-s-own", content="ok")
    first = script(*say("calling", "a"), *call("c", "f", "{}"), result)
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    told = [
        first,
        {"id": "a", "role": "assistant", "content": "calling"},
        {"id": "c", "role": "assistant", "toolCalls": calls},
        {"id": "agent-s-own", "role": "tool", "toolCallId": "c", "content": "ok"},
    ]
    async with client_of(CopilotRuntime(providers=[listener])) as client:
        await run(client, "scripted", run_input(first))
        next_ = script(*say("well", "b"), id_="u2")
        await run(client, "scripted", run_input(*(told if whole else ()), next_, run="r2"))
        past = await connect(client, "scripted")
    results = [message for message in listener.given[1].messages if isinstance(message, ToolResultMessage)]
    assert [(message.tool_call_id, message.result) for message in results] == [("c", "ok")]
    brought = [[message["id"] for message in event["input"]["messages"]] for event in past if "input" in event]
    assert brought == [["u"], ["u2"]]
    assert [event["messageId"] for event in past if event["type"] == "TOOL_CALL_RESULT"] == ["agent-s-own"]


async def test_a_result_that_the_client_has_in_place_of_the_agent_s_is_the_one_that_counts() -> None:
    listener = Listener()
    placeholder = event("TOOL_CALL_RESULT", toolCallId="c", messageId="p", content="Forwarded to client")
    first = script(*call("c", "f", "{}"), placeholder)
    async with client_of(CopilotRuntime(providers=[listener])) as client:
        await run(client, "scripted", run_input(first))
        ours = {"id": "t", "role": "tool", "toolCallId": "c", "content": "painted"}
        await run(client, "scripted", run_input(first, ours, script(id_="u2"), run="r2"))
        past = await connect(client, "scripted")
    results = [message for message in listener.given[1].messages if isinstance(message, ToolResultMessage)]
    assert [message.result for message in results] == ["painted"]
    brought = [message["content"] for event in past if "input" in event for message in event["input"]["messages"]]
    assert "painted" in brought


async def test_an_edited_message_is_answered_with_what_came_before_it_alone() -> None:
    counting = CountingProvider()
    async with client_of(CopilotRuntime(providers=[counting])) as client:
        users = [{"id": f"u{n}", "role": "user", "content": f"text {n}"} for n in (1, 2)]
        await run(client, "counting", run_input(users[0]))
        await run(client, "counting", run_input(*users, run="r2"))
        edited = {**users[1], "content": "text 2, edited"}
        said = {"id": "said-1", "role": "assistant", "content": "1"}
        await run(client, "counting", run_input(users[0], said, edited, run="r3"))
        past = await connect(client, "counting")
    texts = [message.content for message in counting.given[2].messages if isinstance(message, TextMessage)]
    assert texts == ["text 1", "1", "text 2, edited"]
    brought = [message["content"] for event in past if "input" in event for message in event["input"]["messages"]]
    assert brought == ["text 1", "text 2, edited"]


async def test_run_ids_may_repeat_and_nothing_is_overwritten(client: httpx.AsyncClient) -> None:
    for number in range(3):
        shown = await run(client, "scripted", run_input(script(*say(f"text {number}", f"a{number}"), id_=f"u{number}")))
        assert {event["runId"] for event in shown if "runId" in event} == {"r"}
    past = await connect(client, "scripted")
    assert [event["delta"] for event in past if "delta" in event] == ["text 0", "text 1", "text 2"]


async def test_what_is_drawn_comes_back_as_it_was_in_the_end(client: httpx.AsyncClient) -> None:
    plan = {"messageId": "p", "activityType": "plan"}
    steps = [
        {"event": {"type": "ACTIVITY_SNAPSHOT", **plan, "content": {"done": 0}}},
        {"event": {"type": "ACTIVITY_DELTA", **plan, "patch": [{"op": "replace", "path": "/done", "value": 1}]}},
    ]
    live = await run(client, "scripted", run_input(script(*steps)))
    past = await connect(client, "scripted")
    assert types_of(live)[1:-1] == ["ACTIVITY_SNAPSHOT", "ACTIVITY_DELTA"]
    assert types_of(past)[1:-1] == ["ACTIVITY_SNAPSHOT"]
    assert past[1]["content"] == {"done": 1}


async def test_a_change_of_what_is_drawn_that_does_not_fit_changes_nothing(client: httpx.AsyncClient) -> None:
    plan = {"messageId": "p", "activityType": "plan"}
    patches = [[{"op": "replace", "path": path, "value": 1}] for path in ("/missing", "/done")]
    changes = [event("ACTIVITY_DELTA", **plan, patch=patch) for patch in patches]
    steps = [event("ACTIVITY_SNAPSHOT", **plan, content={"done": 0}), *changes, *say("after")]
    await run(client, "scripted", run_input(script(*steps)))
    past = await connect(client, "scripted")
    assert past[1]["content"] == {"done": 1}
    assert "after" in str(past[2:])


async def test_a_replay_holds_neither_properties_nor_state_nor_answers(client: httpx.AsyncClient) -> None:
    secret = {"forwardedProps": {"token": "swordfish"}, "state": {"key": "swordfish"}}
    resume = [{"interruptId": "i", "status": "resolved", "payload": "swordfish"}]
    await run(client, "scripted", run_input(script(*say("hi")), resume=resume, **secret))
    past = await connect(client, "scripted")
    assert past[0]["input"].keys() == {"threadId", "runId", "messages", "tools", "context"}
    assert "swordfish" not in str(past)


async def test_attachments_come_back_with_their_metadata() -> None:
    source = {"type": "data", "value": "iVBO", "mimeType": "image/png"}
    content = [{"type": "text", "text": "look"}, {"type": "image", "source": source, "metadata": {"filename": "a.png"}}]
    async with client_of(CopilotRuntime(providers=[CountingProvider()])) as client:
        await run(client, "counting", run_input({"id": "u", "role": "user", "content": content}))
        past = await connect(client, "counting")
    assert past[0]["input"]["messages"] == [{"id": "u", "role": "user", "content": content}]


async def test_what_a_person_sent_comes_back_in_its_order() -> None:
    source = {"type": "data", "value": "iVBO", "mimeType": "image/png"}
    texts = [{"type": "text", "text": text} for text in ("this", "or that")]
    content = [{"type": "image", "source": source}, texts[0], {"type": "binary", "mimeType": "image/gif", "data": "R0"}]
    content.append(texts[1])
    said = {"id": "u", "role": "user", "content": content}
    counting = CountingProvider()
    async with client_of(CopilotRuntime(providers=[counting])) as client:
        await run(client, "counting", run_input(said))
        await run(client, "counting", run_input(said, {"id": "v", "role": "user", "content": "more"}, run="r2"))
        past = await connect(client, "counting")
        kept = (await client.get(f"{PATH}/threads/t/messages")).json()["messages"]
    brought = [message for event in past if "input" in event for message in event["input"]["messages"]]
    assert brought == [said, {"id": "v", "role": "user", "content": "more"}]
    assert kept[0] == said
    shown = [getattr(message, "content", type(message)) for message in counting.given[0].messages]
    assert shown == [ImageMessage, "this", ImageMessage, "or that"]


async def test_an_attachment_of_an_unknown_kind_is_reported(client: httpx.AsyncClient) -> None:
    handle = {"type": "image", "source": {"type": "file", "value": "file-1"}}
    for number, part in enumerate((handle, {"type": "hologram"})):
        content = [{"type": "text", "text": "[]"}, part]
        body = run_input({"id": "u", "role": "user", "content": content}, thread=f"t{number}")
        assert types_of(await run(client, "scripted", body)) == ["RUN_STARTED", "RUN_ERROR"]


async def test_the_threads_of_an_agent_that_is_not_there_are_none(client: httpx.AsyncClient) -> None:
    await run(client, "scripted", run_input(script(*say("hi"))))
    found = await client.get(f"{PATH}/threads", params={"agentId": "nobody"})
    assert (found.status_code, found.json()) == (200, {"threads": [], "nextCursor": None})


CHANGE = event("STATE_DELTA", delta=[{"op": "replace", "path": "/n", "value": 2}])


async def state_of(client: httpx.AsyncClient) -> Any:
    return (await client.get(f"{PATH}/threads/t/state")).json()["state"]


async def test_an_agent_changes_the_state_that_the_client_sent(client: httpx.AsyncClient) -> None:
    given = {"n": 1, "kept": True}
    shown = await run(client, "scripted", run_input(script(CHANGE, *say("done")), state=given))
    assert types_of(shown)[:2] == ["RUN_STARTED", "STATE_DELTA"]
    assert types_of(shown)[-1] == "RUN_FINISHED"
    assert await state_of(client) == {"n": 2, "kept": True}
    past = await connect(client, "scripted")
    assert [event["snapshot"] for event in past if event["type"] == "STATE_SNAPSHOT"] == [{"n": 2, "kept": True}]


async def test_a_state_that_an_agent_reports_itself_is_not_mixed_with_the_client_s(client: httpx.AsyncClient) -> None:
    whole = event("STATE_SNAPSHOT", snapshot={"n": 1})
    shown = await run(client, "scripted", run_input(script(whole, CHANGE), state={"other": 1}))
    assert types_of(shown)[1:-1] == ["STATE_SNAPSHOT", "STATE_DELTA"]
    assert await state_of(client) == {"n": 2}


@pytest.mark.parametrize("state", [{}, {"other": 1}, None])
async def test_a_change_that_fits_no_state_is_left_out_and_the_run_goes_on(
    client: httpx.AsyncClient, state: Any
) -> None:
    shown = await run(client, "scripted", run_input(script(CHANGE, *say("done")), state=state))
    assert "STATE_DELTA" not in types_of(shown)
    assert "done" in str(shown[1:])
    assert types_of(shown)[-1] == "RUN_FINISHED"
    assert types_of(await connect(client, "scripted"))[-1] == "RUN_FINISHED"


async def test_clients_without_a_thread_s_id_are_served_and_share_nothing(client: httpx.AsyncClient) -> None:
    first = await run(client, "scripted", run_input(script(*say("first")), thread=""))
    second = await run(client, "scripted", run_input(script(*say("second")), thread=""))
    assert ("first" in str(first), "second" in str(second)) == (True, True)
    assert first[0]["threadId"] != second[0]["threadId"]
    assert await connect(client, "scripted", "") == []
