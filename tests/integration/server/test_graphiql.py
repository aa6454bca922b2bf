"""GraphiQL: served from local files that are the published ones, in development only."""

from __future__ import annotations

import re
from hashlib import sha256
from urllib.parse import urljoin

import pytest

from copilotkit_runtime.server.graphiql.routes import FILES
from copilotkit_runtime.wires.graphql.graphiql import POLICY
from tests.integration.server.test_chat_page import PRODUCTION, app_of, got
from tests.support.local_server import PATH

SUMS: dict[str, str] = dict(reversed(line.split()) for line in (FILES / "SHA256SUMS").read_text().splitlines())


@pytest.mark.parametrize("base", [PATH, "/", "/deep/down/here"])
@pytest.mark.parametrize("ending", ["", "/"])
async def test_the_page_loads_its_files_from_below_its_url(base: str, ending: str) -> None:
    app = app_of(graphql_path=base)
    url = f"http://localhost{base.rstrip('/')}{ending}"
    page = await got(app, url, accept="text/html")
    assert page.headers["content-security-policy"] == POLICY
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) == 6
    for name in loaded:
        file = await got(app, urljoin(str(page.url), name))
        assert (file.status_code, file.headers["content-security-policy"]) == (200, POLICY), name


def test_the_policy_admits_no_other_server_and_no_inline_script() -> None:
    directives = dict(part.strip().split(" ", 1) for part in POLICY.split(";"))
    assert directives["script-src"] == "'self'"
    assert directives["default-src"] == "'none'"
    assert "http" not in POLICY


@pytest.mark.parametrize("name", SUMS)
def test_a_file_is_the_published_one(name: str) -> None:
    assert sha256((FILES / name).read_bytes()).hexdigest() == SUMS[name]


def test_every_file_of_somebody_else_is_listed() -> None:
    assert {file.name for file in FILES.iterdir()} - {"SHA256SUMS", "start.js", "page.css"} == set(SUMS)


@pytest.mark.parametrize("settings", [PRODUCTION, {"graphiql": False}], ids=str)
async def test_nothing_of_it_is_there_in_production_or_when_it_is_off(settings: dict[str, object]) -> None:
    assert (await got(app_of(**settings), f"{PATH}/graphiql/graphiql.min.js")).status_code == 404
    assert "graphiql" not in (await got(app_of(**settings), PATH, accept="text/html")).text.lower()
