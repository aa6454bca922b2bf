"""Runs over AG-UI: what clients send, what they get, and what becomes of a run that they leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from copilotkit_runtime.runtime.events import Event, ToolCallStart
from copilotkit_runtime.runtime.request import RunRequest
from copilotkit_runtime.runtime.runs.handle import RunHandle
from copilotkit_runtime.wires.agui.runs import Runs
from tests.support.agui_client import PATH, connect, events_of, run, run_input, say, script, types_of
from tests.support.local_server import client_of
from tests.support.scripted_agent import ScriptedProvider
from tests.support.tool_calls import call


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a runtime with the scripted agent."""
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()])) as client:
        yield client


async def test_an_agent_sends_text(client: httpx.AsyncClient) -> None:
    events = await run(client, "scripted", run_input(script(*say("hello"))))
    assert types_of(events) == [
        "RUN_STARTED",
        "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_END",
        "RUN_FINISHED",
    ]
    assert events[0] == {"type": "RUN_STARTED", "threadId": "t", "runId": "r"}
    assert events[2] == {"type": "TEXT_MESSAGE_CONTENT", "messageId": "a", "delta": "hello"}
    assert events[-1] == {"type": "RUN_FINISHED", "threadId": "t", "runId": "r"}


async def test_an_envelope_runs_the_same_agent(client: httpx.AsyncClient) -> None:
    body = {"method": "agent/run", "params": {"agentId": "scripted"}, "body": run_input(script(*say("hello")))}
    response = await client.post(PATH, json=body)
    assert response.headers["content-type"] == "text/event-stream"
    assert types_of(events_of(response.text))[-1] == "RUN_FINISHED"


async def test_headers_are_sent_before_the_agent_s_first_event(client: httpx.AsyncClient) -> None:
    body = run_input(script({"hang": True}))
    async with asyncio.timeout(20), client.stream("POST", f"{PATH}/agent/scripted/run", json=body) as response:
        assert response.status_code == 200
        assert response.headers["cache-control"] == "no-cache, no-transform"
        assert response.headers["x-accel-buffering"] == "no"
        assert "content-length" not in response.headers


@pytest.mark.parametrize("agent", ["nobody", "scripted%20", "a%2Fb"])
async def test_an_agent_that_is_not_there_is_404(client: httpx.AsyncClient, agent: str) -> None:
    response = await client.post(f"{PATH}/agent/{agent}/run", json=run_input())
    assert response.status_code == 404
    assert response.json()["error"] == "Agent not found"


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"runId": "r"},
        {"threadId": "t", "runId": 1},
        {"threadId": "t", "runId": "r", "messages": {}},
        {"threadId": "t", "runId": "r", "messages": [{"id": "1"}]},
        {"threadId": "t", "runId": "r", "messages": [{"id": "1", "role": 3}]},
    ],
)
async def test_a_body_of_wrong_types_is_400(client: httpx.AsyncClient, body: Any) -> None:
    response = await client.post(f"{PATH}/agent/scripted/run", json=body)
    assert response.status_code == 400
    assert response.json()["error"] == "Invalid request body"


async def test_everything_but_the_ids_may_be_left_out(client: httpx.AsyncClient) -> None:
    message = script(*say("hi"))
    events = await run(client, "scripted", {"threadId": "t", "runId": "r", "messages": [message], "tools": None})
    assert types_of(events)[-1] == "RUN_FINISHED"


async def test_a_failure_is_an_error_in_the_stream(client: httpx.AsyncClient) -> None:
    steps = [*say("hello")[:2], {"raise": "secret"}]
    events = await run(client, "scripted", run_input(script(*steps)))
    assert types_of(events)[-2:] == ["TEXT_MESSAGE_END", "RUN_ERROR"]
    assert isinstance(events[-1]["code"], str)
    assert "secret" not in str(events)


async def test_a_client_that_goes_does_not_stop_the_run(client: httpx.AsyncClient) -> None:
    steps = [*say("one", "a1"), *say("two", "a2", after=0.3)]
    body = run_input(script(*steps))
    async with client.stream("POST", f"{PATH}/agent/scripted/run", json=body) as response:
        async for line in response.aiter_lines():
            if "one" in line:
                break
    events = await connect(client, "scripted")
    assert [event["delta"] for event in events if event["type"] == "TEXT_MESSAGE_CONTENT"] == ["one", "two"]
    assert types_of(events)[-1] == "RUN_FINISHED"


