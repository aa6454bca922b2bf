"""A runtime within somebody else's application, and the endpoints beside the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from copilotkit_runtime.runtime.errors import ConfigurationError
from copilotkit_runtime.wires.http.auth import Identity
from tests.integration.server.apps import Witness
from tests.parity.fold import fold
from tests.parity.wire import ask
from tests.support.local_server import PATH, client_of, served
from tests.support.request_bodies import generate, scripted, text, text_message
from tests.support.scripted_agent import ScriptedProvider

HELLO = {"query": "{hello}"}


class Gate(BaseHTTPMiddleware):
    """The application's own authentication."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        user = request.headers.get("x-user")
        if user is None:
            return PlainTextResponse("who are you?", 403)
        request.state.user = user
        return await call_next(request)


def of_the_application(request: HTTPConnection) -> Identity | None:
    return Identity(request.state.user)


@pytest.mark.parametrize("framework", [FastAPI, Starlette])
async def test_the_applications_lifespan_middleware_and_authentication_apply(framework: type[Starlette]) -> None:
    order: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        order.append("start")
        yield
        order.append("stop")

    app = framework(lifespan=lifespan, middleware=[Middleware(Gate)])
    CopilotRuntime(providers=[Witness()], auth=of_the_application).mount(app, PATH)
    async with served(app) as origin, httpx.AsyncClient(base_url=origin) as client:
        assert (await client.post(PATH, json=HELLO)).status_code == 403
        client.headers["x-user"] = "ann"
        answer = await ask(client, PATH, generate(text_message("hi"), agent="witness"))
        assert fold(answer.parts)["messages"][0]["content"][0].startswith("ann ")
        assert (await client.get(f"{PATH}/ready")).status_code == 200
        assert order == ["start"]
    assert order == ["start", "stop"]


async def test_two_runtimes_with_metrics_and_their_own_settings_share_a_process() -> None:
    app = FastAPI()
    settings: dict[str, dict[str, Any]] = {"/one": {"api_keys": ("a:1",)}, "/two": {}}
    for path, own in settings.items():
        config = RuntimeConfig(metrics=True, **own)
        CopilotRuntime(providers=[ScriptedProvider()], config=config).mount(app, path)
    async with served(app) as origin, httpx.AsyncClient(base_url=origin) as client:
        assert [(await client.post(path, json=HELLO)).status_code for path in ("/one", "/two")] == [401, 200]
        assert (await client.get("/two/metrics")).status_code == 200


@pytest.mark.parametrize("path", ["/", "/deep/er", "/with/slash/"])
async def test_any_path_will_do_beside_the_applications_own_routes(path: str) -> None:
    app = FastAPI()

    @app.get("/own")
    async def own() -> str:
        return "mine"

    CopilotRuntime(providers=[ScriptedProvider()]).mount(app, path)
    async with served(app) as origin, httpx.AsyncClient(base_url=origin) as client:
        assert (await client.get("/own")).json() == "mine"
        answer = await ask(client, path, scripted(*text("a", "hi")))
        assert fold(answer.parts)["messages"][0]["content"] == ["hi"]
        assert (await client.get(f"{path.rstrip('/')}/health")).status_code == 200


@pytest.mark.parametrize("path", ["relative", "/{any}", "/a b", ""])
def test_a_path_that_cannot_be_served_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="must begin with '/'"):
        CopilotRuntime().mount(FastAPI(), path)


async def test_an_application_within_another_starts_with_its_first_request() -> None:
    inner = CopilotRuntime(providers=[ScriptedProvider()], config=RuntimeConfig(graphql_path="/inner")).create_app()
    app = Starlette(routes=[Mount("/outer", inner)])
    async with served(app) as origin, httpx.AsyncClient(base_url=origin) as client:
        answer = await ask(client, "/outer/inner", scripted(*text("a", "hi")))
    assert fold(answer.parts)["status"]["code"] == "Success"


@pytest.fixture
async def extended() -> AsyncIterator[httpx.AsyncClient]:
    config = RuntimeConfig(extensions=True, api_keys=("ann:a", "bob:b"))
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()], config=config)) as client:
        client.headers["x-api-key"] = "a"
        yield client


async def test_the_runtime_describes_itself(extended: httpx.AsyncClient) -> None:
    info = (await extended.get(f"{PATH}/info", headers={"origin": "http://page.test"})).json()
    assert info["contractVersion"] == "1.10.6"
    assert info["agents"]["scripted"]["description"] == "Plays scripts"
    assert (await extended.get(f"{PATH}/info", headers={"x-api-key": "no"})).status_code == 401
    assert (await extended.post(f"{PATH}/info")).status_code == 405


