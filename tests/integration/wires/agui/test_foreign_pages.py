"""What pages of other origins can have done over AG-UI without a preflight: nothing."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from tests.support.agui_client import PATH, run_input, say, script
from tests.support.local_server import client_of
from tests.support.scripted_agent import ScriptedProvider

RUN = f"{PATH}/agent/scripted/run"
BODY = json.dumps(run_input(script(*say("done"))))
SIMPLE = [
    {"content-type": "text/plain"},
    {"content-type": "Text/Plain;charset=UTF-8"},
    {"content-type": "application/x-www-form-urlencoded"},
    {"content-type": "multipart/form-data; boundary=b"},
    {},
]


def runtime(**settings: Any) -> CopilotRuntime:
    return CopilotRuntime(
        providers=[ScriptedProvider()], config=RuntimeConfig(installed_providers=False, list_threads=True, **settings)
    )


async def threads(client: httpx.AsyncClient) -> list[Any]:
    found: list[Any] = (await client.get(f"{PATH}/threads")).json()["threads"]
    return found


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.example.evil.example"])
@pytest.mark.parametrize("content_type", SIMPLE)
async def test_a_page_of_another_origin_has_nothing_done_unasked(origin: str, content_type: dict[str, str]) -> None:
    headers = {"origin": origin, **content_type}
    async with client_of(runtime(cors_origins=("https://app.example",))) as client:
        for path, body in (
            (RUN, BODY),
            (f"{PATH}/agent/scripted/connect", BODY),
            (f"{PATH}/agent/scripted/stop/t", ""),
        ):
            answer = await client.post(path, content=body, headers=headers)
            assert answer.status_code == 403, path
            assert "access-control-allow-origin" not in answer.headers
        assert await threads(client) == []
        await client.post(RUN, content=BODY, headers={"content-type": "application/json"})
        assert (await client.post(f"{PATH}/threads/t/archive", headers=headers)).status_code == 403
        assert [each["archived"] for each in await threads(client)] == [False]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://app.example"},
        {"origin": "https://proxied.example", "sec-fetch-site": "same-origin"},
        {"origin": "http://{host}"},
        {},
    ],
)
async def test_pages_of_admitted_origins_and_other_programs_may_post_any_type(headers: dict[str, str]) -> None:
    async with client_of(runtime(cors_origins=("https://app.example",))) as client:
        host = client.base_url.netloc.decode()
        given = {name: value.format(host=host) for name, value in headers.items()}
        answer = await client.post(RUN, content=BODY, headers={**given, "content-type": "text/plain"})
    assert "done" in answer.text


async def test_where_all_origins_are_admitted_so_is_each() -> None:
    async with client_of(runtime()) as client:
        answer = await client.post(RUN, content=BODY, headers={"origin": "https://any.example"})
    assert "done" in answer.text