async def test_a_stop_ends_the_stream_and_keeps_what_was_sent(client: httpx.AsyncClient) -> None:
    body = run_input(script(*say("so far")[:2], {"hang": True}))
    async with client.stream("POST", f"{PATH}/agent/scripted/run", json=body) as response:
        pieces = response.aiter_text()
        text = ""
        while "so far" not in text:
            text += await anext(pieces)
        assert await stop(client) == {"stopped": True, "interrupt": STOPPED}
        text += "".join([piece async for piece in pieces])
    events = events_of(text)
    assert types_of(events)[-2:] == ["TEXT_MESSAGE_END", "RUN_FINISHED"]
    assert events[-1] == {"type": "RUN_FINISHED", "threadId": "t", "runId": "r"}
    assert "so far" in str(await connect(client, "scripted"))


async def test_a_call_that_a_stop_cuts_off_is_answered(client: httpx.AsyncClient) -> None:
    call = {"toolCallId": "c"}
    steps = [
        {"event": {"type": "TOOL_CALL_START", "toolCallName": "f", **call}},
        {"event": {"type": "TOOL_CALL_ARGS", "delta": '{"a"', **call}},
        {"hang": True},
    ]
    async with client.stream("POST", f"{PATH}/agent/scripted/run", json=run_input(script(*steps))) as response:
        pieces, text = response.aiter_text(), ""
        while "TOOL_CALL_ARGS" not in text:
            text += await anext(pieces)
        assert (await stop(client))["stopped"]
        text += "".join([piece async for piece in pieces])
    for events in (events_of(text), await connect(client, "scripted")):
        assert types_of(events)[-3:] == ["TOOL_CALL_END", "TOOL_CALL_RESULT", "RUN_FINISHED"]
        assert events[-2]["content"] == '{"status":"stopped"}'


STOPPED = {"type": "RUN_ERROR", "message": "Run stopped by user", "code": "STOPPED"}


async def stop(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await client.post(f"{PATH}/agent/scripted/stop/t", json=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_a_stop_without_a_run_is_reported(client: httpx.AsyncClient) -> None:
    assert await stop(client) == {"stopped": False, "message": "No active run for thread 't'."}


async def test_a_stop_of_another_run_is_reported(client: httpx.AsyncClient) -> None:
    body = run_input(script(*say("so far")[:2], {"hang": True}))
    async with client.stream("POST", f"{PATH}/agent/scripted/run", json=body) as response:
        assert response.status_code == 200
        answer = await stop(client, runId="other")
        assert answer == {"stopped": False, "message": "Run 'other' is not the active run for thread 't'."}
        assert (await stop(client, runId="r"))["stopped"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("[]", "Invalid stop request"),
        ('{"other": 1}', "Invalid stop request"),
        ("nonsense", "Invalid stop request"),
        ('{"runId": ""}', "Invalid runId"),
        ('{"runId": 1}', "Invalid runId"),
    ],
)
async def test_a_stop_that_cannot_be_read_is_400(client: httpx.AsyncClient, body: str, error: str) -> None:
    response = await client.post(f"{PATH}/agent/scripted/stop/t", content=body)
    assert (response.status_code, response.json()) == (400, {"error": error})


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [("[]", 400, "Invalid stop request"), ("{}", 404, "Agent not found"), ("", 404, "Agent not found")],
)
async def test_a_stop_s_body_is_read_before_its_agent_is_looked_for(
    client: httpx.AsyncClient, body: str, status: int, error: str
) -> None:
    response = await client.post(f"{PATH}/agent/nobody/stop/t", content=body)
    assert (response.status_code, response.json()["error"]) == (status, error)


async def test_a_stop_may_have_an_empty_body(client: httpx.AsyncClient) -> None:
    url = f"{PATH}/agent/scripted/stop/t"
    response = await client.post(url, content="", headers={"content-type": "application/json"})
    assert response.json()["stopped"] is False


async def test_connecting_to_an_unknown_thread_is_an_empty_stream(client: httpx.AsyncClient) -> None:
    response = await client.post(f"{PATH}/agent/scripted/connect", json=run_input(thread="new"))
    assert (response.status_code, response.text) == (200, "")
    assert response.headers["content-type"] == "text/event-stream"


async def test_a_thread_comes_back(client: httpx.AsyncClient) -> None:
    await run(client, "scripted", run_input(script(*say("hello"))))
    events = await connect(client, "scripted")
    assert events[0]["input"]["messages"][0]["id"] == "u"
    assert events[0]["input"]["tools"] == events[0]["input"]["context"] == []
    assert "hello" in str(events[1:])
    assert types_of(events)[-1] == "RUN_FINISHED"


async def test_a_shorter_list_is_not_a_rewind(client: httpx.AsyncClient) -> None:
    await run(client, "scripted", run_input(script(*say("one", "a1"), id_="u1")))
    await run(client, "scripted", run_input(script(*say("two", "a2"), id_="u2"), run="r2"))
    text = str(await connect(client, "scripted"))
    assert all(id_ in text for id_ in ("'u1'", "'a1'", "'u2'", "'a2'"))


