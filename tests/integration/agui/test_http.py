from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from copilotkit_runtime.providers.agui import AGUIHttpAgent, AGUIProvider
from copilotkit_runtime.runtime import events
from copilotkit_runtime.runtime.context import RunContext, RunInput
from copilotkit_runtime.runtime.errors import (
    AuthenticationError,
    CopilotKitError,
    NetworkError,
    ProtocolError,
    RemoteEndpointNotFoundError,
)
from copilotkit_runtime.testing import Request, Script, ScriptedService, head
from tests.parity.fold import fold
from tests.parity.wire import ask
from tests.support.agui_client import run as run_agent
from tests.support.agui_client import run_input, user
from tests.support.local_server import PATH, client_of
from tests.support.request_bodies import generate, text_message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

SSE = "text/event-stream"


def said(**event: Any) -> bytes:
    return f"data: {json.dumps(event)}\n\n".encode()


STARTED = said(type="RUN_STARTED", threadId="t", runId="r")
TOKEN = said(type="TEXT_MESSAGE_CHUNK", messageId="m", delta="tök")
FINISHED = said(type="RUN_FINISHED", threadId="t", runId="r")


def answer(*pieces: bytes, content_type: str = SSE, status: int = 200, length: int | None = None) -> Script:
    async def script(_request: Request) -> AsyncGenerator[bytes]:
        yield head(content_type, status=status, length=length)
        for piece in pieces:
            yield piece

    return script


async def never_ending(_request: Request) -> AsyncGenerator[bytes]:
    yield head(SSE)
    yield STARTED
    await asyncio.Event().wait()


async def run(agent: AGUIHttpAgent, context: RunContext | None = None) -> list[events.Event]:
    provider = AGUIProvider({"a": agent})
    input_ = RunInput(thread_id="t", run_id="r")
    try:
        return [event async for event in provider.execute_run("a", input_, context or RunContext())]
    finally:
        await provider.stop()


async def test_a_run_arrives_however_it_is_cut() -> None:
    stream = STARTED + TOKEN + b": ping\n\n" + FINISHED
    async with ScriptedService(answer(*(bytes([byte]) for byte in stream))) as service:
        received = await run(AGUIHttpAgent(service.url + "/agent"))
    assert [type(event) for event in received] == [
        events.RunStarted,
        events.TextMessageStart,
        events.TextMessageContent,
        events.TextMessageEnd,
        events.RunFinished,
    ]
    assert received[2] == events.TextMessageContent(message_id="m", delta="tök")


async def test_an_agent_receives_the_headers_that_one_in_this_process_sees() -> None:
    sent = {
        "authorization": "Bearer page",
        "x-tenant": "blue",
        "x-own": "page",
        "x-forwarded-for": "203.0.113.1",
        "x-request-id": "page",
        "x-api-key": "page",
        "cookie": "session=1",
        "accept-language": "de",
    }
    async with ScriptedService(answer(STARTED, FINISHED)) as service:
        agent = AGUIHttpAgent(service.url, headers={"X-Own": "server"})
        config = RuntimeConfig(forward_headers=("*",))
        for runtime in (
            CopilotRuntime(providers=[AGUIProvider({"a": agent})]),
            CopilotRuntime(providers=[AGUIProvider({"a": service.url})], config=config),
        ):
            async with client_of(runtime) as client:
                client.headers.update(sent)
                await run_agent(client, "a", run_input(user("go")))
                await ask(client, PATH, generate(text_message("go"), agent="a"))
    over_agui, over_graphql, all_over_agui, all_over_graphql = service.requests
    expected = {"authorization": "Bearer page", "x-tenant": "blue", "x-own": "server"}
    assert {name: over_agui.headers.get(name) for name in sent} == {**dict.fromkeys(sent), **expected}
    del expected["authorization"]
    assert {name: over_graphql.headers.get(name) for name in sent} == {**dict.fromkeys(sent), **expected}
    for widened in (all_over_agui, all_over_graphql):
        expected = {"authorization": "Bearer page", "x-tenant": "blue", "x-own": "page"}
        assert {name: widened.headers.get(name) for name in sent} == {**dict.fromkeys(sent), **expected}


