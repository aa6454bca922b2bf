"""The endpoint's HTTP: negotiation, methods, cross-origin headers, versions, health, GraphiQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from copilotkit_runtime.wires.graphql.graphiql import EXAMPLES
from tests.support.local_server import PATH, client_of, served
from tests.support.request_bodies import generate, scripted, text
from tests.support.scripted_agent import ScriptedProvider

HELLO = {"query": "{hello}"}
PATIENCE = 30
CLIENT_ACCEPT = (
    "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed"
)
GRAPHQL, JSON = "application/graphql-response+json; charset=utf-8", "application/json; charset=utf-8"
MULTIPART, EVENTS = 'multipart/mixed; boundary="-"', "text/event-stream"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()])) as client:
        yield client


@pytest.mark.parametrize(
    ("accept", "whole", "parts"),
    [
        (CLIENT_ACCEPT, GRAPHQL, MULTIPART),
        ("*/*", JSON, MULTIPART),
        ("", JSON, MULTIPART),
        ("multipart/mixed", MULTIPART, MULTIPART),
        ("multipart/mixed;deferSpec=20220824", MULTIPART, MULTIPART),
        ("text/event-stream", EVENTS, EVENTS),
        ("text/event-stream, multipart/mixed", MULTIPART, MULTIPART),
        ("application/json", JSON, None),
        ("application/json, application/graphql-response+json", GRAPHQL, None),
        ("text/html", None, None),
        ("application/json; charset=latin-1", None, None),
    ],
)
async def test_the_format_is_the_best_that_the_client_reads(
    client: httpx.AsyncClient, accept: str, whole: str | None, parts: str | None
) -> None:
    asked = scripted(*text("a", "hi"))
    for body, expected in ((HELLO, whole), (asked, parts)):
        response = await client.post(PATH, json=body, headers={"accept": accept})
        assert response.status_code == (200 if expected else 406)
        assert response.headers.get("content-type") == expected


async def test_a_refused_format_is_refused_before_anything_runs(client: httpx.AsyncClient) -> None:
    response = await client.post(PATH, json=scripted({"hang": True}), headers={"accept": "application/json"})
    assert (response.status_code, response.content) == (406, b"")
    assert response.headers["accept"] == "text/event-stream; charset=utf-8, multipart/mixed; charset=utf-8"


async def test_without_directives_the_answer_comes_in_one_piece(client: httpx.AsyncClient) -> None:
    body = scripted(*text("a", "one", "two"))
    body["query"] = """mutation generateCopilotResponse($data: GenerateCopilotResponseInput!) {
        generateCopilotResponse(data: $data) {
            threadId status { ... on BaseResponseStatus { code } } metaEvents { name }
            messages { id status { ... on SuccessMessageStatus { code } } ... on TextMessageOutput { content } } } }"""
    response = await client.post(PATH, json=body, headers={"accept": "application/json"})
    assert response.json()["data"]["generateCopilotResponse"] == {
        "threadId": "t-1",
        "status": {"code": "Success"},
        "metaEvents": [],
        "messages": [{"id": "a", "status": {"code": "Success"}, "content": ["one", "two"]}],
    }


async def test_a_query_of_the_status_alone_does_not_hang(client: httpx.AsyncClient) -> None:
    body = scripted(*text("a", "hi"))
    body["query"] = """mutation generateCopilotResponse($data: GenerateCopilotResponseInput!) {
        generateCopilotResponse(data: $data) { status { ... on BaseResponseStatus { code } }
            messages { status { ... on SuccessMessageStatus { code } } } } }"""
    assert (await client.post(PATH, json=body)).json()["data"]["generateCopilotResponse"] == {
        "status": {"code": "Success"},
        "messages": [{"status": {"code": "Success"}}],
    }


async def test_server_sent_events_carry_the_same_parts(client: httpx.AsyncClient) -> None:
    response = await client.post(PATH, json=scripted(*text("a", "hi")), headers={"accept": "text/event-stream"})
    assert response.text.startswith(':\n\nevent: next\ndata: {"data":')
    assert response.text.endswith('"hasNext":false}\n\nevent: complete\ndata:\n\n')


async def test_a_stream_is_neither_cached_nor_buffered(client: httpx.AsyncClient) -> None:
    response = await client.post(PATH, json=scripted(*text("a", "hi")))
    assert response.headers["cache-control"] == "no-cache, no-transform"
    assert response.headers["x-accel-buffering"] == "no"
    assert "content-length" not in response.headers


async def test_queries_may_be_sent_by_get_and_mutations_may_not(client: httpx.AsyncClient) -> None:
    assert (await client.get(PATH, params={"query": "{hello}"})).json() == {"data": {"hello": "Hello World"}}
    refused = await client.get(PATH, params={"query": generate()["query"], "variables": "{}"})
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


async def test_a_missing_query_is_an_answer_in_plain_json(client: httpx.AsyncClient) -> None:
    response = await client.get(PATH, headers={"accept": "application/json"})
    assert (response.status_code, response.headers["allow"]) == (200, "GET, POST")
    assert response.json()["errors"][0]["message"] == "Must provide query string."


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_refused(client: httpx.AsyncClient, method: str) -> None:
    response = await client.request(method, PATH)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")
    assert response.json()["errors"][0]["message"] == "GraphQL only supports GET and POST requests."


@pytest.mark.parametrize("path", [f"{PATH}/health", "/health", "/any/where/health"])
async def test_health_answers_every_method(client: httpx.AsyncClient, path: str) -> None:
    for method in ("GET", "POST", "HEAD"):
        response = await client.request(method, path)
        assert (response.status_code, response.content, response.headers["x-yoga-id"]) == (200, b"", "yoga")


@pytest.mark.parametrize("path", [PATH, f"{PATH}/", f"{PATH}?a=b", f"/behind/a/proxy{PATH}"])
async def test_the_endpoint_answers_where_the_original_does(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.post(path, json=HELLO)).status_code == 200


async def test_another_path_is_not_found(client: httpx.AsyncClient) -> None:
    response = await client.post(f"{PATH}s/info", json=HELLO)
    assert (response.status_code, response.content) == (404, b"")


async def test_in_development_another_path_is_answered_with_where_the_endpoint_is() -> None:
    async with client_of(CopilotRuntime(config=RuntimeConfig(env="development"))) as client:
        response = await client.post(f"{PATH}s/info", json=HELLO)
    assert response.status_code == 404
    # Clients of 1.74 put it behind "Runtime info request failed with status 404".
    assert response.json()["message"] == f"Nothing is served at this path. The endpoint is {PATH}."


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        ("1.10.6", "1.10.6"),
        ("1.2.0", "1.2.0"),
        ("1.11.0-next.1", "1.11.0-next.1"),
        ("<evil>", "1.10.6"),
        (None, "1.10.6"),
    ],
)
async def test_every_client_is_answered_with_its_own_version(
    client: httpx.AsyncClient, said: str | None, answered: str
) -> None:
    headers = {"x-copilotkit-runtime-client-gql-version": said} if said else {}
    for body in (HELLO, {"query": "{nope}"}):
        response = await client.post(PATH, json=body, headers=headers)
        assert response.headers["x-copilotkit-runtime-version"] == answered


async def test_any_origin_may_read_without_credentials(client: httpx.AsyncClient) -> None:
    response = await client.post(PATH, json=HELLO, headers={"origin": "http://page.test"})
    assert response.headers["access-control-allow-origin"] == "http://page.test"
    assert response.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in response.headers


async def test_a_named_origin_may_send_credentials_and_others_may_not_read() -> None:
    runtime = CopilotRuntime(config=RuntimeConfig(cors_origins=("http://page.test",)))
    async with client_of(runtime) as client:
        ours = await client.post(PATH, json=HELLO, headers={"origin": "http://page.test"})
        assert ours.headers["access-control-allow-credentials"] == "true"
        theirs = await client.post(PATH, json=HELLO, headers={"origin": "http://other.test"})
        assert "access-control-allow-origin" not in theirs.headers


LISTED = ("http://page.test",)
"""An origin that is named; ``null``, that of sandboxed pages, is never one."""


@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
@pytest.mark.parametrize("path", [PATH, f"{PATH}/info", f"{PATH}/agent/scripted/connect", "/nowhere"])
@pytest.mark.parametrize("origin", [None, "http://page.test", "http://other.test", "null", "http://PAGE.test"])
async def test_answers_to_one_origin_are_not_another_s(origin: str | None, path: str, method: str) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-private-network": "true"}
    headers = {**({} if origin is None else {"origin": origin}), **(asked if method == "OPTIONS" else {})}
    async with client_of(CopilotRuntime(config=RuntimeConfig(cors_origins=LISTED))) as client:
        answer = (await client.request(method, path, headers=headers)).headers
    assert "Origin" in answer.get_list("vary", split_commas=True)
    assert answer.get("access-control-allow-origin") == (origin if origin in LISTED else None)
    assert answer.get("access-control-allow-credentials") == ("true" if origin in LISTED else None)
    assert "access-control-allow-private-network" not in answer


@pytest.mark.parametrize("origin", ["null", "http://*.page.test", "page.test", "http://page.test/path"])
def test_what_is_no_origin_cannot_be_listed(origin: str) -> None:
    with pytest.raises(ValueError, match="each must be"):
        RuntimeConfig(cors_origins=(origin,))


async def test_a_preflight_allows_what_it_requests(client: httpx.AsyncClient) -> None:
    headers = {
        "origin": "http://page.test",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-copilotkit-runtime-client-gql-version",
    }
    response = await client.options(PATH, headers=headers)
    assert (response.status_code, response.content) == (204, b"")
    assert "POST" in response.headers["access-control-allow-methods"].split(", ")
    assert response.headers["access-control-allow-headers"] == headers["access-control-request-headers"]


@pytest.mark.parametrize("path", ["", "/info", "/agent/scripted/run"])
@pytest.mark.parametrize("method", ["OPTIONS", "GET", "POST"])
@pytest.mark.parametrize("name", ["origin", "access-control-request-method", "access-control-request-headers"])
async def test_no_header_is_repeated_at_length(client: httpx.AsyncClient, path: str, method: str, name: str) -> None:
    headers = {"origin": "http://page.test", name: f"http://{'x' * 20_000}.test"}
    answer = await client.request(method, f"{PATH}{path}", headers=headers)
    assert sum(len(each) + len(value) for each, value in answer.headers.items()) < 4_000
    allowed = answer.headers.get("access-control-allow-origin")
    assert allowed in ({None, "*"} if name == "origin" else {"http://page.test", "*"})


async def test_a_browser_gets_graphiql_unless_it_is_switched_off(client: httpx.AsyncClient) -> None:
    page = await client.get(PATH, headers={"accept": "text/html,*/*"})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "GraphiQL" in page.text
    async with client_of(CopilotRuntime(config=RuntimeConfig(graphiql=False))) as strict:
        assert "GraphiQL" not in (await strict.get(PATH, headers={"accept": "text/html,*/*"})).text


async def test_a_body_over_the_limit_is_refused() -> None:
    async with client_of(CopilotRuntime(config=RuntimeConfig(max_body_bytes=1000))) as client:
        response = await client.post(PATH, json={"query": "{hello}", "variables": {"x": "y" * 2000}})
    assert response.status_code == 413
    assert response.json()["errors"][0]["extensions"]["code"] == "REQUEST_ENTITY_TOO_LARGE"


BODIES = [
    ("POST", "", "application/json"),
    ("POST", "/agent/scripted/run", "application/json"),
    ("PUT", "/agents/scripted/state", "application/json"),
    ("POST", "/transcribe", "application/json"),
    ("POST", "/transcribe", "multipart/form-data; boundary=x"),
]


@asynccontextmanager
async def connected(*head: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Send the head of a request to a server that takes bodies of 2,000 bytes at most, images included."""

    async def hear(_audio: Any) -> str:
        return "heard"

    config = RuntimeConfig(max_body_bytes=1000, max_image_bytes=1000, extensions=True)
    runtime = CopilotRuntime(providers=[ScriptedProvider()], config=config, transcribe=hear)
    async with served(runtime.create_app()) as origin, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(origin.rpartition(":")[2]))
        writer.write("\r\n".join([*head, "host: test", "", ""]).encode())
        try:
            yield reader, writer
        finally:
            writer.close()


