"""Real MCP servers over every transport, and what becomes of runs when they fail."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from copilotkit_runtime import Action, CopilotRuntime, RuntimeConfig, errors
from copilotkit_runtime.providers.mcp import MCPServer
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.testing import Request, ScriptedService
from tests.integration.mcp.conftest import SCRIPT, serve
from tests.parity.fold import fold
from tests.parity.wire import ask
from tests.support.local_server import PATH, client_of
from tests.support.ports import free_port
from tests.support.request_bodies import scripted, text, text_message
from tests.support.scripted_agent import ScriptedProvider
from tests.support.tool_calls import Listener, call, play_on, results, shown


def runtime_with(*servers: Any, **more: Any) -> CopilotRuntime:
    return CopilotRuntime(model=ScriptedProvider(), mcp_servers=servers, **more)


async def test_tools_are_called_over_every_transport(server: MCPServer) -> None:
    places = {"places": [{"city": "Bonn", "zip": 5}], "tags": ["a"]}
    steps = [*call("c", "add", '{"left":2,"right":3}'), *call("d", "find", json.dumps(places)), *call("e", "draw")]
    async with client_of(runtime_with(server, config=RuntimeConfig(action_source_timeout_seconds=30))) as client:
        found = results(await play_on(client, *steps))
    assert found["c"] == "5"
    assert json.loads(found["d"]) == {"found": ["Bonn"], "tags": ["a"], "kind": "any"}
    assert json.loads(found["e"]) == [{"type": "image", "data": "AAAA", "mimeType": "image/png"}]


async def test_tools_keep_their_whole_schema_and_models_are_sent_how_to_use_them() -> None:
    listener = Listener()
    system = text_message("Be kind.", role="system", id_="s")
    async with serve() as url, client_of(CopilotRuntime(model=listener, mcp_servers=[url])) as client:
        body = scripted(agent=None)
        body["variables"]["data"]["messages"].insert(0, system)
        await ask(client, PATH, body)
    [run] = listener.given
    schema = next(tool for tool in run.tools if tool.name == "find").parameters
    assert schema["properties"]["tags"] == {"items": {"type": "string"}, "title": "Tags", "type": "array"}
    assert schema["$defs"]["Place"]["properties"]["city"]["type"] == "string"
    told = run.messages[0]
    assert isinstance(told, TextMessage)
    assert told.content.startswith("Be kind.\n\nYou have access to the following external tools")
    assert "- add: Adds numbers\n    - left* (integer)\n    - right* (integer)\n\n- find" in told.content
    assert "- fail: Fails\n    No parameters required" in told.content


async def test_a_tool_that_fails_is_reported_and_the_run_goes_on() -> None:
    async with serve() as url, client_of(runtime_with(url)) as client, asyncio.timeout(10):
        response = await play_on(client, *call("c", "fail"), *text("a", "on"))
    error = json.loads(results(response)["c"])["error"]
    assert error["code"] == "HANDLER_ERROR"
    assert error["message"].startswith("Execution failed for MCP tool 'fail': ")
    assert "no luck" in error["message"]
    assert shown(response)[-1] == "on"


@pytest.mark.parametrize(
    "server",
    [
        MCPServer(url="http://127.0.0.1:9/mcp"),
        MCPServer(url="http://127.0.0.1:9/sse"),
        MCPServer(command="/nowhere/at-all"),
        MCPServer(command=sys.executable, args=("-c", "print('no MCP')")),
    ],
    ids=["http", "sse", "no command", "no server"],
)
# mcp 1.26 leaves two streams in memory unclosed when nothing listens at an SSE server's address.
@pytest.mark.filterwarnings("ignore:.*<function MemoryObject:pytest.PytestUnraisableExceptionWarning")
async def test_a_server_that_is_not_there_is_never_fatal(server: MCPServer) -> None:
    async with client_of(runtime_with(server)) as client, asyncio.timeout(30):
        assert shown(await play_on(client, *text("a", "hi"))) == ["hi"]
    gc.collect()


async def test_a_server_that_hangs_holds_up_a_request_no_longer_than_its_time() -> None:
    async def script(_request: Request) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async with ScriptedService(script) as service:
        server = MCPServer(url=f"{service.url}/mcp", connect_timeout=0.5)
        async with client_of(runtime_with(server)) as client, asyncio.timeout(20):
            assert shown(await play_on(client, *text("a", "hi"))) == ["hi"]


async def test_a_server_that_comes_back_is_found_again() -> None:
    port = free_port()
    server = MCPServer(url=f"http://127.0.0.1:{port}/mcp", retry_after=0.1)
    async with client_of(runtime_with(server)) as client:
        assert results(await play_on(client, *call("c", "add", '{"left":1,"right":1}'))) == {}
        async with serve(port=port), asyncio.timeout(20):
            found: dict[str, str] = {}
            while not found:
                found = results(await play_on(client, *call("c", "add", '{"left":1,"right":1}')))
    assert found == {"c": "2"}


async def test_a_server_that_dies_in_a_call_is_reported_and_started_again() -> None:
    server = MCPServer(command=sys.executable, args=(str(SCRIPT), "stdio"), call_timeout=2, connect_timeout=30)
    config = RuntimeConfig(action_source_timeout_seconds=30)
    async with client_of(runtime_with(server, config=config)) as client, asyncio.timeout(40):
        died = await play_on(client, *call("c", "die"), *text("a", "on"))
        found: dict[str, str] = {}
        while found.get("c") != "2":
            found = results(await play_on(client, *call("c", "add", '{"left":1,"right":1}')))
    assert json.loads(results(died)["c"])["error"]["code"] == "HANDLER_ERROR"
    assert shown(died)[-1] == "on"


async def test_an_own_action_wins_over_a_tool_of_its_name() -> None:
    async with serve() as url, client_of(runtime_with(url, actions=[Action("add", "", lambda **_: "mine")])) as client:
        assert results(await play_on(client, *call("c", "add", '{"left":1,"right":1}'))) == {"c": "mine"}


async def asked_by_page(runtime: CopilotRuntime, url: str) -> dict[str, str]:
    body = scripted(*call("c", "add", '{"left":1,"right":1}'), agent=None)
    body["variables"]["properties"] = {"mcpServers": [{"endpoint": url}]}
    async with client_of(runtime) as client, asyncio.timeout(20):
        answer = await ask(client, PATH, body)
    return results(fold(answer.parts))


async def test_a_server_that_the_client_names_is_never_called_unless_it_is_listed() -> None:
    called = asyncio.Event()

    async def script(_request: Request) -> AsyncIterator[bytes]:
        called.set()
        yield b""

    async with ScriptedService(script) as service:
        for allowed in ((), ("http://127.0.0.1:1/",)):
            runtime = CopilotRuntime(model=ScriptedProvider(), config=RuntimeConfig(mcp_client_urls=allowed))
            assert await asked_by_page(runtime, f"{service.url}/mcp") == {}
    assert not called.is_set()


async def test_a_server_that_the_client_names_and_the_list_admits_is_used() -> None:
    async with serve() as url:
        config = RuntimeConfig(mcp_client_urls=(url,), action_source_timeout_seconds=20)
        assert await asked_by_page(CopilotRuntime(model=ScriptedProvider(), config=config), url) == {"c": "2"}


async def test_sessions_end_with_the_runtime() -> None:
    before = asyncio.all_tasks()
    server = MCPServer(command=sys.executable, args=(str(SCRIPT), "stdio"), connect_timeout=30)
    runtime = runtime_with(server, config=RuntimeConfig(action_source_timeout_seconds=30))
    async with runtime, client_of(runtime) as client:
        assert results(await play_on(client, *call("c", "add", '{"left":1,"right":1}'))) == {"c": "2"}
    assert not [task for task in asyncio.all_tasks() - before if "mcp" in task.get_name()]


@pytest.mark.parametrize("given", [3, {"url": "x"}, "ftp://x/", "http://user:key@host/", MCPServer()])
def test_what_is_not_a_server_is_refused_when_the_runtime_is_made(given: Any) -> None:
    with pytest.raises(errors.MisuseError):
        CopilotRuntime(mcp_servers=[given])
