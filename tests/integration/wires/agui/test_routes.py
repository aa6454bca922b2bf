"""Which wire a request on the shared URL is for, and what is answered besides runs."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator
from time import time
from typing import Any

import httpx
import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, Identity, RuntimeConfig
from copilotkit_runtime.runtime import registry
from copilotkit_runtime.wires.agui.transcription import Audio, TranscriptionError
from copilotkit_runtime.wires.http import credentials
from tests.support.agui_client import PATH, connect, events_of, run, run_input, say, script, types_of
from tests.support.local_server import client_of
from tests.support.scripted_agent import ScriptedProvider

HELLO = {"query": "{hello}"}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a runtime with the scripted agent."""
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()])) as client:
        yield client


async def test_both_wires_share_the_url(client: httpx.AsyncClient) -> None:
    for url in (PATH, f"{PATH}/"):
        assert (await client.post(url, json=HELLO)).json() == {"data": {"hello": "Hello World"}}
        assert "default" in (await client.post(url, json={"method": "info"})).json()["agents"]


async def test_a_get_without_a_query_is_405(client: httpx.AsyncClient) -> None:
    response = await client.get(PATH)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")
    assert response.headers["access-control-allow-origin"] == "*"


async def test_an_envelope_may_have_a_query_that_is_null(client: httpx.AsyncClient) -> None:
    assert "agents" in (await client.post(PATH, json={"method": "info", "query": None})).json()


@pytest.mark.parametrize("path", ["", "/agent/scripted/run"])
@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON; charset=UTF-8", "application/json, application/json"],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
async def test_json_is_read_however_it_is_announced(
    client: httpx.AsyncClient, path: str, content_type: str, mark: bytes
) -> None:
    body = run_input(script(*say("hello")))
    envelope = {"method": "agent/run", "params": {"agentId": "scripted"}, "body": body}
    content = mark + json.dumps(body if path else envelope).encode()
    answer = await client.post(f"{PATH}{path}", content=content, headers={"content-type": content_type})
    assert types_of(events_of(answer.text))[-1] == "RUN_FINISHED"


async def test_info_lists_what_is_there(client: httpx.AsyncClient) -> None:
    info = (await client.get(f"{PATH}/info")).json()
    assert list(info["agents"]) == ["scripted", "default"]
    assert info["agents"]["default"]["description"] == "Plays scripts"
    assert info["mode"] == "sse"
    assert not {"licenseStatus", "intelligence", "inspectorMetadata"} & info.keys()


async def test_an_envelope_lists_threads_under_its_own_field(client: httpx.AsyncClient) -> None:
    info = (await client.post(PATH, json={"method": "info"})).json()
    assert not any(info["threadEndpoints"].values())
    assert info["singleRoute"]["resourceOperations"] is True


class StuckProvider(AgentProvider):
    """Never reports which agents it has."""

    name = "stuck"

    async def list_agents(self) -> list[AgentDescriptor]:
        """Wait for ever."""
        await asyncio.Event().wait()
        return []

    def execute_run(self, agent_name: str, run: Any, context: Any) -> Any:
        """Have nothing to run."""
        raise NotImplementedError


async def test_a_provider_that_does_not_answer_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "DISCOVERY_SECONDS", 0.1)
    async with client_of(CopilotRuntime(providers=[StuckProvider(), ScriptedProvider()])) as client:
        async with asyncio.timeout(20):
            assert "scripted" in (await client.get(f"{PATH}/info")).json()["agents"]


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("POST", "/info", 405, "GET"),
        ("HEAD", "/info", 405, "GET"),
        ("GET", "/agent/scripted/run", 405, "POST"),
        ("GET", "/threads/clear", 405, "POST"),
        ("GET", "/threads/t", 405, "PATCH, DELETE"),
        ("GET", "/nothing", 404, None),
        ("POST", "/agent/a%zz/run", 404, None),
        ("GET", "/memories", 404, None),
        ("PATCH", "/memories/m", 404, None),
        ("POST", "/threads/clear", 404, None),
        ("POST", "/threads/subscribe", 422, None),
        ("POST", "/annotate", 422, None),
        ("GET", "/inspector-metadata", 204, None),
        ("GET", "/inspector-learning", 404, None),
        ("GET", "/cpk-debug-events", 404, None),
        ("POST", "/transcribe", 503, None),
        ("GET", "//info/", 200, None),
    ],
)
async def test_each_path_answers_as_clients_expect(
    client: httpx.AsyncClient, method: str, path: str, status: int, allow: str | None
) -> None:
    response = await client.request(method, f"{PATH}{path}")
    assert (response.status_code, response.headers.get("allow")) == (status, allow)
    assert ("content-length" in response.headers) == (status != 204)
    if response.content and status >= 400:
        assert response.json()["error"]