async def test_a_character_that_an_agent_cuts_in_half_arrives_whole() -> None:
    halves = said(type="TEXT_MESSAGE_CHUNK", messageId="m", delta="\ud83d") + said(
        type="TEXT_MESSAGE_CHUNK", delta="\ude80"
    )
    state = said(type="STATE_SNAPSHOT", snapshot={"cut": "a\ud83d", "none": float("nan")})
    async with ScriptedService(answer(STARTED, halves, state, FINISHED)) as service:
        runtime = CopilotRuntime(providers=[AGUIProvider({"a": service.url})])
        async with client_of(runtime) as client:
            streamed = await run_agent(client, "a", run_input(user("go")))
            told = await ask(client, PATH, generate(text_message("go"), agent="a"))
    assert "".join(event["delta"] for event in streamed if event["type"] == "TEXT_MESSAGE_CONTENT") == "🚀"
    assert [event["snapshot"] for event in streamed if event["type"] == "STATE_SNAPSHOT"] == [
        {"cut": "a\ufffd", "none": None}
    ]
    assert fold(told.parts)["messages"][0]["content"] == ["🚀"]


async def test_the_request_is_agui_s() -> None:
    async with ScriptedService(answer(STARTED, FINISHED)) as service:
        await run(AGUIHttpAgent(service.url + "/agent"))
    (request,) = service.requests
    assert (request.method, request.path) == ("POST", "/agent")
    assert request.headers["accept"] == SSE
    assert request.headers["content-type"] == "application/json"
    assert list(request.json) == [
        "threadId",
        "runId",
        "tools",
        "context",
        "forwardedProps",
        "state",
        "messages",
    ]


async def test_only_allowed_headers_go_along() -> None:
    async def hook(context: RunContext) -> dict[str, str]:
        return {"x-who": context.identity or ""}

    context = RunContext(headers={"authorization": "Bearer x", "x-other": "y"}, identity="me")
    async with ScriptedService(answer(STARTED, FINISHED)) as service:
        agent = AGUIHttpAgent(service.url, headers={"x-key": "k"}, forward_headers=["Authorization"], header_hook=hook)
        await run(agent, context)
        await run(AGUIHttpAgent(service.url, forward_headers=()), context)
    named, silent = service.requests
    assert {name: named.headers.get(name) for name in ("authorization", "x-other", "x-key", "x-who")} == {
        "authorization": "Bearer x",
        "x-other": None,
        "x-key": "k",
        "x-who": "me",
    }
    assert not {"authorization", "x-other", "x-key", "x-who"} & set(silent.headers)


async def test_stopping_a_run_closes_its_request() -> None:
    async with ScriptedService(never_ending) as service:
        provider = AGUIProvider({"a": service.url})
        async with aclosing(provider.execute_run("a", RunInput(thread_id="t", run_id="r"), RunContext())) as started:
            await anext(started)
        async with asyncio.timeout(10):
            await service.caller_gone.wait()
        await provider.stop()


async def test_an_agent_that_falls_silent_is_a_network_error() -> None:
    async with ScriptedService(never_ending) as service:
        with pytest.raises(NetworkError):
            await run(AGUIHttpAgent(service.url, idle_timeout=0.05))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationError),
        (403, AuthenticationError),
        (404, RemoteEndpointNotFoundError),
        (302, CopilotKitError),
        (422, CopilotKitError),
        (500, CopilotKitError),
        (503, NetworkError),
    ],
)
async def test_a_refusal_is_a_typed_error_that_keeps_the_body_from_the_client(
    status: int, kind: type[CopilotKitError]
) -> None:
    secret = b"Traceback: secret " * 1000
    async with ScriptedService(answer(secret, content_type="text/plain", status=status)) as service:
        with pytest.raises(kind) as caught:
            await run(AGUIHttpAgent(service.url))
    assert caught.value.status_code == status
    assert "secret" not in caught.value.message
    assert "secret" in caught.value.__notes__[0]
    assert len(caught.value.__notes__[0]) < 5000


async def test_an_answer_that_is_not_an_event_stream_is_a_typed_error() -> None:
    async with ScriptedService(answer(b'{"error": 1}', content_type="application/json")) as service:
        with pytest.raises(ProtocolError, match="application/json"):
            await run(AGUIHttpAgent(service.url))


async def test_a_broken_connection_is_a_network_error() -> None:
    async with ScriptedService(answer(STARTED, length=10_000)) as service:
        with pytest.raises(NetworkError):
            await run(AGUIHttpAgent(service.url))