async def test_suggestions_leave_nothing_behind(client: httpx.AsyncClient) -> None:
    choice = {"type": "function", "function": {"name": "copilotkitSuggest"}}
    body = run_input(script(*say("idea")), forwardedProps={"toolChoice": choice})
    assert "idea" in str(await run(client, "scripted", body))
    response = await client.post(f"{PATH}/agent/scripted/suggest", json=body)
    assert "idea" in response.text
    assert await connect(client, "scripted") == []


async def test_failed_suggestions_end_quietly(client: httpx.AsyncClient) -> None:
    response = await client.post(f"{PATH}/agent/scripted/suggest", json=run_input(script({"raise": "no"})))
    assert types_of(events_of(response.text)) == ["RUN_STARTED", "RUN_FINISHED"]


async def test_a_request_for_an_mcp_server_does_not_run_the_agent(client: httpx.AsyncClient) -> None:
    request = {"serverHash": "x", "method": "tools/call"}
    body = run_input(script(*say("hi")), forwardedProps={"__proxiedMCPRequest": request})
    assert types_of(await run(client, "scripted", body)) == ["RUN_STARTED", "RUN_ERROR"]


async def test_an_attachment_that_the_agent_cannot_take_is_an_error(client: httpx.AsyncClient) -> None:
    audio = {"type": "audio", "source": {"type": "data", "value": "AAAA", "mimeType": "audio/wav"}}
    message = {"id": "u", "role": "user", "content": [{"type": "text", "text": "[]"}, audio]}
    events = await run(client, "scripted", run_input(message))
    assert types_of(events) == ["RUN_STARTED", "RUN_ERROR"]
    assert "audio/wav" in events[-1]["message"]


async def test_a_quiet_stream_is_kept_alive() -> None:
    runtime = CopilotRuntime(providers=[ScriptedProvider()], config=RuntimeConfig(keep_alive_seconds=0.05))
    async with client_of(runtime) as client:
        body = run_input(script({"hang": True}))
        async with asyncio.timeout(20), client.stream("POST", f"{PATH}/agent/scripted/run", json=body) as response:
            lines = response.aiter_lines()

            while (await anext(lines)) != ": keep-alive":
                pass


async def test_a_model_answers_as_the_default_agent() -> None:
    async with client_of(CopilotRuntime(model=ScriptedProvider())) as client:
        info = (await client.get(f"{PATH}/info")).json()
        assert list(info["agents"]) == ["default"]
        assert "hello" in str(await run(client, "default", run_input(script(*say("hello")))))


async def test_a_question_is_sent_at_the_end_of_its_run(client: httpx.AsyncClient) -> None:
    ask = {"event": {"type": "CUSTOM", "name": "on_interrupt", "value": {"sure": True}}}
    events = await run(client, "scripted", run_input(script(ask, *say("well?"))))
    assert events[-2] == {"type": "CUSTOM", "name": "on_interrupt", "value": {"sure": True}}
    assert events[-1] == {"type": "RUN_FINISHED", "threadId": "t", "runId": "r"}


async def test_a_busy_thread_that_takes_no_second_run_reports_it() -> None:
    runtime = CopilotRuntime(providers=[ScriptedProvider()], config=RuntimeConfig(busy_policy="reject"))
    async with client_of(runtime) as client:
        body = run_input(script(*say("so far")[:2], {"hang": True}))
        async with client.stream("POST", f"{PATH}/agent/scripted/run", json=body) as response:
            pieces = response.aiter_text()
            while "so far" not in await anext(pieces):
                pass
            second = await run(client, "scripted", run_input(script(*say("me too")), run="r2"))
    assert types_of(second) == ["RUN_STARTED", "RUN_ERROR"]
    assert second[-1]["code"] == "THREAD_BUSY"


async def test_a_run_that_cannot_be_followed_any_further_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    start = Runs._start

    async def started(self: Runs, request: RunRequest) -> RunHandle:
        handle = await start(self, request)
        take = handle.take

        def taken() -> Sequence[Event]:
            batch = take()
            if any(isinstance(event, ToolCallStart) for event in batch):
                raise OSError("password swordfish")
            return batch

        monkeypatch.setattr(handle, "take", taken)
        return handle

    monkeypatch.setattr(Runs, "_start", started)
    text, begun = say("half"), {**call("c", "paint")[0], "after": 0.05}
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()])) as client:
        shown = await run(client, "scripted", run_input(script(*text[:2], begun, {"hang": True})))
    assert types_of(shown) == [
        "RUN_STARTED",
        "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_END",
        "RUN_ERROR",
    ]
    assert "swordfish" not in shown[-1]["message"]
