from __future__ import annotations

import asyncio
import json
import tracemalloc
import zlib
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from copilotkit_runtime.providers.remote import RemoteEndpointProvider
from copilotkit_runtime.runtime import events
from copilotkit_runtime.runtime.context import RunContext, RunInput
from copilotkit_runtime.runtime.errors import (
    ApiNotFoundError,
    AuthenticationError,
    CopilotKitError,
    NetworkError,
    ProtocolError,
)
from copilotkit_runtime.runtime.stores.interface import AgentState
from copilotkit_runtime.testing import Request, ScriptedService, head

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Answer = Callable[[Request], AsyncIterator[bytes]]

INFO = {"sdkVersion": "1", "actions": [], "agents": [{"name": "a", "description": "A", "type": "crewai"}]}
TEXT = {"type": "TextMessageContent", "messageId": "m", "content": "x"}


def whole(body: Any, status: int = 200) -> bytes:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head("application/json", status=status, length=len(encoded)) + encoded


def answering(*pieces: bytes, path: str = "/agents/execute", hang: bool = False) -> Answer:
    """A service that offers agent ``a`` and answers ``path`` with ``pieces``."""

    async def script(request: Request) -> AsyncIterator[bytes]:
        if request.path != path:
            yield whole(INFO)
            return
        for piece in pieces:
            yield piece
        if hang:
            await asyncio.Event().wait()

    return script


def provider_of(service: ScriptedService, **options: Any) -> RemoteEndpointProvider:
    return RemoteEndpointProvider(service.url, **{"retry_wait": 0, **options})


async def run(provider: RemoteEndpointProvider, context: RunContext | None = None) -> list[events.Event]:
    input_ = RunInput(thread_id="t", run_id="r")
    try:
        return [event async for event in provider.execute_run("a", input_, context or RunContext())]
    finally:
        await provider.stop()


async def test_lines_may_be_cut_anywhere_and_the_last_needs_no_newline() -> None:
    body = (json.dumps(TEXT) + "\r\n\n" + json.dumps({**TEXT, "content": "é"}, ensure_ascii=False)).encode()
    pieces = [head("text/plain"), *(bytes([byte]) for byte in body)]
    async with ScriptedService(answering(*pieces)) as service:
        seen = await run(provider_of(service))
    assert seen == [
        events.TextMessageContent(message_id="m", delta="x"),
        events.TextMessageContent(message_id="m", delta="é"),
    ]


async def test_reads_are_tried_again() -> None:
    remaining = iter([503, 429, 502, 200])

    async def script(_request: Request) -> AsyncIterator[bytes]:
        yield whole(INFO, status=next(remaining))

    async with ScriptedService(script) as service:
        provider = provider_of(service)
        assert [agent.name for agent in await provider.list_agents()] == ["a"]
        assert len(service.requests) == 4
        await provider.stop()


async def test_reads_are_not_tried_for_ever() -> None:
    async with ScriptedService(answering(whole({}, status=503), path="/info")) as service:
        with pytest.raises(NetworkError):
            await provider_of(service, attempts=3).list_agents()
        assert len(service.requests) == 3


async def test_what_acts_is_never_repeated() -> None:
    async def script(request: Request) -> AsyncIterator[bytes]:
        yield whole(INFO) if request.path == "/info" else whole({}, status=503)

    async with ScriptedService(script) as service:
        provider = provider_of(service)
        with pytest.raises(NetworkError):
            await provider.execute_action("x", {}, {})
        with pytest.raises(NetworkError):
            await run(provider)
        paths = [request.path for request in service.requests]
    assert paths == ["/actions/execute", "/info", "/agents/execute"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, ApiNotFoundError), (404, ApiNotFoundError), (401, AuthenticationError), (500, CopilotKitError)],
)
async def test_a_refusal_is_a_typed_error(status: int, kind: type[CopilotKitError]) -> None:
    async with ScriptedService(answering(whole({"error": "secret"}, status=status), path="/info")) as service:
        with pytest.raises(kind) as caught:
            await provider_of(service).list_agents()
        assert len(service.requests) == 1
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("body", [b"<html>", b'{"agents": []}', b'{"actions": [], "agents": [{}]}', b"[]"])
async def test_an_offer_in_a_wrong_form_is_a_typed_error(body: bytes) -> None:
    async with ScriptedService(answering(whole(body), path="/info")) as service:
        with pytest.raises(ProtocolError):
            await provider_of(service).list_agents()


