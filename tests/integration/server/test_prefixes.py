"""A runtime below a proxy's prefix, which the proxy takes off or passes on, and the application names or does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import urljoin

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from copilotkit_runtime import CopilotRuntime
from tests.support.agui_client import events_of, run_input, user
from tests.support.echo_agent import EchoProvider
from tests.support.local_server import PATH

Make: TypeAlias = Callable[[], Starlette]
Way: TypeAlias = Callable[[ASGIApp], ASGIApp]

PREFIX = "/svc"


def runtime() -> CopilotRuntime:
    return CopilotRuntime(providers=[EchoProvider()])


def served_alone() -> Starlette:
    return runtime().create_app()


def mounted_on_an_application() -> Starlette:
    app = Starlette()
    runtime().mount(app, PATH)
    return app


def passed_on(app: ASGIApp) -> ASGIApp:
    """The proxy passes the prefix on, and the application knows nothing of it."""
    return app


def taken_off(app: ASGIApp) -> ASGIApp:
    """The proxy takes the prefix off, and nobody names it."""
    return _behind(app, root_path="", keeps=False)


def taken_off_and_named(app: ASGIApp) -> ASGIApp:
    """The proxy takes the prefix off, and the application names it, as FastAPI's ``root_path`` does."""
    return _behind(app, root_path=PREFIX, keeps=False)


def named_by_the_server(app: ASGIApp) -> ASGIApp:
    """The proxy takes the prefix off, and uvicorn's ``--root-path`` puts it back."""
    return _behind(app, root_path=PREFIX, keeps=True)


def below_another(app: ASGIApp) -> ASGIApp:
    """The application is mounted on another."""
    return Starlette(routes=[Mount(PREFIX, app)])


def _behind(app: ASGIApp, *, root_path: str, keeps: bool) -> ASGIApp:
    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(PREFIX)
        raw = scope["raw_path"].removeprefix(PREFIX.encode())
        kept = {} if keeps else {"path": path, "raw_path": raw}
        await app({**scope, **kept, "root_path": root_path}, receive, send)

    return proxy


WAYS = [
    (served_alone, passed_on),
    *(
        (make, way)
        for make in (served_alone, mounted_on_an_application)
        for way in (taken_off, taken_off_and_named, named_by_the_server, below_another)
    ),
]
behind_a_prefix = pytest.mark.parametrize(("make", "way"), WAYS)


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", follow_redirects=True)


@behind_a_prefix
@pytest.mark.parametrize("page", ["", "/", "/chat", "/chat/"])
async def test_a_page_finds_its_files(make: Make, way: Way, page: str) -> None:
    async with client_of(way(make())) as client:
        shown = await client.get(f"{PREFIX}{PATH}{page}", headers={"accept": "text/html"})
        assert shown.status_code == 200
        loaded = re.findall(r'(?:src|href)="([^"]+)"', shown.text)
        assert len(loaded) > 2
        for name in loaded:
            file = urljoin(str(shown.url), name)
            assert file.startswith(f"http://localhost{PREFIX}{PATH}/")
            assert (await client.get(file)).status_code == 200, file


@behind_a_prefix
async def test_both_wires_and_the_probes_answer(make: Make, way: Way) -> None:
    async with client_of(way(make())) as client:
        url = f"{PREFIX}{PATH}"
        for base in (url, f"{url}/"):
            asked = await client.post(base, json={"query": "{ availableAgents { agents { name } } }"})
            assert asked.json()["data"]["availableAgents"]["agents"]
            assert (await client.post(base, json={"method": "info"})).json()["agents"]
        agent = next(iter((await client.get(f"{url}/info")).json()["agents"]))
        ran = await client.post(f"{url}/agent/{agent}/run", json=run_input(user("hello"), thread="a/b"))
        assert events_of(ran.text)[-1]["type"] == "RUN_FINISHED"
        kept = await client.get(f"{url}/threads/a%2Fb/messages")
        assert kept.json()["messages"][0]["content"] == "hello"
        assert (await client.get(f"{url}/health")).status_code == 200
        assert (await client.get(f"{url}/ready")).status_code == 200
