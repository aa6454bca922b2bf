"""Apps of MCP servers: what clients draw, and what the pages of apps may ask for through the runtime."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from copilotkit_runtime import CopilotRuntime, RuntimeConfig, errors
from copilotkit_runtime.providers.mcp import MCPServer
from tests.integration.mcp.conftest import serve, until_listening
from tests.support.agui_client import PATH, connect, events_of, run, run_input, script, types_of
from tests.support.local_server import client_of
from tests.support.ports import free_port
from tests.support.scripted_agent import ScriptedProvider
from tests.support.tool_calls import Listener, call

APPS = Path(__file__).with_name("app_server.py")
LOCAL = MCPServer(command=sys.executable, args=(str(APPS), "stdio"), connect_timeout=30, server_id="clock")
PAGE = "ui://clock/page.html"


def runtime_of(server: Any, **more: Any) -> CopilotRuntime:
    return CopilotRuntime(providers=[ScriptedProvider()], mcp_apps=[server], **more)


@pytest.fixture(scope="module")
def clock() -> Iterator[MCPServer]:
    """One server of apps."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(APPS), "streamable-http", str(port)])
    yield MCPServer(url=f"http://127.0.0.1:{port}/mcp", connect_timeout=30, server_id="clock")
    process.kill()
    process.wait()


