"""What the TypeScript runtime gets wrong on this wire, fault by fault, and this one does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from copilotkit_runtime.providers.agui import AGUIHttpAgent, AGUIProvider
from copilotkit_runtime.providers.langgraph import LangGraphProvider
from tests.support.agui_client import PATH, connect, events_of, run, run_input, say, script, types_of
from tests.support.local_server import client_of
from tests.support.local_server import served as served_app
from tests.support.polling import until
from tests.support.scripted_agent import ScriptedProvider

IDS = {"threadId": "t", "runId": "r"}
HANG = {"hang": True}


@asynccontextmanager
async def served(**options: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()], **options)) as client:
        yield client


async def stopped(client: httpx.AsyncClient, *steps: dict[str, Any], run_id: str = "r", id_: str = "u") -> list[Any]:
    """The events of a run that is stopped once it hangs."""
    running = asyncio.create_task(run(client, "scripted", run_input(script(*steps, HANG, id_=id_), run=run_id)))

    async def stop() -> bool:
        answer = (await client.post(f"{PATH}/agent/scripted/stop/t", json={"runId": run_id})).json()
        return bool(answer["stopped"])

    await until(stop)
    return await running


async def test_a_stopped_run_ends_with_its_ids_and_later_turns_are_there_after_a_reload() -> None:
    async with served() as client:
        events = await stopped(client, *say("half", "a1"))
        assert events[-1] == {"type": "RUN_FINISHED", **IDS}
        await run(client, "scripted", run_input(script(*say("later", "a2"), id_="u2"), run="r2"))
        past = await connect(client, "scripted")
    assert "later" in str(past)
    finished = [event for event in past if event["type"] == "RUN_FINISHED"]
    assert [event["runId"] for event in finished] == ["r", "r2"]
    assert all(event["threadId"] == "t" for event in finished)


async def test_a_thread_in_which_a_run_failed_opens_again() -> None:
    async with served() as client:
        failed = await run(client, "scripted", run_input(script(*say("well", "a1"), {"raise": "no"})))
        assert types_of(failed)[-1] == "RUN_ERROR"
        await run(client, "scripted", run_input(script(*say("later", "a2"), id_="u2"), run="r2"))
        past = await connect(client, "scripted")
    assert "RUN_ERROR" not in types_of(past)
    assert "well" in str(past)
    assert "later" in str(past)


@pytest.mark.parametrize(("policy", "end"), [("queue", "RUN_FINISHED"), ("reject", "RUN_ERROR")])
async def test_a_second_run_on_a_busy_thread_is_never_nothing(policy: Any, end: str) -> None:
    async with served(config=RuntimeConfig(busy_policy=policy)) as client:
        first = asyncio.create_task(run(client, "scripted", run_input(script(HANG))))
        await until(lambda: _is_running(client))
        second = asyncio.create_task(run(client, "scripted", run_input(script(*say("x"), id_="u2"), run="r2")))
        if policy == "queue":
            await until(lambda: _stop(client, "r"))
        events = await second
        if policy == "reject":
            await until(lambda: _stop(client, "r"))
        await first
    assert types_of(events)[0] == "RUN_STARTED"
    assert types_of(events)[-1] == end
    assert policy != "reject" or events[-1]["code"] == "THREAD_BUSY"


async def test_a_second_run_on_a_busy_thread_may_replace_the_first() -> None:
    async with served(config=RuntimeConfig(busy_policy="interrupt")) as client:
        first = asyncio.create_task(run(client, "scripted", run_input(script(*say("half", "a1"), HANG))))
        await until(lambda: _is_running(client))
        second = await run(client, "scripted", run_input(script(*say("new", "a2"), id_="u2"), run="r2"))
        replaced = await first
        past = await connect(client, "scripted")
    assert replaced[-1]["message"] == "A newer run replaced this one."
    assert types_of(second)[-1] == "RUN_FINISHED"
    assert "new" in str(second)
    assert [event["runId"] for event in past if event["type"] == "RUN_FINISHED"] == ["r", "r2"]


async def _is_running(client: httpx.AsyncClient) -> bool:
    return "not the active run" in (await client.post(f"{PATH}/agent/scripted/stop/t", json={"runId": "?"})).text


async def _stop(client: httpx.AsyncClient, run_id: str) -> bool:
    return bool((await client.post(f"{PATH}/agent/scripted/stop/t", json={"runId": run_id})).json()["stopped"])


async def test_the_question_of_a_run_that_failed_at_once_is_kept() -> None:
    async with served() as client:
        await run(client, "scripted", run_input(script({"raise": "at once"})))
        past = await connect(client, "scripted")
    assert [message["id"] for message in past[0]["input"]["messages"]] == ["u"]
    assert types_of(past)[-1] == "RUN_FINISHED"


async def test_suggestions_of_any_client_make_no_thread_and_wait_for_no_lock() -> None:
    choice = {"type": "function", "function": {"name": "copilotkitSuggest"}}
    body = run_input(script(*say("idea")), forwardedProps={"toolChoice": choice})
    async with served() as client:
        busy = asyncio.create_task(run(client, "scripted", run_input(script(HANG))))
        await until(lambda: _is_running(client))
        as_run = await run(client, "scripted", body)
        envelope = {"method": "agent/run", "params": {"agentId": "scripted"}, "body": {**body, "threadId": "s2"}}
        as_envelope = events_of((await client.post(PATH, json=envelope)).text)
        threads = (await client.get(f"{PATH}/threads")).json()["threads"]
        await until(lambda: _stop(client, "r"))
        await busy
    assert "idea" in str(as_run)
    assert "idea" in str(as_envelope)
    assert [thread["id"] for thread in threads] == ["t"]


async def test_history_outlives_the_process_and_is_there_in_others(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'threads.sqlite'}"
    async with served(store=store) as client, served(store=store) as other:
        await run(client, "scripted", run_input(script(*say("kept"))))
        assert "kept" in str(await connect(other, "scripted"))
    async with served(store=store) as client:
        assert "kept" in str(await connect(client, "scripted"))
        again = await run(client, "scripted", run_input(script(*say("again", "a2"), id_="u2")))
        assert types_of(again)[-1] == "RUN_FINISHED"
        past = await connect(client, "scripted")
    assert [event["runId"] for event in past if event["type"] == "RUN_STARTED"] == ["r", "r"]
    assert "again" in str(past)


async def test_threads_are_their_owner_s_on_every_verb() -> None:
    config = RuntimeConfig(api_keys=("ann:key-of-ann-0123456789", "bob:key-of-bob-0123456789"))
    async with served(config=config) as client:
        client.headers["authorization"] = "Bearer key-of-ann-0123456789"
        await run(client, "scripted", run_input(script(*say("secret"))))
        busy = asyncio.create_task(run(client, "scripted", run_input(script(HANG, id_="u2"), run="r2")))
        await until(lambda: _is_running(client))
        client.headers["authorization"] = "Bearer key-of-bob-0123456789"
        assert (await client.get(f"{PATH}/threads")).json()["threads"] == []
        assert await connect(client, "scripted") == []
        for read in ("messages", "events", "state"):
            assert "secret" not in (await client.get(f"{PATH}/threads/t/{read}")).text
        assert not await _stop(client, "r2")
        for method, path in (("PATCH", ""), ("DELETE", ""), ("POST", "/archive")):
            answer = await client.request(method, f"{PATH}/threads/t{path}", json={"agentId": "scripted", "name": "x"})
            assert answer.status_code == 404
        assert (await client.post(f"{PATH}/threads/clear", json={})).status_code in (403, 404)
        refused = await client.post(f"{PATH}/agent/scripted/run", json=run_input(script(*say("mine")), run="r3"))
        assert "mine" not in refused.text
        client.headers["authorization"] = "Bearer key-of-ann-0123456789"
        assert "secret" in str(await connect_to_end(client))
        await busy


async def connect_to_end(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """A thread's past, once the run in it has been stopped."""
    await until(lambda: _stop(client, "r2"))
    return await connect(client, "scripted")