@pytest.mark.parametrize("path", ["/agent/scripted/run", "/agent/scripted/connect", "/threads/t/archive"])
async def test_a_compressed_body_is_refused_in_words(client: httpx.AsyncClient, path: str) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    response = await client.post(f"{PATH}{path}", content=gzip.compress(b"{}"), headers=headers)
    assert (response.status_code, response.headers["accept-encoding"]) == (415, "identity")
    assert "must not be compressed" in response.json()["message"]


async def test_a_form_is_refused_in_words_where_it_is_not_json(client: httpx.AsyncClient) -> None:
    for body in ({"data": {"a": "b"}}, {"files": {"a": ("a", b"{}")}}):
        response = await client.post(f"{PATH}/agent/scripted/run", **body)
        assert response.status_code == 415
        assert response.json() == {"error": "invalid_request", "message": "The body must be application/json."}
    headers = {"content-type": "application/x-www-form-urlencoded"}  # as curl sends what it is given
    response = await client.post(f"{PATH}/agent/scripted/run", json=run_input(), headers=headers)
    assert response.status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x", "application/xml", ""])
async def test_an_envelope_of_another_type_is_refused_as_an_envelope(
    client: httpx.AsyncClient, content_type: str
) -> None:
    body = json.dumps({"method": "agent/run", "params": {"agentId": "scripted"}, "body": run_input()}).encode()
    response = await client.post(PATH, content=body, headers={"content-type": content_type})
    assert response.status_code == 415
    assert response.json() == {"error": "invalid_request", "message": "The body must be application/json."}
    assert response.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("envelope", "status", "message"),
    [
        ({"method": "nonsense"}, 400, "Unsupported method 'nonsense'"),
        ({"method": ""}, 400, "Missing method field"),
        ({"method": "agent/run", "body": {}}, 400, "Missing or invalid parameter 'agentId'"),
        (
            {"method": "agent/run", "params": {"agentId": " "}, "body": {}},
            400,
            "Missing or invalid parameter 'agentId'",
        ),
        ({"method": "agent/run", "params": {"agentId": "scripted"}}, 400, "Missing body for method 'agent/run'"),
        ({"method": "agent/stop", "params": {"agentId": "scripted"}}, 400, "Missing or invalid parameter 'threadId'"),
    ],
)
async def test_an_envelope_that_cannot_be_read_is_refused(
    client: httpx.AsyncClient, envelope: dict[str, Any], status: int, message: str
) -> None:
    response = await client.post(PATH, json=envelope)
    assert (response.status_code, response.json()) == (status, {"error": "invalid_request", "message": message})


@pytest.mark.parametrize("path", ["/info", "//threads", "threads", "/threadsx", "/agent/scripted/run", "/memories"])
async def test_an_envelope_reaches_only_threads_memories_and_annotations(client: httpx.AsyncClient, path: str) -> None:
    envelope = {"method": "resource/request", "params": {"path": path, "httpMethod": "GET"}}
    assert (await client.post(PATH, json=envelope)).status_code == 404


async def test_an_envelope_may_bring_its_body_as_text(client: httpx.AsyncClient) -> None:
    body = json.dumps(run_input(script(*say("hello"))))
    response = await client.post(PATH, json={"method": "agent/run", "params": {"agentId": "scripted"}, "body": body})
    assert "hello" in response.text


async def test_everybody_may_read_without_credentials(client: httpx.AsyncClient) -> None:
    for headers in ({}, {"origin": "http://page.test"}):
        for answer in (
            await client.get(f"{PATH}/info", headers=headers),
            await client.post(PATH, json={"method": "info"}, headers=headers),
            await client.get(f"{PATH}/nothing", headers=headers),
            await client.post(f"{PATH}/agent/scripted/run", json=run_input(script()), headers=headers),
        ):
            assert answer.headers["access-control-allow-origin"] == "*"
            assert "access-control-allow-credentials" not in answer.headers


async def test_a_preflight_allows_the_headers_that_it_names(client: httpx.AsyncClient) -> None:
    asked = {"origin": "http://page.test", "access-control-request-headers": "authorization,x-page"}
    response = await client.options(f"{PATH}/agent/scripted/run", headers=asked)
    assert response.status_code == 204
    assert response.headers["access-control-allow-headers"] == "authorization,x-page"
    assert "PATCH" in response.headers["access-control-allow-methods"]