@pytest.fixture
async def client(clock: MCPServer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a runtime with one server of apps."""
    await until_listening(int(str(clock.url).split(":")[2].split("/")[0]))
    async with client_of(runtime_of(clock)) as client:
        yield client


def asked_by_a_page(method: str, params: Any = None, **more: Any) -> dict[str, Any]:
    request = {"serverHash": None, "serverId": "clock", "method": method, "params": params, **more}
    return run_input(thread="t", run="p", forwardedProps={"__proxiedMCPRequest": request})


async def answer(client: httpx.AsyncClient, body: dict[str, Any]) -> Any:
    """What the server answers to the page of an app."""
    started, finished = await run(client, "scripted", body)
    assert started == {"type": "RUN_STARTED", "threadId": "t", "runId": "p"}
    result = finished.pop("result")
    assert finished == {"type": "RUN_FINISHED", "threadId": "t", "runId": "p"}
    return result


@pytest.mark.parametrize("tool", ["show_clock", "show_old_clock"])
async def test_a_tool_with_an_interface_is_drawn_behind_its_result(
    client: httpx.AsyncClient, clock: MCPServer, tool: str
) -> None:
    events = await run(client, "scripted", run_input(script(*call("c", tool, '{"zone":"Rome"}'))))
    past = await connect(client, "scripted")
    assert types_of(events)[-3:] == ["TOOL_CALL_RESULT", "ACTIVITY_SNAPSHOT", "RUN_FINISHED"]
    result, activity = events[-3], events[-2]
    assert json.loads(result["content"]) == {"content": "It is noon in Rome.", "structuredContent": {"h": 12}}
    assert activity in past
    assert (activity["messageId"], activity["activityType"]) == ("c-activity", "mcp-apps")
    activity["content"]["result"].pop("resultType", None)  # version 2 of the package has it
    assert activity["content"] == {
        "result": {
            "content": [{"type": "text", "text": "It is noon in Rome."}],
            "structuredContent": {"h": 12},
            "isError": False,
        },
        "resourceUri": PAGE,
        "serverHash": clock.hash,
        "serverId": "clock",
        "toolInput": {"zone": "Rome"},
    }


async def test_models_are_offered_the_tools_that_bring_an_interface_and_are_for_them() -> None:
    listener = Listener()
    async with client_of(CopilotRuntime(model=listener, mcp_apps=[LOCAL])) as client:
        await run(client, "default", run_input(script()))
    offered = {tool.name for tool in listener.given[0].tools}
    assert offered == {"show_clock", "show_old_clock", "show_file", "break_clock", "flood"}


async def test_a_server_that_is_for_one_agent_is_not_another_s() -> None:
    other, server = Listener("other"), msgspec.structs.replace(LOCAL, agent_id="scripted")
    body = asked_by_a_page("resources/read", {"uri": PAGE})
    async with client_of(CopilotRuntime(providers=[ScriptedProvider(), other], mcp_apps=[server])) as client:
        drawn = await run(client, "scripted", run_input(script(*call("c", "show_clock", '{"zone":"Rome"}'))))
        await run(client, "other", run_input(script(), thread="o"))
        ours, theirs = await answer(client, body), await run(client, "other", body)
    assert "ACTIVITY_SNAPSHOT" in types_of(drawn)
    assert other.given[0].tools == []
    assert ours["contents"]
    assert theirs[-1]["result"] == {"error": "Unknown MCP server."}


async def test_each_agent_has_the_tool_of_its_own_server() -> None:
    servers = [msgspec.structs.replace(LOCAL, server_id=name, agent_id=name) for name in ("scripted", "other")]
    steps = script(*call("c", "show_clock", '{"zone":"Rome"}'))
    async with client_of(CopilotRuntime(providers=[ScriptedProvider(), Listener("other")], mcp_apps=servers)) as client:
        for agent in ("scripted", "other"):
            drawn = await run(client, agent, run_input(steps, thread=agent))
            [activity] = [event for event in drawn if event["type"] == "ACTIVITY_SNAPSHOT"]
            assert activity["content"]["serverId"] == agent


async def test_a_tool_that_fails_is_drawn_with_its_failure(client: httpx.AsyncClient) -> None:
    events = await run(client, "scripted", run_input(script(*call("c", "break_clock"))))
    assert "it is broken" in json.loads(events[-3]["content"])["error"]["message"]
    assert events[-2]["content"]["result"]["isError"] is True


async def test_the_page_of_an_app_reads_its_interface(client: httpx.AsyncClient) -> None:
    result = await answer(client, asked_by_a_page("resources/read", {"uri": PAGE}))
    [contents] = result["contents"]
    assert contents["text"].startswith("<!doctype html>")
    assert contents["mimeType"] == "text/html;profile=mcp-app"


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("tools/call", {"name": "tick", "arguments": {"by": 3}}, "Ticked by 3."),
        ("tools/call", {"name": "plain"}, "It is noon in Bonn."),
        ("resources/read", {"uri": "file:///page.html"}, "contents of file:///page.html"),
        ("resources/read", {"uri": "ui://clock/data"}, "contents of ui://clock/data"),
        ("ping", None, "{}"),
        ("notifications/message", {"level": "info", "data": "seen"}, "{}"),
    ],
)
async def test_what_the_page_of_an_app_may_request(
    client: httpx.AsyncClient, method: str, params: Any, expected: str
) -> None:
    assert expected in json.dumps(await answer(client, asked_by_a_page(method, params)))


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/list", {}),
        ("initialize", {}),
        ("sampling/createMessage", {}),
        ("resources/list", {}),
        ("tools/call", {"name": "forbidden"}),
        ("tools/call", {"name": "unknown"}),
        ("tools/call", {"name": ["tick"]}),
        ("tools/call", None),
        ("resources/read", {"uri": "file:///etc/passwd"}),
        ("resources/read", {"uri": ["ui://"]}),
        ("resources/read", {}),
    ],
)
async def test_what_the_page_of_an_app_may_not_request(client: httpx.AsyncClient, method: str, params: Any) -> None:
    result = await answer(client, asked_by_a_page(method, params))
    assert list(result) == ["error"]
    assert "may not" in result["error"]


async def test_resources_of_other_schemes_may_be_read_if_the_application_allows_it() -> None:
    server = msgspec.structs.replace(LOCAL, app_resources=("file:///public/",))
    async with client_of(runtime_of(server)) as client:
        allowed = await answer(client, asked_by_a_page("resources/read", {"uri": "file:///public/a"}))
        refused = await answer(client, asked_by_a_page("resources/read", {"uri": "ui://clock/data"}))
    assert "contents" in allowed
    assert "may not" in refused["error"]


@pytest.mark.parametrize(
    "named",
    [{"serverHash": "other", "serverId": None}, {"serverHash": "http://127.0.0.1:9/mcp", "serverId": "x"}, {}],
)
async def test_servers_that_are_not_configured_are_not_called(client: httpx.AsyncClient, named: Any) -> None:
    request = {"method": "ping", **named}
    body = run_input(thread="t", run="p", forwardedProps={"__proxiedMCPRequest": request})
    assert await answer(client, body) == {"error": "Unknown MCP server."}


async def test_a_server_for_tools_alone_is_closed_to_pages() -> None:
    async with serve() as url:
        runtime = runtime_of(LOCAL, mcp_servers=[MCPServer(url=url, server_id="tools")])
        async with client_of(runtime) as client:
            body = asked_by_a_page("ping", serverId="tools", serverHash=MCPServer(url=url).hash)
            assert await answer(client, body) == {"error": "Unknown MCP server."}


@pytest.mark.parametrize("request_", [None, 1, [], {}, {"method": 1}])
async def test_a_request_of_another_form_is_answered(client: httpx.AsyncClient, request_: Any) -> None:
    body = run_input(thread="t", run="p", forwardedProps={"__proxiedMCPRequest": request_})
    assert list(await answer(client, body)) == ["error"]


async def test_nothing_of_a_page_s_request_is_kept(client: httpx.AsyncClient) -> None:
    await answer(client, asked_by_a_page("ping"))
    assert await connect(client, "scripted") == []
    assert (await client.get(f"{PATH}/threads")).json()["threads"] == []


async def test_an_envelope_carries_a_page_s_request_too(client: httpx.AsyncClient) -> None:
    body = {"method": "agent/run", "params": {"agentId": "scripted"}, "body": asked_by_a_page("ping")}
    response = await client.post(PATH, json=body)
    assert types_of(events_of(response.text)) == ["RUN_STARTED", "RUN_FINISHED"]


async def test_answers_and_results_are_bounded() -> None:
    async with client_of(runtime_of(LOCAL, config=RuntimeConfig(max_generated_ui_bytes=20_000))) as client:
        read = await answer(client, asked_by_a_page("resources/read", {"uri": "ui://clock/flood"}))
        called = await answer(client, asked_by_a_page("tools/call", {"name": "flood"}))
        events = await run(client, "scripted", run_input(script(*call("c", "flood"))))
    assert read == called == {"error": "The answer of the MCP server is too large."}
    assert "ACTIVITY_SNAPSHOT" not in types_of(events)
    assert "too large" in events[-2]["content"]


@asynccontextmanager
async def _server_over_http() -> AsyncIterator[str]:
    async with serve(script=APPS) as url:
        yield url


async def test_a_server_over_http_keeps_its_address_and_credentials_to_itself() -> None:
    async with _server_over_http() as url:
        server = MCPServer(url=url, headers={"authorization": "Bearer swordfish"}, connect_timeout=30)
        async with client_of(runtime_of(server)) as client:
            events = await run(client, "scripted", run_input(script(*call("c", "show_clock"))))
            body = asked_by_a_page("tools/call", {"name": "tick"}, serverHash=server.hash, serverId=None)
            assert "Ticked" in json.dumps(await answer(client, body))
    assert server.hash == MCPServer(url=url).hash
    assert url not in json.dumps(events)
    assert "swordfish" not in json.dumps(events)
    assert "serverId" not in events[-2]["content"]


async def test_a_server_that_is_gone_is_an_error_without_its_address() -> None:
    server = MCPServer(url="http://127.0.0.1:9/mcp", server_id="clock")
    async with client_of(runtime_of(server)) as client:
        assert await answer(client, asked_by_a_page("ping")) == {"error": "The MCP server failed."}


async def test_servers_that_cannot_be_distinguished_are_refused() -> None:
    url = "http://127.0.0.1:9/mcp"
    with pytest.raises(errors.MisuseError, match="need a server_id"):
        CopilotRuntime(mcp_apps=[url, MCPServer(url=url, api_key="k")])
    with pytest.raises(errors.MisuseError, match="server_id 'a'"):
        CopilotRuntime(mcp_apps=[MCPServer(url=url, server_id="a"), MCPServer(url=f"{url}/2", server_id="a")])


async def test_servers_are_settings_too() -> None:
    async with (
        _server_over_http() as url,
        client_of(CopilotRuntime(providers=[ScriptedProvider()], config=RuntimeConfig(mcp_apps=(url,)))) as client,
    ):
        events = await run(client, "scripted", run_input(script(*call("c", "show_clock"))))
    assert events[-2]["content"]["serverHash"] == MCPServer(url=url).hash