OPEN = [
    {"event": {"type": "STEP_STARTED", "stepName": "node"}},
    {"event": {"type": "REASONING_START", "messageId": "t1"}},
    {"event": {"type": "REASONING_MESSAGE_START", "messageId": "t1"}},
    {"event": {"type": "REASONING_MESSAGE_CONTENT", "messageId": "t1", "delta": "hm"}},
    {"event": {"type": "TEXT_MESSAGE_START", "messageId": "a1"}},
    {"event": {"type": "TEXT_MESSAGE_CONTENT", "messageId": "a1", "delta": "half"}},
]
CLOSERS = ("TEXT_MESSAGE_END", "REASONING_MESSAGE_END", "REASONING_END", "STEP_FINISHED")


@pytest.mark.parametrize("end", ["stop", "failure", "end"])
async def test_whatever_is_left_open_is_closed_before_the_end_live_and_in_the_history(end: str) -> None:
    async with served() as client:
        if end == "stop":
            live = await stopped(client, *OPEN)
        else:
            last = [{"raise": "no"}] if end == "failure" else []
            live = await run(client, "scripted", run_input(script(*OPEN, *last)))
        await run(client, "scripted", run_input(script(*say("next", "a2"), id_="u2"), run="r2"))
        past = await connect(client, "scripted")
    assert [event["type"] for event in live if event["type"] in CLOSERS] == list(CLOSERS)
    border = types_of(past).index("RUN_FINISHED")
    assert "half" in str(past[:border])
    assert "half" not in str(past[border:])
    opened = [event["type"] for event in past[:border] if event["type"] == "TEXT_MESSAGE_START"]
    assert len(opened) == [event["type"] for event in past[:border]].count("TEXT_MESSAGE_END")


