"""Hooks over HTTP: they are given the truth, once, and change nothing."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import msgspec
import pytest

from copilotkit_runtime import CopilotRuntime, Hooks, Observability, RuntimeConfig, errors
from copilotkit_runtime.runtime.hooks import (
    AfterRequest,
    BeforeRequest,
    ErrorEvent,
    ObservedError,
    ObservedRequest,
    ObservedResponse,
    Stopped,
)
from copilotkit_runtime.runtime.messages import TextMessage, ToolCallMessage, ToolResultMessage
from tests.parity.wire import ask
from tests.support.local_server import PATH, client_of
from tests.support.request_bodies import event, scripted, text
from tests.support.scripted_agent import ScriptedProvider
from tests.support.tool_calls import call, play_on, shown


class Ear:
    """Keeps what hooks are called with."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.came = asyncio.Event()

    async def listen(self, told: Any) -> None:
        self.heard.append(told)
        self.came.set()


def runtime_with(hooks: Hooks, **more: Any) -> CopilotRuntime:
    return CopilotRuntime(providers=[ScriptedProvider()], model=ScriptedProvider(), hooks=hooks, **more)


async def greet(name: str) -> str:
    return f"hello {name}"


async def test_the_hook_before_a_request_is_called_with_it() -> None:
    ear = Ear()
    async with client_of(runtime_with(Hooks(on_before_request=ear.listen))) as client:
        await play_on(client, *text("a", "hi"), agent="scripted", frontend={"url": "http://page.test/", "actions": []})
    [told] = ear.heard
    assert isinstance(told, BeforeRequest)
    assert (told.thread_id, told.agent_name, told.url) == ("t-1", "scripted", "http://page.test/")
    assert [message.id for message in told.input_messages] == ["m-1"]


@pytest.mark.parametrize("agent", ["scripted", None])
async def test_the_hook_before_a_request_may_refuse_it(agent: str | None) -> None:
    asked = Ear()

    def refuse(_told: BeforeRequest) -> None:
        raise errors.CopilotKitError("Not on Sundays.")

    hooks = Hooks(on_before_request=refuse, observability=Observability(on_request=asked.listen))
    async with client_of(runtime_with(hooks)) as client, asyncio.timeout(60):
        answer = await ask(client, PATH, scripted(*text("a", "hi"), agent=agent))
    assert answer.status == 200
    assert answer.parts[0]["errors"][0]["message"] == "Not on Sundays."
    assert not asked.heard


async def test_what_a_refusing_hook_did_not_mean_to_publish_is_not_sent() -> None:
    asked: list[BeforeRequest] = []

    def refuse(request: BeforeRequest) -> None:
        asked.append(request)
        raise PermissionError("token 1234 is unknown")

    async with client_of(runtime_with(Hooks(on_before_request=refuse))) as client:
        answer = await ask(client, PATH, scripted(*text("a", "hi")))
    assert len(asked) == 1
    assert answer.parts[0]["errors"]
    assert "1234" not in str(answer.parts)


async def test_a_hook_before_a_request_that_never_ends_refuses_it_in_time() -> None:
    hanging = asyncio.Event()

    async def hang(_request: BeforeRequest) -> None:
        hanging.set()
        await asyncio.Event().wait()

    async with client_of(runtime_with(Hooks(on_before_request=hang, timeout=0.2))) as client, asyncio.timeout(60):
        answer = await ask(client, PATH, scripted(*text("a", "hi")))
    assert hanging.is_set()
    assert answer.parts[0]["errors"]


async def test_the_hook_after_a_request_is_called_with_the_complete_answer_in_start_order() -> None:
    ear = Ear()
    steps = [
        event("TEXT_MESSAGE_START", messageId="a"),
        event("TEXT_MESSAGE_START", messageId="b"),
        event("TEXT_MESSAGE_CONTENT", messageId="b", delta="second"),
        event("TEXT_MESSAGE_CONTENT", messageId="a", delta="fi"),
        event("TEXT_MESSAGE_CONTENT", messageId="a", delta="rst"),
        *call("c", "greet", '{"name":', '"Bo"}'),
    ]
    async with client_of(runtime_with(Hooks(on_after_request=ear.listen), actions=[greet])) as client:
        await play_on(client, *steps)
        await ear.came.wait()
    [told] = ear.heard
    assert isinstance(told, AfterRequest)
    a, b, called, result = told.output_messages
    assert [(m.id, m.content) for m in (a, b) if isinstance(m, TextMessage)] == [("a", "first"), ("b", "second")]
    assert isinstance(called, ToolCallMessage)
    assert called.arguments == {"name": "Bo"}
    assert isinstance(result, ToolResultMessage)
    assert result.result == "hello Bo"


