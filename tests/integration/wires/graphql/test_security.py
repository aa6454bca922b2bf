"""graphql-cop's checks and OWASP's GraphQL sheet, point by point; docs/security.md names each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from starlette.requests import HTTPConnection

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from copilotkit_runtime.wires.http import admission
from copilotkit_runtime.wires.http.auth import Identity
from tests.integration.server.process import Running, running
from tests.parity.wire import ask
from tests.support.local_server import PATH, client_of
from tests.support.request_bodies import generate, scripted, text
from tests.support.scripted_agent import ScriptedProvider

STRICT = {"accept": "application/graphql-response+json"}
HELLO = {"query": "{hello}"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = {"env": "production", "auth": "none", "cors_origins": "https://page.test"}
    with running(tmp_path_factory.mktemp("production"), **settings) as server:
        yield server


@pytest.fixture
async def production(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.origin, timeout=20) as client:
        yield client


async def refused(client: httpx.AsyncClient, query: str) -> str:
    response = await client.post(PATH, json={"query": query}, headers=STRICT)
    assert response.status_code == 400
    return str(response.json()["errors"][0]["message"])


async def test_introspection_is_off_in_production(production: httpx.AsyncClient) -> None:
    assert "introspection" in await refused(production, "{__schema{queryType{name}}}")
    assert "introspection" in await refused(production, '{__type(name:"Query"){name}}')


async def test_field_suggestions_are_off_in_production(production: httpx.AsyncClient) -> None:
    assert await refused(production, "{helo}") == "Cannot query field 'helo' on type 'Query'."
    async with client_of(CopilotRuntime()) as development:
        assert "Did you mean" in await refused(development, "{helo}")


@pytest.mark.parametrize("role", ["usr", "assistan", "Did you mean ?" * 1000])
async def test_suggestions_of_values_are_off_in_production(production: httpx.AsyncClient, role: str) -> None:
    message = {"id": "1", "createdAt": "2026-11-20T00:00:00Z", "textMessage": {"role": role, "content": ""}}
    data = {"frontend": {"actions": []}, "metadata": {}, "messages": [message]}
    document = "mutation($d: GenerateCopilotResponseInput!) {generateCopilotResponse(data: $d) {threadId}}"
    literal = document.split("(", 1)[0] + "{generateCopilotResponse(data: {messages: [{textMessage: {role: usr}}]})}"
    for body in ({"query": document, "variables": {"d": data}}, {"query": literal}):
        response = await production.post(PATH, json=body)
        assert response.json()["errors"]
        assert "enum value" not in response.text
    async with client_of(CopilotRuntime()) as development:
        response = await development.post(PATH, json={"query": document, "variables": {"d": data}})
        assert ("enum value" in response.text) == (role in ("usr", "assistan"))


async def test_graphiql_is_off_in_production(production: httpx.AsyncClient) -> None:
    assert "GraphiQL" not in (await production.get(PATH, headers={"accept": "text/html"})).text


@pytest.mark.parametrize(
    "document",
    [
        "{" + "".join(f"alias{n}:hello " for n in range(101)) + "}",
        "{" + "__typename " * 500 + "}",
        "{hello" + "@aa" * 51 + "}",
        "{__schema{types{fields{type{fields{type{fields{type{fields{type{name}}}}}}}}}}}",
        "{...A} fragment A on Query{...B} fragment B on Query{...A}",
        "{" + "a{" * 400 + "}" * 400 + "}",
        "query(" + ",".join(f"$v{n}:Int" for n in range(400)) + "){hello}",
    ],
    ids=["aliases", "repeated fields", "directives", "circular introspection", "circular fragments", "depth", "tokens"],
)
async def test_a_document_made_to_overload_is_refused(production: httpx.AsyncClient, document: str) -> None:
    assert await refused(production, document)


def nested(depth: int) -> str:
    return '{__type(name:"Query"){' + "ofType{" * (depth - 2) + "name" + "}" * depth


@pytest.mark.parametrize(
    ("document_of", "limit", "name"),
    [
        (lambda n: "{" + "".join(f"alias{i}:hello " for i in range(n)) + "}", 15, "Aliases"),
        (lambda n: "{" + "hello " * n + "}", 20, "Repeated fields"),
        (lambda n: "{" + "... @include(if:true){hello} " * n + "}", 50, "Directives"),
        (nested, 15, "Query depth"),
        (lambda n: "{" + "a" * n + ":hello}", 200, "Characters of a name"),
    ],
    ids=["aliases", "repeated fields", "directives", "depth", "name"],
)
async def test_a_document_may_have_as_much_as_its_limit_and_no_more(
    document_of: Callable[[int], str], limit: int, name: str
) -> None:
    async with client_of(CopilotRuntime()) as client:
        within = (await client.post(PATH, json={"query": document_of(limit)})).json()
        beyond = (await client.post(PATH, json={"query": document_of(limit + 1)})).json()
    assert "errors" not in within
    assert f"{name} limit of {limit} exceeded" in beyond["errors"][0]["message"]


async def test_graphql_cops_own_requests_find_nothing_but_queries_by_get(production: httpx.AsyncClient) -> None:
    def cop(query: str) -> Any:
        return {"query": f"query cop {query}", "operationName": "cop"}

    async def said(body: Any, **headers: str) -> Any:
        return (await production.post(PATH, json=body, headers=headers)).json()

    aliases = await said(cop("{" + "".join(f"alias{n}:__typename " for n in range(101)) + "}"))
    assert "alias100" not in (aliases.get("data") or {})
    assert not isinstance(await said([{"query": "query cop { __typename }"}] * 10), list)
    assert "data" not in await said(cop("{" + "__typename " * 500 + "}"))
    assert "data" not in await said(
        cop("{__schema{types{fields{type{fields{type{fields{type{fields{type{name}}}}}}}}}}}")
    )
    assert "data" not in await said(cop("{__schema{types{name fields{name}}}}"))
    assert len((await said(cop("{__typename " + "@aa" * 10 + "}")))["errors"]) == 1
    assert "Did you mean" not in str(await said(cop("{__schema{directive}}")))
    assert "tracing" not in (await said(cop("{__typename}"))).get("extensions", {})
    unhandled = await said({"query": "qwerty cop { abc }", "operationName": "cop"})
    assert not {"exception", "stacktrace"} & unhandled["errors"][0].get("extensions", {}).keys()
    by_get = await production.get(PATH, params={"query": "mutation cop {__typename}"})
    assert "data" not in by_get.json()
    form = await production.post(PATH, data={"query": "query cop {__typename}"})
    assert "data" not in form.text
    page = await production.get(PATH, headers={"accept": "text/html"})
    assert not any(word in page.text.lower() for word in ("graphiql", "playground", "explorer"))
    asked = await production.get(PATH, params={"query": "query cop {__typename}"})
    assert asked.json() == {"data": {"__typename": "Query"}}


async def test_batches_are_refused(production: httpx.AsyncClient) -> None:
    response = await production.post(PATH, json=[HELLO] * 10, headers=STRICT)
    assert (response.status_code, response.json()["errors"][0]["message"]) == (400, "Batching is not supported.")


async def test_the_published_document_is_far_inside_the_limits() -> None:
    config = RuntimeConfig(
        max_document_tokens=300, max_document_depth=7, max_document_aliases=1, max_document_directives=8
    )
    async with client_of(CopilotRuntime(providers=[ScriptedProvider()], config=config)) as client:
        assert (await ask(client, PATH, scripted(*text("a", "hi")))).complete


async def test_nothing_is_changed_by_get(production: httpx.AsyncClient) -> None:
    parameters = {"query": generate()["query"], "variables": "{}"}
    assert (await production.get(PATH, params=parameters)).status_code == 405


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", ""]
)
async def test_what_a_page_may_send_without_preflight_is_not_read(
    production: httpx.AsyncClient, content_type: str
) -> None:
    response = await production.post(PATH, content=b"query=%7Bhello%7D", headers={"content-type": content_type})
    assert response.status_code == 415


async def test_another_origin_is_not_admitted(production: httpx.AsyncClient) -> None:
    preflight = {"origin": "https://evil.test", "access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in (await production.options(PATH, headers=preflight)).headers
    preflight["origin"] = "https://page.test"
    assert (await production.options(PATH, headers=preflight)).headers["access-control-allow-credentials"] == "true"


async def test_credentials_can_be_refused_to_all_origins() -> None:
    config = RuntimeConfig(cors_origins=("https://page.test",), cors_credentials=False)
    async with client_of(CopilotRuntime(config=config)) as client:
        headers = (await client.post(PATH, json=HELLO, headers={"origin": "https://page.test"})).headers
    assert headers["access-control-allow-origin"] == "https://page.test"
    assert "access-control-allow-credentials" not in headers


async def test_every_answer_has_the_security_headers(production: httpx.AsyncClient) -> None:
    answers = [
        await production.post(PATH, json=HELLO),
        await production.get(f"{PATH}/health"),
        await production.get("/nowhere"),
        await production.post(PATH, content=b"x"),
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers


async def test_no_trace_of_the_execution_is_revealed(production: httpx.AsyncClient) -> None:
    body = (await production.post(PATH, json=HELLO, headers={"x-apollo-tracing": "1"})).json()
    assert body == {"data": {"hello": "Hello World"}}


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000, b'{"query":' + b"9" * 5000 + b"}"])
async def test_no_input_gets_at_a_stack(production: httpx.AsyncClient, body: bytes) -> None:
    headers = {**STRICT, "content-type": "application/json"}
    response = await production.post(PATH, content=body, headers=headers)
    assert response.status_code == 400
    assert "Traceback" not in response.text


@pytest.mark.parametrize("header", ["x-api-key", "cookie", "authorization", "x-copilotcloud-public-api-key"])
async def test_credentials_are_not_handed_to_agents(header: str) -> None:
    from tests.integration.server.apps import Witness

    body = generate({**scripted()["variables"]["data"]["messages"][0]}, agent="witness")
    async with client_of(CopilotRuntime(providers=[Witness()])) as client:
        client.headers[header] = "secret"
        answer = await ask(client, PATH, body)
    assert header not in str(answer.parts)


async def test_an_own_authenticator_may_await_and_its_fault_lets_nobody_in() -> None:
    async def authenticate(request: HTTPConnection) -> Identity | None:
        if request.headers.get("x-user") == "broken":
            raise RuntimeError("secret")
        return Identity(request.headers["x-user"]) if "x-user" in request.headers else None

    async with client_of(CopilotRuntime(auth=authenticate)) as client:
        answers: list[Any] = [
            await client.post(PATH, json=HELLO, headers=headers)
            for headers in ({"x-user": "me"}, {}, {"x-user": "broken"})
        ]
    assert [answer.status_code for answer in answers] == [200, 401, 503]
    assert "secret" not in answers[2].text


@pytest.mark.parametrize("path", ["", "/info", "/agent/default/run"])
async def test_an_authenticator_that_never_answers_lets_nobody_in_and_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    left = asyncio.Event()

    async def authenticate(request: HTTPConnection) -> Identity | None:
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return Identity("me")

    monkeypatch.setattr(admission, "AUTHENTICATION_SECONDS", 0.1)
    async with client_of(CopilotRuntime(auth=authenticate)) as client, asyncio.timeout(20):
        answer = await client.request("GET" if path == "/info" else "POST", f"{PATH}{path}", json=HELLO)
        await left.wait()
    assert answer.status_code == 503