async def test_a_preflight_allows_the_requested_headers_and_any_origin_gets_no_credentials() -> None:
    asked = {
        "origin": "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    async with served() as client:
        answer = await client.options(f"{PATH}/agent/scripted/run", headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


async def test_what_an_agent_raises_is_not_shown_in_production() -> None:
    config = RuntimeConfig(env="production", auth="none")
    async with served(config=config) as client:
        events = await run(client, "scripted", run_input(script({"raise": "password swordfish"})))
        past = await connect(client, "scripted")
    assert events[-1]["type"] == "RUN_ERROR"
    assert "swordfish" not in str(events)[str(events).index("RUN_ERROR") :]
    assert "swordfish" not in str([event for event in past if event["type"] != "RUN_STARTED"])


async def test_an_agent_s_own_memory_is_shown_where_the_server_has_no_history() -> None:
    saver = InMemorySaver()

    def answer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(content=f"I remember: {state['messages'][0].text}", id="a")]}

    graph = StateGraph(MessagesState).add_node("answer", answer).add_edge(START, "answer").compile(saver)
    await graph.ainvoke({"messages": [HumanMessage("Hello", id="u")]}, {"configurable": {"thread_id": "t"}})
    async with client_of(CopilotRuntime(providers=[LangGraphProvider({"agent": graph})])) as client:
        past = await connect(client, "agent")
    assert "I remember: Hello" in str(past)
    assert past[0]["input"]["messages"][0]["content"] == "Hello"


async def test_agents_get_a_run_s_headers_by_the_policy_and_nothing_of_a_connect() -> None:
    seen: list[dict[str, str]] = []

    async def agent(request: Request) -> Response:
        seen.append(dict(request.headers))
        ids = {"threadId": "t", "runId": "r"}
        frames = (f"data: {json.dumps({'type': kind, **ids})}\n\n" for kind in ("RUN_STARTED", "RUN_FINISHED"))
        return Response("".join(frames), media_type="text/event-stream")

    sent = {"authorization": "Bearer page", "x-page": "yes", "cookie": "secret=1", "x-forwarded-for": "10.0.0.1"}
    async with served_app(Starlette(routes=[Route("/", agent, methods=["POST"])])) as origin:
        http_agent = AGUIHttpAgent(f"{origin}/", forward_headers=list(sent))
        runtime = CopilotRuntime(providers=[AGUIProvider({"agent": http_agent})])
        async with client_of(runtime) as client:
            for verb in ("run", "connect"):
                answer = await client.post(f"{PATH}/agent/agent/{verb}", json=run_input(script()), headers=sent)
                assert types_of(events_of(answer.text))[-1] == "RUN_FINISHED"
    [headers] = seen
    assert {name: value for name, value in headers.items() if name in sent} == {
        "authorization": "Bearer page",
        "x-page": "yes",
    }