async def test_an_error_is_reported_in_the_contracts_shape() -> None:
    after, ear = Ear(), Ear()
    hooks = Hooks(on_error=ear.listen, on_after_request=after.listen)
    async with client_of(runtime_with(hooks)) as client:
        await play_on(client, {"raise": "boom"}, agent="scripted", frontend={"url": "http://page.test/", "actions": []})
        await ear.came.wait()
    [told] = ear.heard
    assert isinstance(told, ErrorEvent)
    assert str(told.error) == "boom"
    shape = told.as_json()
    assert set(shape) == {"type", "timestamp", "context", "error"}
    assert shape["type"] == "error"
    context = shape["context"]
    assert set(context) == {"threadId", "runId", "source", "request", "response", "agent", "technical"}
    assert (context["threadId"], context["source"], context["agent"]) == ("t-1", "agent", {"name": "scripted"})
    assert set(context["request"]) == {"operation", "method", "startTime", "url"}
    assert context["response"]["endTime"] >= context["request"]["startTime"]
    assert context["technical"]["environment"] == "development"
    assert "boom" in context["technical"]["stackTrace"]
    assert not after.heard


async def test_an_error_before_the_run_is_reported_as_well() -> None:
    ear = Ear()
    async with client_of(runtime_with(Hooks(on_error=ear.listen))) as client:
        await ask(client, PATH, scripted(agent="nobody"))
        await ear.came.wait()
    assert isinstance(ear.heard[0].error, errors.AgentNotFoundError)


async def leave_early(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    async with client.stream("POST", PATH, json=body) as response:
        async for chunk in response.aiter_text():
            if "word" in chunk:
                return


@pytest.mark.parametrize("on_disconnect", ["cancel", "continue"])
async def test_a_client_that_leaves_is_reported_once(on_disconnect: Any) -> None:
    ear, end = Ear(), {"after": 0.3, **event("TEXT_MESSAGE_END", messageId="a")}
    after = Ear()
    config = RuntimeConfig(on_disconnect=on_disconnect)
    hooks = Hooks(on_stop=ear.listen, on_after_request=after.listen)
    async with client_of(runtime_with(hooks, config=config)) as client, asyncio.timeout(60):
        await leave_early(client, scripted(*text("a", "word")[:-1], end))
        await ear.came.wait()
        if on_disconnect == "continue":
            await after.came.wait()
    [told] = ear.heard
    assert isinstance(told, Stopped)
    assert told.last_message is not None
    assert told.last_message.id == "m-1"
    assert bool(after.heard) is (on_disconnect == "continue")


async def test_a_client_that_stays_to_the_end_has_not_stopped() -> None:
    ear, after = Ear(), Ear()
    async with client_of(runtime_with(Hooks(on_stop=ear.listen, on_after_request=after.listen))) as client:
        await play_on(client, *text("a", "hi"))
        await after.came.wait()
    assert not ear.heard


@pytest.mark.parametrize("agent", ["scripted", None])
async def test_calls_of_the_provider_are_observed(agent: str | None) -> None:
    ear = Ear()
    seen = Observability(on_request=ear.listen, on_response=ear.listen, progressive=True)
    async with client_of(runtime_with(Hooks(observability=seen), actions=[greet])) as client:
        await play_on(client, *text("a", "Hel", "lo"), agent=agent, forwardedParameters={"model": "m"})
    asked, first, second, final = ear.heard
    assert isinstance(asked, ObservedRequest)
    assert [tool.name for tool in asked.actions] == ["greet"]
    assert (asked.model, asked.provider, asked.agent_name) == ("m", "scripted", agent)
    assert isinstance(first, ObservedResponse)
    assert (first.output, first.is_progressive_chunk, second.output) == ("Hel", True, "lo")
    assert final.is_final_response
    assert final.output[0].content == "Hello"
    assert msgspec.to_builtins(final)["isFinalResponse"] is True


async def test_failures_of_the_provider_are_observed() -> None:
    ear = Ear()
    async with client_of(runtime_with(Hooks(observability=Observability(on_error=ear.listen)))) as client:
        await play_on(client, {"raise": "boom"})
        await ear.came.wait()
    assert isinstance(ear.heard[0], ObservedError)
    assert str(ear.heard[0].error) == "boom"


def raising(_told: Any) -> None:
    raise RuntimeError("the hook is broken")


async def hanging(_told: Any) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("hook", [raising, hanging])
async def test_a_hook_that_raises_or_hangs_changes_nothing(hook: Any) -> None:
    seen = Observability(on_request=hook, on_response=hook, on_error=hook, progressive=True)
    hooks = Hooks(on_after_request=hook, on_error=hook, on_stop=hook, observability=seen, timeout=0.3)
    async with client_of(runtime_with(hooks)) as client, asyncio.timeout(10):
        response = await play_on(client, *text("a", "Hel", "lo"))
        failed = await play_on(client, {"raise": "boom"})
    assert shown(response) == ["Hello"]
    assert response["status"]["code"] == "Success"
    assert failed["status"]["code"] == "Failed"


async def test_a_slow_chunk_hook_does_not_slow_the_answer() -> None:
    release = threading.Event()

    def block(_told: ObservedResponse) -> None:
        release.wait(100)

    seen = Observability(on_response=block, progressive=True)
    async with client_of(runtime_with(Hooks(observability=seen))) as client, asyncio.timeout(60):
        try:
            response = await play_on(client, *text("a", *["x"] * 3000))
        finally:
            release.set()
    assert len(shown(response)[0]) == 3000