async def test_a_stream_without_an_end_is_a_network_error() -> None:
    async with ScriptedService(answer(STARTED, TOKEN)) as service:
        with pytest.raises(NetworkError, match="before the run was over"):
            await run(AGUIHttpAgent(service.url))


async def test_nobody_listening_is_a_network_error() -> None:
    async with ScriptedService(answer()) as service:
        url = service.url
    with pytest.raises(NetworkError):
        await run(AGUIHttpAgent(url))


async def test_a_given_client_is_used_and_left_open() -> None:
    import httpx

    async with ScriptedService(answer(STARTED, FINISHED)) as service, httpx.AsyncClient() as client:
        await run(AGUIHttpAgent(service.url, client=client))
        assert not client.is_closed


def redirecting(status: int, location: str, *, times: int = 1) -> Script:
    """Redirects the first ``times`` requests, and answers the next one."""
    left = [times]

    async def script(_request: Request) -> AsyncGenerator[bytes]:
        if left[0]:
            left[0] -= 1
            line = f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            yield line.encode()
            return
        yield head(SSE) + STARTED + TOKEN + FINISHED

    return script


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("location", ["/agent/", "agent/", "?step=2"])
async def test_a_redirect_within_the_origin_is_followed_with_the_body_and_the_credentials(
    status: int, location: str
) -> None:
    async with ScriptedService(redirecting(status, location, times=3)) as service:
        received = await run(AGUIHttpAgent(service.url + "/agent", headers={"authorization": "Bearer x"}))
    assert events.TextMessageContent(message_id="m", delta="tök") in received
    first, *others = service.requests
    assert len(others) == 3
    assert {request.method for request in service.requests} == {"POST"}
    assert all(other.json == first.json for other in others)
    assert all(other.headers["authorization"] == "Bearer x" for other in others)


async def test_a_redirect_to_the_origin_written_out_is_followed() -> None:
    target: list[str] = []

    async def script(request: Request) -> AsyncGenerator[bytes]:
        if request.path == "/agent":
            yield f"HTTP/1.1 308 Moved\r\nLocation: {target[0]}/there\r\nContent-Length: 0\r\n\r\n".encode()
        else:
            yield head(SSE) + STARTED + FINISHED

    async with ScriptedService(script) as service:
        target.append(service.url.upper().replace("HTTP", "http"))
        await run(AGUIHttpAgent(service.url + "/agent"))
    assert [request.path for request in service.requests] == ["/agent", "/there"]


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_to_another_origin_is_refused_in_words(status: int) -> None:
    async with ScriptedService(answer(STARTED, FINISHED)) as other:
        for location in (
            f"{other.url}/agent",
            other.url.replace("http:", "https:"),
            "http://user@localhost/",
        ):
            async with ScriptedService(redirecting(status, location)) as service:
                with pytest.raises(CopilotKitError, match="redirects to another place") as caught:
                    await run(AGUIHttpAgent(service.url + "/agent"))
            assert location not in caught.value.message
            assert location in caught.value.__notes__[0]
        assert other.requests == []


async def test_redirects_that_never_end_are_given_up() -> None:
    async with ScriptedService(redirecting(307, "/agent", times=100)) as service:
        with pytest.raises(CopilotKitError, match="307"):
            await run(AGUIHttpAgent(service.url + "/agent"))
    assert len(service.requests) == 6


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_redirect_that_would_turn_the_post_into_a_get_is_not_followed(status: int) -> None:
    async with ScriptedService(redirecting(status, "/agent/")) as service:
        with pytest.raises(CopilotKitError, match=str(status)):
            await run(AGUIHttpAgent(service.url + "/agent"))
    assert len(service.requests) == 1


SECOND_STARTED = said(type="RUN_STARTED", threadId="t", runId="r2")
SECOND_FINISHED = said(type="RUN_FINISHED", threadId="t", runId="r2")


async def test_a_second_run_in_the_stream_must_end_too() -> None:
    async with ScriptedService(answer(STARTED, FINISHED, SECOND_STARTED, TOKEN)) as service:
        with pytest.raises(NetworkError, match="before the run was over"):
            await run(AGUIHttpAgent(service.url))
    async with ScriptedService(answer(STARTED, FINISHED, SECOND_STARTED, TOKEN, SECOND_FINISHED)) as service:
        assert (await run(AGUIHttpAgent(service.url)))[-1] == events.RunFinished(thread_id="t", run_id="r2")