@pytest.mark.parametrize(
    "line", [b"garbage\n", b"[]\n", b'{"type":"Nothing"}\n', b'{"type":"TextMessageStart"}\n', b'{"a":']
)
async def test_garbage_is_a_typed_error(line: bytes) -> None:
    async with ScriptedService(answering(head("text/plain"), line)) as service:
        with pytest.raises(ProtocolError):
            await run(provider_of(service))


@pytest.mark.parametrize("path", ["/info", "/agents/execute"])
async def test_a_compressed_answer_is_refused_before_it_is_unpacked(path: str) -> None:
    bomb = zlib.compress(b" " * 64_000_000)
    start = head("text/plain", length=len(bomb)).replace(b"\r\n\r\n", b"\r\nContent-Encoding: deflate\r\n\r\n")
    async with ScriptedService(answering(start, bomb, path=path)) as service:
        tracemalloc.start()
        try:
            with pytest.raises(ProtocolError, match="compressed"):
                await run(provider_of(service))
            assert tracemalloc.get_traced_memory()[1] < 16_000_000
        finally:
            tracemalloc.stop()
        assert all(request.headers["accept-encoding"] == "identity" for request in service.requests)


async def test_an_answer_without_an_end_is_given_up() -> None:
    async def endless(_request: Request) -> AsyncIterator[bytes]:
        yield head("application/json")
        while True:
            yield b" " * 1_000_000

    async with ScriptedService(endless) as service, asyncio.timeout(60):
        with pytest.raises(ProtocolError, match="more than"):
            await provider_of(service).list_agents()


async def test_an_answer_that_comes_by_drops_is_given_up() -> None:
    async def dripping(_request: Request) -> AsyncIterator[bytes]:
        yield head("application/json")
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    async with ScriptedService(dripping) as service, asyncio.timeout(60):
        with pytest.raises(NetworkError, match="too long"):
            await provider_of(service, idle_timeout=1.0, attempts=1).list_agents()


async def test_a_broken_connection_is_a_network_error() -> None:
    async with ScriptedService(answering(head("text/plain", length=1000), b"{")) as service:
        with pytest.raises(NetworkError):
            await run(provider_of(service))


async def test_an_agent_that_falls_silent_is_a_network_error() -> None:
    async with ScriptedService(answering(head("text/plain"), hang=True)) as service:
        with pytest.raises(NetworkError):
            await run(provider_of(service, idle_timeout=0.05))


async def test_stopping_a_run_closes_its_request() -> None:
    line = json.dumps(TEXT).encode() + b"\n"
    async with ScriptedService(answering(head("text/plain"), line, hang=True)) as service:
        provider = provider_of(service)
        input_ = RunInput(thread_id="t", run_id="r")
        async with aclosing(provider.execute_run("a", input_, RunContext())) as started:
            await anext(started)
        async with asyncio.timeout(10):
            await service.caller_gone.wait()
        await provider.stop()


async def test_headers_and_properties_go_along_as_allowed() -> None:
    async with ScriptedService(answering(head("text/plain"))) as service:
        provider = provider_of(service, forward_headers=["authorization"], headers={"x-key": "k"})
        context = RunContext(headers={"authorization": "Bearer x", "x-other": "y"}, properties={"p": 1})
        await run(provider, context)
        executed = service.requests[-1]
    assert (executed.headers["authorization"], executed.headers["x-key"]) == ("Bearer x", "k")
    assert "x-other" not in executed.headers
    assert executed.json["properties"] == {"p": 1}


async def test_what_an_endpoint_offers_is_remembered_for_a_while() -> None:
    async with ScriptedService(answering(head("text/plain"))) as service:
        provider = provider_of(service)
        await provider.list_agents()
        await provider.list_agents()
        assert len(service.requests) == 1
        forgetful = provider_of(service, info_lifetime=0)
        await forgetful.list_agents()
        await forgetful.list_agents()
        assert len(service.requests) == 3
        await provider.stop()
        await forgetful.stop()


async def test_an_agent_without_a_memory_of_its_own_has_the_runtimes() -> None:
    class Store:
        async def load(self, thread_id: str, agent_name: str) -> AgentState:
            return AgentState(state={"of": [thread_id, agent_name]})

    nothing = whole({"threadId": "t", "threadExists": False, "state": {}, "messages": []})
    async with ScriptedService(answering(nothing, path="/agents/state")) as service:
        provider = provider_of(service)
        provider.store = Store()  # type: ignore[assignment]
        state = await provider.load_state("t", "a")
        await provider.stop()
    assert state is not None
    assert state.state == {"of": ["t", "a"]}