@pytest.mark.parametrize(("method", "path", "kind"), BODIES)
async def test_a_body_that_is_announced_as_too_large_is_refused_before_it_comes(
    method: str, path: str, kind: str
) -> None:
    head = f"{method} {PATH}{path} HTTP/1.1"
    async with connected(head, f"content-type: {kind}", f"content-length: {10**9}") as (reader, _):
        assert b" 413 " in await reader.readline()


@pytest.mark.parametrize(("method", "path", "kind"), BODIES)
async def test_a_body_in_chunks_is_refused_where_it_passes_the_limit_though_it_never_ends(
    method: str, path: str, kind: str
) -> None:
    head = f"{method} {PATH}{path} HTTP/1.1"
    async with connected(head, f"content-type: {kind}", "transfer-encoding: chunked") as (reader, writer):
        for _ in range(3):
            writer.write(b"3e8\r\n" + b" " * 1000 + b"\r\n")
        assert b" 413 " in await reader.readline()


async def test_introspection_can_be_switched_off() -> None:
    query = {"query": "{__schema{queryType{name}}}"}
    async with client_of(CopilotRuntime(config=RuntimeConfig(introspection=False))) as client:
        assert "introspection" in (await client.post(PATH, json=query)).json()["errors"][0]["message"]


@pytest.mark.parametrize("operation", ["agents", "state", "chat"])
async def test_the_examples_of_graphiql_are_answered(client: httpx.AsyncClient, operation: str) -> None:
    body = {"query": EXAMPLES, "operationName": operation, "variables": {}}
    answer = (await client.post(PATH, json=body, headers={"accept": "application/json"})).json()
    missing = [error for error in answer.get("errors", []) if "was not found" not in error["message"]]
    assert missing == []