async def test_a_state_is_saved_and_read_back_by_its_owner_alone(extended: httpx.AsyncClient) -> None:
    place, asked = f"{PATH}/agents/scripted/state", {"threadId": "t/1"}
    assert (await extended.get(place, params=asked)).json()["threadExists"] is False
    saved = await extended.put(place, json={**asked, "state": {"n": 1}})
    assert saved.json() == {"threadId": "t/1", "saved": True}
    assert (await extended.get(place, params=asked)).json()["state"] == {"n": 1}
    extended.headers["x-api-key"] = "b"
    assert (await extended.get(place, params=asked)).json()["threadExists"] is False
    assert (await extended.put(place, json={**asked, "state": {}})).status_code == 404


def _json(content: bytes) -> dict[str, Any]:
    return {"content": content, "headers": {"content-type": "application/json"}}


async def test_half_a_character_in_a_state_is_saved_as_on_the_wires(extended: httpx.AsyncClient) -> None:
    place = f"{PATH}/agents/scripted/state"
    saved = await extended.put(place, **_json(rb'{"threadId":"t","state":{"cut":"a\ud83d"}}'))
    assert saved.status_code == 200
    assert (await extended.get(place, params={"threadId": "t"})).json()["state"] == {"cut": "a\ufffd"}


@pytest.mark.parametrize(
    ("path", "request_", "status"),
    [
        ("agents/none/state", {"json": {"threadId": "t", "state": {}}}, 404),
        ("agents/scripted/state", {"json": {"threadId": "t"}}, 400),
        ("agents/scripted/state", {"json": {"threadId": "t", "state": {}, "more": 1}}, 400),
        ("agents/scripted/state", {"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
        ("agents/scripted/state", _json(b"{"), 400),
        ("agents/scripted/state", {"json": {"threadId": "", "state": {}}}, 400),
        ("agents/scripted/state", {"json": {"threadId": "t\0", "state": {}}}, 400),
        ("agents/scripted/state", {"json": {"threadId": "t" * 1025, "state": {}}}, 413),
        ("agents/scripted/state", {"json": {"threadId": "t", "state": {"a": [None] * 250_001}}}, 413),
        ("agents/scripted/state", _json(b'{"threadId":"t","state":{"a":' + b"[" * 401 + b"]" * 401 + b"}}"), 400),
        ("agents/scripted/state", _json(b'{"threadId":"t","state":{"a":' + b"[" * 9999 + b"]" * 9999 + b"}}"), 400),
    ],
)
async def test_a_state_that_cannot_be_saved_is_refused(
    extended: httpx.AsyncClient, path: str, request_: dict[str, Any], status: int
) -> None:
    response = await extended.put(f"{PATH}/{path}", **request_)
    assert response.status_code == status
    assert response.json()["errors"][0]["message"]


async def test_the_schema_has_the_extensions_only_where_they_are_set(extended: httpx.AsyncClient) -> None:
    info = {"query": "{ runtimeInfo { contractVersion agents { id } } }"}
    save = {
        "query": "mutation($data: SaveAgentStateInput!) { saveAgentState(data: $data) { threadId } }",
        "variables": {"data": {"threadId": "t-2", "agentName": "scripted", "state": {"n": 2}}},
    }
    assert (await extended.post(PATH, json=info)).json()["data"]["runtimeInfo"] == {
        "contractVersion": "1.10.6",
        "agents": [{"id": "scripted"}],
    }
    assert (await extended.post(PATH, json=save)).json() == {"data": {"saveAgentState": {"threadId": "t-2"}}}
    loaded = await extended.get(f"{PATH}/agents/scripted/state", params={"threadId": "t-2"})
    assert loaded.json()["state"] == {"n": 2}
    async with client_of(CopilotRuntime()) as plain:
        assert "Cannot query field" in (await plain.post(PATH, json=info)).text
        assert "contractVersion" not in (await plain.get(f"{PATH}/info")).json()


async def test_the_runtimes_methods_return_the_same() -> None:
    async with CopilotRuntime(providers=[ScriptedProvider()]) as runtime:
        assert [agent.name for agent in (await runtime.runtime_info()).agents] == ["scripted"]


async def test_a_runtime_can_be_started_again_after_its_end() -> None:
    runtime = CopilotRuntime(providers=[ScriptedProvider()])
    for _ in range(2):
        async with client_of(runtime) as client:
            answer = await ask(client, PATH, scripted({"event": {"type": "STATE_SNAPSHOT", "snapshot": {"n": 1}}}))
            assert fold(answer.parts)["status"]["code"] == "Success"