async def test_a_named_origin_may_send_credentials() -> None:
    runtime = CopilotRuntime(providers=[ScriptedProvider()], config=RuntimeConfig(cors_origins=("http://page.test",)))
    async with client_of(runtime) as client:
        ours = await client.get(f"{PATH}/info", headers={"origin": "http://page.test"})
        assert ours.headers["access-control-allow-credentials"] == "true"
        assert ours.headers["access-control-allow-origin"] == "http://page.test"
        theirs = await client.get(f"{PATH}/info", headers={"origin": "http://other.test"})
        assert "access-control-allow-origin" not in theirs.headers
        for answer in (ours, theirs, await client.get(f"{PATH}/info"), await client.options(f"{PATH}/info")):
            assert answer.headers["vary"] == "Origin"


async def test_who_may_not_call_is_refused_in_json() -> None:
    config = RuntimeConfig(api_keys=("ann:a",))
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()], config=config)) as client:
        for response in (await client.get(f"{PATH}/info"), await client.post(PATH, json={"method": "info"})):
            assert (response.status_code, response.json()["error"]) == (401, "unauthorized")


async def test_a_thread_is_its_owners_alone() -> None:
    config = RuntimeConfig(api_keys=("ann:a", "bob:b"))
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()], config=config)) as client:
        client.headers["x-api-key"] = "a"
        await run(client, "scripted", run_input(script(*say("mine"))))
        client.headers["x-api-key"] = "b"
        assert await connect(client, "scripted") == []
        response = await client.post(f"{PATH}/agent/scripted/run", json=run_input(script(*say("yours"))))
        assert response.status_code == 404
        stopped = await client.post(f"{PATH}/agent/scripted/stop/t")
        assert stopped.json() == {"stopped": False, "message": "No active run for thread 't'."}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/threads?cursor=junk&limit=99999999999999999999", 400),
        ("GET", f"/threads?limit={'9' * 6000}", 200),
        ("GET", "/threads/%00/messages", 400),
        ("POST", f"/agent/scripted/stop/{'x' * 5000}", 200),
    ],
)
async def test_nonsense_is_refused(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    response = await client.request(method, f"{PATH}{path}")
    assert response.status_code == status


@pytest.mark.parametrize("path", ["", "/agent/scripted/run", "/agent/scripted/connect"])
async def test_a_body_whose_text_is_not_closed_holds_nobody_up(client: httpx.AsyncClient, path: str) -> None:
    body = b'{"threadId":"' + b'\\"' * 500_000 + b"," * 300_000
    response = await client.post(f"{PATH}{path}", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400


async def test_the_debug_feed_has_what_clients_get() -> None:
    runtime = CopilotRuntime(providers=[ScriptedProvider()], config=RuntimeConfig(debug_events=True))
    async with client_of(runtime) as client, client.stream("GET", f"{PATH}/cpk-debug-events") as feed:
        lines = feed.aiter_lines()
        assert await anext(lines) == ": connected"
        shown = await run(client, "default", run_input(script(*say("hello"))))
        seen: list[dict[str, Any]] = []
        while not seen or seen[-1]["event"]["type"] != "RUN_FINISHED":
            line = await anext(lines)
            seen += [json.loads(line.removeprefix("data: "))] if line.startswith("data: ") else []
        past = await connect(client, "default")
        replayed: list[dict[str, Any]] = []
        while len(replayed) < len(past):
            line = await anext(lines)
            replayed += [json.loads(line.removeprefix("data: "))] if line.startswith("data: ") else []
    assert [entry["event"]["type"] for entry in seen] == types_of(shown)
    assert [entry["event"] for entry in replayed] == past
    assert {(entry["agentId"], entry["threadId"], entry["runId"]) for entry in seen} == {("default", "t", "r")}


async def test_the_debug_feed_is_for_administrators_where_clients_are_authenticated() -> None:
    config = RuntimeConfig(debug_events=True, api_keys=("ann:a", "bob:b"), admins=("bob",))
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()], config=config)) as client:
        refused = await client.get(f"{PATH}/cpk-debug-events", headers={"x-api-key": "a"})
        assert refused.status_code == 403
        async with client.stream("GET", f"{PATH}/cpk-debug-events", headers={"x-api-key": "b"}) as feed:
            assert feed.status_code == 200


async def test_the_debug_feed_ends_with_the_credentials_of_its_reader() -> None:
    def authenticate(_request: object) -> Identity:
        return Identity("bob", {"exp": time() + 0.3})

    config = RuntimeConfig(debug_events=True, admins=("bob",))
    runtime = CopilotRuntime(providers=[ScriptedProvider()], config=config, auth=authenticate)
    async with client_of(runtime) as client, client.stream("GET", f"{PATH}/cpk-debug-events") as feed:
        assert await feed.aread() == b": connected\n\n"


