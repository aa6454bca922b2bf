"""The chat page: served from local files in development, absent in production."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from copilotkit_runtime.server.chat import page
from tests.support.local_server import PATH

FILES = sorted(file for file in page.FILES.iterdir() if file.is_file())
PRODUCTION = {"env": "production", "auth": "none", "cors_origins": "https://page.test"}


def app_of(**settings: object) -> Starlette:
    return CopilotRuntime(config=RuntimeConfig.model_validate(settings)).create_app()


async def got(app: Starlette, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.get(path, headers=headers)


@pytest.mark.parametrize("name", ["", *(file.name for file in FILES)])
async def test_each_file_has_a_policy_and_an_etag(name: str) -> None:
    response = await got(app_of(), f"{PATH}/chat/{name}")
    assert response.status_code == 200
    assert response.headers["content-security-policy"] == page.POLICY
    assert response.headers["etag"]


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/docs", "/favicon.ico", "/ready", "/stream-check", "/nowhere", f"{PATH}/ready", f"{PATH}/chat"),
        *(f"{PATH}/chat/chat.js", f"{PATH}/chat/missing.js", f"{PATH}/graphiql/missing.js", f"{PATH}/graphiql/"),
    ],
)
async def test_whatever_is_served_has_the_security_headers(path: str) -> None:
    response = await got(app_of(), path)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("base", [PATH, "/deep/down/here", "/x"])
async def test_the_root_shows_the_page_with_the_runtime_s_own_files(base: str) -> None:
    app = app_of(graphql_path=base)
    root = await got(app, "/")
    assert (root.status_code, root.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert root.headers["content-security-policy"] == page.POLICY
    base_element = re.search(r'<base href="([^"]+)">', root.text)
    assert base_element is not None
    assert urljoin("http://localhost/", base_element[1]) == f"http://localhost{base}/chat/"
    assert (await got(app, f"{base}/chat/chat.js")).status_code == 200


async def test_a_runtime_at_the_root_has_its_page_below() -> None:
    app = app_of(graphql_path="/")
    assert "composer" in (await got(app, "/chat/")).text
    assert "GraphiQL" in (await got(app, "/", accept="text/html")).text
    assert (await got(app, "/docs")).headers["location"] == "./"


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/favicon.ico", f"{PATH}/chat", f"{PATH}/chat/", f"{PATH}/chat/chat.js"]
)
@pytest.mark.parametrize("settings", [PRODUCTION, {**PRODUCTION, "chat_page": True}, {"chat_page": False}], ids=str)
async def test_nothing_of_it_is_there_in_production_or_when_it_is_off(path: str, settings: dict[str, object]) -> None:
    assert (await got(app_of(**settings), path)).status_code == 404


@pytest.mark.parametrize(("graphiql", "leads"), [(True, PATH), (False, f"{PATH}/chat/")])
async def test_docs_and_the_icon_lead_somewhere(graphiql: bool, leads: str) -> None:
    app = app_of(graphiql=graphiql)
    docs = await got(app, "/docs")
    assert docs.is_redirect
    there = urljoin("http://localhost/docs", docs.headers["location"])
    assert there == f"http://localhost{leads}"
    assert (await got(app, there, accept="text/html")).status_code == 200
    icon = await got(app, "/favicon.ico")
    assert (icon.status_code, icon.headers["content-type"]) == (200, "image/svg+xml")


async def test_an_application_keeps_its_own_pages() -> None:
    async def own(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("mine")

    for base in (PATH, "/"):
        app = Starlette(routes=[Route(path, own) for path in ("/chat", "/docs", "/favicon.ico", "/start")])
        CopilotRuntime().mount(app, base)
        for path in ("/chat", "/docs", "/favicon.ico", "/start"):
            assert (await got(app, path)).text == "mine"
        if base != "/":
            assert "composer" in (await got(app, f"{base}/chat/")).text
            assert (await got(app, "/")).status_code == 404


@pytest.mark.parametrize("path", ["../page.py", "%2e%2e/page.py", "..%2fpage.py", "nothing.js"])
async def test_only_the_page_s_files_are_served(path: str) -> None:
    response = await got(app_of(), f"{PATH}/chat/{path}")
    assert response.status_code == 404


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_file_names_another_origin(file: Path) -> None:
    text = file.read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"(https?:)?//[a-z]", text)
    assert "innerHTML" not in text
