"""What the log records of requests: one line for each that is refused, and in development one for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from copilotkit_runtime.runtime.stores.errors import StoreFullError
from copilotkit_runtime.runtime.stores.memory import MemoryStore
from tests.support import agui_client as agui
from tests.support.local_server import PATH, client_of
from tests.support.request_bodies import generate, text_message
from tests.support.scripted_agent import AGENT, ScriptedProvider

PAGE = "https://page.test"
PRODUCTION = {"env": "production", "auth": "none"}


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as captured:
        yield captured


def runtime_of(**settings: Any) -> CopilotRuntime:
    settings = {"cors_origins": PAGE, **settings}
    return CopilotRuntime([ScriptedProvider()], config=RuntimeConfig.model_validate(settings))


def refusals(logs: list[Any]) -> list[Any]:
    return [line for line in logs if line["event"] == "request_refused"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown agent": (
        {"url": f"{PATH}/agent/nobody/run", "json": agui.run_input(agui.user("hi"))},
        "Agent 'nobody' does not exist",
    ),
    "an unknown agent of GraphQL": (
        {"url": PATH, "json": generate(text_message("hi"), agent="nobody")},
        "Agent 'nobody' was not found. Available agents are: scripted.",
    ),
    "a path below the endpoint": ({"url": f"{PATH}/nothing/here", "json": {}}, "Not found"),
    "a path elsewhere": ({"url": "/graphql", "json": {}}, f"Nothing is served at this path. The endpoint is {PATH}."),
    "a run without a thread": (
        {"url": f"{PATH}/agent/{AGENT}/run", "json": {"messages": []}},
        "Invalid request body: threadId: must be a text that is not empty.",
    ),
    "a method": ({"method": "GET", "url": PATH, "headers": {"accept": "*/*"}}, "not served with this method"),
    "a client that asks for what there is not": (
        {
            "url": PATH,
            "json": {"query": "{ newest { thing } }"},
            "headers": {"x-copilotkit-runtime-client-gql-version": "9.9.9"},
        },
        "Cannot query field",
    ),
    "an envelope of a newer client": ({"url": PATH, "json": {"method": "agent/dream", "params": {}}}, ""),
    "a foreign page": (
        {"url": PATH, "json": {"query": "{ hello }"}, "headers": {"origin": "https://elsewhere.test"}},
        "The origin https://elsewhere.test is not in cors_origins.",
    ),
    "a foreign page's preflight": (
        {"method": "OPTIONS", "url": PATH, "headers": {"origin": "https://elsewhere.test"}},
        "The origin https://elsewhere.test is not in cors_origins.",
    ),
    "a body of another kind": (
        {"url": PATH, "content": "hi", "headers": {"content-type": "text/plain"}},
        "application/json",
    ),
    "a body that is not JSON": (
        {"url": PATH, "content": "{", "headers": {"content-type": "application/json"}},
        "POST body sent invalid JSON. Input data was truncated",
    ),
    "a body that is not JSON of a run": (
        {"url": f"{PATH}/agent/{AGENT}/run", "content": "{", "headers": {"content-type": "application/json"}},
        "Invalid request body: Input data was truncated",
    ),
}


@pytest.mark.parametrize("settings", [{}, PRODUCTION], ids=["development", "production"])
@pytest.mark.parametrize("case", REFUSED)
async def test_a_refused_request_leaves_one_line(case: str, settings: dict[str, Any], logs: list[Any]) -> None:
    request, reason = REFUSED[case]
    async with client_of(runtime_of(**settings)) as client:
        await client.request(**{"method": "POST", **request})
    [line] = refusals(logs)
    assert reason in line["reason"]
    assert line["log_level"] == "warning"


async def test_the_line_names_the_client_and_is_bounded(logs: list[Any]) -> None:
    headers = {"x-copilotkit-runtime-client-gql-version": "0.1.0", "user-agent": "a" * 5_000}
    async with client_of(runtime_of()) as client:
        await client.post(f"/{'p' * 5_000}", headers=headers)
    [line] = refusals(logs)
    assert (line["method"], line["status"], line["client"]) == ("POST", 404, "0.1.0")
    assert len(line["path"]) == len(line["user_agent"]) == 200


@pytest.mark.parametrize("origin", [PAGE, None, "same"])
async def test_what_is_served_leaves_no_refusal(origin: str | None, logs: list[Any]) -> None:
    async with client_of(runtime_of()) as client:
        told = f"http://{client.base_url.netloc.decode()}" if origin == "same" else origin
        headers = {} if told is None else {"origin": told}
        assert (await client.post(PATH, json={"query": "{ hello }"}, headers=headers)).status_code == 200
        assert (await client.get("/health")).status_code == 200
    assert refusals(logs) == []


async def test_without_cookies_or_tokens_nobody_gets_in_and_the_log_records_it(logs: list[Any]) -> None:
    async with client_of(runtime_of(api_keys="ann:secret-key-of-ann")) as client:
        refused = await client.post(PATH, json={"query": "{ hello }"}, headers={"authorization": "Bearer wrong-key-1"})
    assert refused.status_code == 401
    [line] = refusals(logs)
    assert line["reason"] == "Valid credentials are needed."
    assert "wrong-key-1" not in str(logs)


@pytest.mark.parametrize("path", ["/metrics", "/stream-check", f"{PATH}/metrics"])
async def test_who_may_not_watch_the_server_is_logged_too(path: str, logs: list[Any]) -> None:
    async with client_of(runtime_of(api_keys="ann:secret-key-of-ann", metrics=True)) as client:
        method = "POST" if path == "/stream-check" else "GET"
        assert (await client.request(method, path, headers={"user-agent": "Prometheus"})).status_code == 401
    [line] = refusals(logs)
    assert (line["path"], line["status"], line["user_agent"]) == (path, 401, "Prometheus")
    assert line["reason"] == "Valid credentials are needed."


class FullStore(MemoryStore):
    """A store that has no room."""

    async def open_thread(self, thread_id: str, *, owner: str | None = None, agent_name: str | None = None) -> Any:
        """Open no thread."""
        raise StoreFullError from OSError("no space left on the device")


@pytest.mark.parametrize(
    ("url", "body", "status"),
    [
        (f"{PATH}/agent/{AGENT}/run", agui.run_input(agui.user("hi")), 503),
        (PATH, generate(text_message("hi"), agent=AGENT), 200),
    ],
    ids=["AG-UI", "GraphQL"],
)
async def test_a_run_that_the_store_does_not_take_leaves_one_line_with_the_cause(
    url: str, body: Any, status: int, logs: list[Any]
) -> None:
    config = RuntimeConfig(cors_origins=PAGE, access_log=False)
    runtime = CopilotRuntime([ScriptedProvider()], store=FullStore(), config=config)
    async with client_of(runtime) as client:
        assert (await client.post(url, json=body)).status_code == status
    [line] = [line for line in logs if line["log_level"] in ("warning", "error")]
    assert (line["event"], line["status"], line["path"]) == ("request_refused", status, url)
    assert line["reason"] == "The state store has no room."
    assert line["cause"] == "OSError: no space left on the device"


async def test_development_logs_each_request_with_its_run(logs: list[Any]) -> None:
    async with client_of(runtime_of()) as client:
        await agui.run(client, AGENT, agui.run_input(agui.script(*agui.say("one"), *agui.say("two", id_="b"))))
        await client.post(
            PATH, json=generate(text_message('[{"event": {"type": "STEP_STARTED", "stepName": "s"}}]'), agent=AGENT)
        )
        await client.get("/health")
    first, second = (line for line in logs if line["event"] == "request")
    assert (first["method"], first["path"], first["status"]) == ("POST", f"{PATH}/agent/{AGENT}/run", 200)
    assert (first["agent"], first["thread_id"], first["run_id"], first["pieces"]) == (AGENT, "t", "r", 2)
    assert first["seconds"] >= 0
    assert (second["path"], second["agent"], second["thread_id"], second["pieces"]) == (PATH, AGENT, "t-1", 0)


async def requests_logged(runtime: CopilotRuntime, logs: list[Any]) -> int:
    async with client_of(runtime) as client:
        answer: httpx.Response = await client.post(PATH, json={"query": "{ hello }"})
        assert answer.status_code == 200
    return sum(line["event"] == "request" for line in logs)


@pytest.mark.parametrize(
    ("settings", "count"),
    [({}, 1), ({"access_log": False}, 0), (PRODUCTION, 0), ({**PRODUCTION, "access_log": True}, 1)],
    ids=str,
)
async def test_the_setting_decides(settings: dict[str, Any], count: int, logs: list[Any]) -> None:
    assert await requests_logged(runtime_of(**settings), logs) == count