async def test_the_debug_feed_ends_when_its_reader_s_key_is_revoked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "RENEWAL_SECONDS", 0.01)
    known = ["bob"]
    config = RuntimeConfig(debug_events=True, admins=("bob",))
    runtime = CopilotRuntime(
        providers=[ScriptedProvider()],
        config=config,
        auth=lambda _request: Identity(known[0]) if known else None,
    )
    async with client_of(runtime) as client, client.stream("GET", f"{PATH}/cpk-debug-events") as feed:
        parts = feed.aiter_bytes()
        assert await anext(parts) == b": connected\n\n"
        known.clear()
        assert [part async for part in parts] == []


def transcribe(audio: Audio) -> str:
    if audio.filename == "busy.wav":
        raise TranscriptionError("rate_limited", "later")
    if audio.filename.endswith(".code"):
        raise TranscriptionError(audio.filename.removesuffix(".code"), "no")
    if audio.filename == "broken.wav":
        raise ValueError("secret")
    return f"{audio.mime_type} {audio.data.decode()}"


@pytest.fixture
async def listener() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a runtime that transcribes."""
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()], transcribe=transcribe)) as client:
        yield client


async def test_a_recording_is_transcribed(listener: httpx.AsyncClient) -> None:
    assert (await listener.get(f"{PATH}/info")).json()["audioFileTranscriptionEnabled"] is True
    form = await listener.post(f"{PATH}/transcribe", files={"audio": ("a.wav", b"hi\r\n\x0b", "audio/wav;codecs=1")})
    assert form.json() == {"text": "audio/wav hi\r\n\x0b", "size": 5, "type": "audio/wav"}
    spoken = base64.b64encode(b"hi").decode()
    for body in ({"audio": spoken, "mimeType": "audio/ogg"}, {"audio": f"data:audio/ogg;base64,{spoken}"}):
        assert (await listener.post(f"{PATH}/transcribe", json=body)).json()["text"] == "audio/ogg hi"
    envelope = {"method": "transcribe", "body": {"audio": spoken}}
    assert (await listener.post(PATH, json=envelope)).json()["text"] == "audio/webm hi"


@pytest.mark.parametrize(
    ("name", "kind", "data", "status", "code"),
    [
        ("a.txt", "text/plain", b"hi", 400, "invalid_audio_format"),
        ("a.wav", "audio/wav", b"", 400, "audio_too_short"),
        ("busy.wav", "audio/wav", b"hi", 429, "rate_limited"),
        ("broken.wav", "audio/wav", b"hi", 500, "provider_error"),
    ],
)
async def test_a_recording_that_cannot_be_transcribed_is_an_error(
    listener: httpx.AsyncClient, name: str, kind: str, data: bytes, status: int, code: str
) -> None:
    response = await listener.post(f"{PATH}/transcribe", files={"audio": (name, data, kind)})
    assert (response.status_code, response.json()["error"]) == (status, code)
    assert "secret" not in response.text


@pytest.mark.parametrize(
    ("code", "status", "retryable"),
    [
        ("invalid_audio_format", 400, False),
        ("audio_too_long", 400, False),
        ("audio_too_short", 400, False),
        ("invalid_request", 400, False),
        ("auth_failed", 401, False),
        ("rate_limited", 429, True),
        ("provider_error", 500, True),
        ("network_error", 502, True),
    ],
)
async def test_each_failure_of_a_transcription_has_its_status(
    listener: httpx.AsyncClient, code: str, status: int, retryable: bool
) -> None:
    response = await listener.post(f"{PATH}/transcribe", files={"audio": (f"{code}.code", b"hi", "audio/wav")})
    assert response.status_code == status
    assert response.json() == {"error": code, "message": "no", "retryable": retryable}


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        *((f"audio/{kind}", f"audio/{kind}") for kind in ["mpeg", "mp3", "mp4", "wav", "webm", "ogg", "flac", "aac"]),
        ("audio/webm;codecs=opus", "audio/webm"),
        ("application/octet-stream", "audio/webm"),
        ("", "audio/webm"),
    ],
)
async def test_each_type_of_recording_is_transcribed(listener: httpx.AsyncClient, sent: str, heard: str) -> None:
    body = {"audio": base64.b64encode(b"hi").decode(), "mimeType": sent, "filename": "a"}
    response = await listener.post(f"{PATH}/transcribe", json=body)
    assert response.json() == {"text": f"{heard} hi", "size": 2, "type": heard}


async def test_a_body_without_a_recording_is_an_error(listener: httpx.AsyncClient) -> None:
    for body in ({}, {"audio": "%"}, {"audio": 1}):
        response = await listener.post(f"{PATH}/transcribe", json=body)
        assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
