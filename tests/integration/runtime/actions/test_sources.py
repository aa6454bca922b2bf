"""Actions of remote endpoints and LangServe chains, behind services that speak their protocols."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from copilotkit_runtime import Action, ActionSource, CopilotRuntime, RunContext, RuntimeConfig
from copilotkit_runtime.providers.langserve import LangServeChain
from copilotkit_runtime.providers.remote import RemoteEndpointProvider
from copilotkit_runtime.testing import Request, ScriptedService, head
from tests.support.local_server import client_of
from tests.support.request_bodies import text
from tests.support.scripted_agent import ScriptedProvider
from tests.support.tool_calls import Listener, call, play_on, results, shown

INFO = {
    "actions": [{"name": "add", "description": "Adds", "parameters": [{"name": "left", "type": "number"}]}],
    "agents": [],
    "sdkVersion": "0.1.0",
}


def answering(answers: dict[str, Any]) -> Any:
    async def script(request: Request) -> AsyncIterator[bytes]:
        status, body = (200, answers[request.path]) if request.path in answers else (500, {})
        yield head("application/json", status=status) + json.dumps(body).encode()

    return script


async def test_a_remote_endpoints_actions_are_offered_and_executed_there() -> None:
    listener = Listener()
    answers = {"/info": INFO, "/actions/execute": {"result": {"sum": 3}}}
    async with ScriptedService(answering(answers)) as service:
        provider = RemoteEndpointProvider(service.url)
        async with client_of(CopilotRuntime([provider], model=listener)) as client, asyncio.timeout(10):
            response = await play_on(client, *call("c", "add", '{"left":1}'))
        executed = [request.json for request in service.requests if request.path == "/actions/execute"]
    assert results(response) == {"c": '{"sum":3}'}
    assert executed == [{"name": "add", "arguments": {"left": 1}, "properties": {}}]
    assert listener.given[0].tools[0].parameters == {
        "type": "object",
        "properties": {"left": {"type": "number"}},
        "required": ["left"],
    }


async def test_a_remote_action_that_fails_is_reported_and_done_once() -> None:
    async with ScriptedService(answering({"/info": INFO})) as service:
        runtime = CopilotRuntime([RemoteEndpointProvider(service.url)], model=ScriptedProvider())
        async with client_of(runtime) as client, asyncio.timeout(10):
            response = await play_on(client, *call("c", "add", '{"left":1}'), *text("a", "on"))
        assert [request.path for request in service.requests].count("/actions/execute") == 1
    assert json.loads(results(response)["c"])["error"]["code"] == "HANDLER_ERROR"
    assert shown(response)[-1] == "on"


async def test_a_chain_is_an_action() -> None:
    answers = {"/chain/input_schema": {"type": "string"}, "/chain/invoke": {"output": "said"}}
    async with ScriptedService(answering(answers)) as service:
        chain = LangServeChain("ask", f"{service.url}/chain", description="Asks")
        async with client_of(CopilotRuntime(model=ScriptedProvider(), actions=[chain])) as client, asyncio.timeout(10):
            response = await play_on(client, *call("c", "ask", '{"input":"hm"}'))
        assert service.requests[-1].json["input"] == "hm"
    assert results(response) == {"c": "said"}


async def test_a_chain_that_cannot_be_described_takes_nothing_with_it() -> None:
    chain = LangServeChain("ask", "http://127.0.0.1:9/chain")
    async with client_of(CopilotRuntime(model=ScriptedProvider(), actions=[chain])) as client, asyncio.timeout(10):
        assert shown(await play_on(client, *text("a", "hi"))) == ["hi"]


class Slow(ActionSource):
    """Never reports what it offers."""

    async def actions(self, context: RunContext) -> list[Action]:
        await asyncio.Event().wait()
        return []


async def test_a_source_that_never_answers_is_left_out_in_time() -> None:
    config = RuntimeConfig(action_source_timeout_seconds=0.2)
    runtime = CopilotRuntime(model=ScriptedProvider(), actions=[Slow()], config=config)
    async with client_of(runtime) as client, asyncio.timeout(20):
        assert shown(await play_on(client, *text("a", "hi"))) == ["hi"]


class Living(ActionSource):
    """Notes its life."""

    def __init__(self) -> None:
        self.life: list[str] = []

    async def actions(self, context: RunContext) -> list[Action]:
        return [Action("one", "", lambda: 1)]

    async def start(self) -> None:
        self.life.append("started")

    async def stop(self) -> None:
        self.life.append("stopped")


async def test_a_source_of_ones_own_starts_and_stops_with_the_runtime() -> None:
    source = Living()
    async with client_of(CopilotRuntime(model=ScriptedProvider(), actions=[source])) as client:
        assert results(await play_on(client, *call("c", "one"))) == {"c": "1"}
    assert source.life == ["started", "stopped"]
