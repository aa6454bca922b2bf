"""Every limit, against the server process: each refuses in the contract's shape, and none of them hangs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.server.process import Running, running
from tests.parity.fold import fold
from tests.parity.wire import ask
from tests.support.agui_client import run_input
from tests.support.polling import until
from tests.support.request_bodies import generate, scripted, text, text_message

HELLO = {"query": "{hello}"}
STREAM = {"accept": "text/event-stream"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = {
        "api_keys": "ann:ann-key, bob:bob-key, eve:eve-key",
        "rate_limit": "1/hour burst 40",
        "max_concurrent_runs_per_client": "2",
        "max_body_bytes": "20000",
        "max_messages": "5",
        "max_message_bytes": "5000",
        "run_timeout_seconds": "6",
    }
    with running(tmp_path_factory.mktemp("limits"), **settings) as server:
        yield server


def client(server: Running, key: str = "ann-key") -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=20, headers={"authorization": f"Bearer {key}"})


def error(response: httpx.Response) -> dict[str, Any]:
    return dict(response.json()["errors"][0])


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, STREAM, {"accept": "text/html;q=1"}])
async def test_without_valid_credentials_a_request_is_refused_in_every_format(
    server: Running, headers: dict[str, str]
) -> None:
    async with httpx.AsyncClient() as nobody:
        response = await nobody.post(server.url, json=HELLO, headers=headers)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert "AUTHENTICATION_ERROR" in response.text


async def test_preflights_and_probes_need_no_credentials(server: Running) -> None:
    async with httpx.AsyncClient() as nobody:
        assert (await nobody.options(server.url, headers={"origin": "http://a"})).status_code == 204
        assert (await nobody.get(f"{server.url}/health")).status_code == 200
        assert (await nobody.get(f"{server.url}/ready")).status_code == 200


@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
async def test_a_rate_that_is_used_up_names_when_to_come_back(server: Running, accept: str) -> None:
    async with client(server, "eve-key") as eve:
        statuses = [(await eve.post(server.url, json=HELLO)).status_code for _ in range(41)]
        response = await eve.post(server.url, json=HELLO, headers={"accept": accept})
    assert statuses[-1] == response.status_code == 429
    assert 3000 < int(response.headers["retry-after"]) <= 3600
    async with client(server) as ann:
        assert (await ann.post(server.url, json=HELLO)).status_code == 200


async def test_a_third_run_at_once_is_refused_and_admitted_when_one_has_ended(server: Running) -> None:
    hanging = scripted(*text("a", "hi"), {"hang": True})
    async with client(server, "bob-key") as bob:
        streams = [await _opened(bob, server.url, hanging, f"t-{n}") for n in range(2)]
        response = await bob.post(server.url, json=scripted(*text("a", "hi")))
        assert (response.status_code, response.headers["retry-after"]) == (429, "1")
        assert error(response)["message"] == "Too many runs at once. Please wait for one to end."
        for stream, _ in streams:
            await stream.aclose()
        await asyncio.to_thread(server.await_event, "run_ended", times=2, outcome="cancelled")
        await _eventually_admitted(bob, server.url)


async def _opened(
    http: httpx.AsyncClient, url: str, body: dict[str, Any], thread: str
) -> tuple[httpx.Response, AsyncIterator[bytes]]:
    """A stream that has begun. Its iterator is kept, for httpx closes the response with it."""
    body = json.loads(json.dumps(body))
    body["variables"]["data"]["threadId"] = thread
    response = await http.send(http.build_request("POST", url, json=body), stream=True)
    chunks = response.aiter_bytes()
    await anext(chunks)
    return response, chunks


async def _eventually_admitted(http: httpx.AsyncClient, url: str) -> None:
    body = scripted(*text("a", "hi"), threadId="t-9")

    async def admitted() -> bool:
        return (await http.post(url, json=body)).status_code == 200

    await until(admitted)


async def test_a_body_that_is_too_large_is_refused(server: Running) -> None:
    async with client(server) as ann:
        announced = await ann.post(server.url, json={"query": "{hello}", "variables": {"x": "y" * 20000}})
        chunked = await ann.post(server.url, content=_pieces(), headers={"content-type": "application/json"})
    assert (announced.status_code, chunked.status_code) == (413, 413)
    assert error(chunked)["extensions"]["code"] == "REQUEST_ENTITY_TOO_LARGE"


async def _pieces() -> Any:
    for _ in range(30):
        yield b" " * 1000


async def test_too_many_messages_or_one_too_long_are_refused(server: Running) -> None:
    many = generate(*(text_message("hi", id_=f"m-{n}") for n in range(6)), agent="scripted")
    long = generate(text_message("x" * 5001), agent="scripted")
    async with client(server) as ann:
        for body, said in ((many, "6 messages"), (long, "the limit is 5000 bytes")):
            response = await ann.post(server.url, json=body)
            assert response.status_code == 413
            assert said in error(response)["message"]


async def test_a_run_that_takes_too_long_is_ended(server: Running) -> None:
    async with client(server) as ann:
        answer = await ask(ann, server.url, scripted({"hang": True}, threadId="ann-1"))
    assert "did not finish within 6 seconds" in str(fold(answer.parts)["status"])


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{" + "hello " * 1001 + "}", "Document contains more than 1000 tokens"),
        ("{" + " ".join(f"a{n}: hello" for n in range(16)) + "}", "Aliases limit of 15 exceeded"),
        ("{hello " + "@include(if: true)" * 51 + "}", "Directives limit of 50 exceeded"),
        ("{" + "hello " * 21 + "}", "Repeated fields limit of 20 exceeded"),
        ("{__schema{types{" + "fields{type{" * 8 + "name" + "}}" * 8 + "}}}", "introspection depth"),
        ("{...a} fragment a on Query {...b} fragment b on Query {...a}", "Cannot spread fragment"),
    ],
)
async def test_a_document_that_is_too_large_is_refused(server: Running, document: str, said: str) -> None:
    async with client(server) as ann:
        response = await ann.post(
            server.url, json={"query": document}, headers={"accept": "application/graphql-response+json"}
        )
    assert response.status_code == 400
    assert said in error(response)["message"]


async def test_aliases_are_charged_as_so_many_requests(tmp_path: Path) -> None:
    document = "{" + " ".join(f"a{n}: hello" for n in range(10)) + "}"
    with running(tmp_path, rate_limit="1/hour burst 10") as server:
        async with httpx.AsyncClient() as nobody:
            statuses = [(await nobody.post(server.url, json={"query": document})).status_code for _ in range(2)]
    assert statuses == [200, 429]


async def test_an_address_is_counted_before_its_credentials_are_looked_at_and_seen_through_a_proxy(
    tmp_path: Path,
) -> None:
    with running(tmp_path, api_keys="ann:k", address_rate_limit="1/hour burst 3") as server:
        async with httpx.AsyncClient() as nobody:
            statuses = [(await nobody.post(server.url, json=HELLO)).status_code for _ in range(4)]
            other = await nobody.post(server.url, json=HELLO, headers={"x-forwarded-for": "10.1.2.3"})
    assert statuses == [401, 401, 401, 429]
    assert other.status_code == 401


@pytest.mark.parametrize(
    ("trusted", "forwarded", "statuses"),
    [
        ("127.0.0.1", ["10.0.0.1", "10.0.0.2"], [200, 200]),
        ("127.0.0.0/8", ["10.0.0.1", "10.0.0.1"], [200, 429]),
        ("127.0.0.1", ["1.1.1.1, 10.0.0.1", "2.2.2.2, 10.0.0.1"], [200, 429]),
        ("127.0.0.1, 10.0.0.9", ["10.0.0.1, 10.0.0.9", "10.0.0.2, 10.0.0.9"], [200, 200]),
        ("10.0.0.9", ["10.0.0.1", "10.0.0.2"], [200, 429]),
        ("127.0.0.1", ["2001:db8:0:1::1", "2001:db8:0:1:2::2", "2001:db8:0:2::1"], [200, 429, 200]),
        ("127.0.0.1", ["::ffff:10.0.0.1", "10.0.0.1", "::ffff:10.0.0.2", "fe80::1%eth0"], [200, 429, 200, 200]),
    ],
    ids=[
        "a proxy's word",
        "a network of proxies",
        "what a client pretends",
        "a chain of proxies",
        "nobody's word",
        "addresses of one network",
        "other spellings",
    ],
)
async def test_an_address_is_what_trusted_proxies_report(
    tmp_path: Path, trusted: str, forwarded: list[str], statuses: list[int]
) -> None:
    with running(tmp_path, address_rate_limit="1/hour", trusted_proxies=trusted) as server:
        async with httpx.AsyncClient() as http:
            answers = [await http.post(server.url, json=HELLO, headers={"x-forwarded-for": f}) for f in forwarded]
    assert [answer.status_code for answer in answers] == statuses


async def test_runs_at_once_are_counted_over_all_clients(tmp_path: Path) -> None:
    with running(tmp_path, api_keys="ann:a, bob:b, eve:e", max_concurrent_runs="2") as server:
        async with client(server, "a") as ann, client(server, "b") as bob, client(server, "e") as eve:
            hanging = scripted(*text("a", "hi"), {"hang": True})
            streams = [await _opened(http, server.url, hanging, f"t-{n}") for n, http in enumerate((ann, bob))]
            refused = await eve.post(server.url, json=scripted(*text("a", "hi"), threadId="t-3"))
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert error(refused)["message"] == "The server is busy with other runs. Please try again."
            assert (await eve.post(server.url, json=HELLO)).status_code == 200
            for stream, _ in streams:
                await stream.aclose()


@pytest.mark.e2e
@pytest.mark.timeout(150)
async def test_a_body_that_does_not_come_is_waited_for_a_minute(server: Running) -> None:
    host, port = server.origin.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    path = server.url.removeprefix(server.origin)
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n"
    writer.write(f"{head}Authorization: Bearer ann-key\r\n\r\n{{".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_a_thread_of_somebody_else_is_as_one_that_is_not_there(server: Running) -> None:
    query = """query($data: LoadAgentStateInput!) { loadAgentState(data: $data) { threadExists state messages } }"""
    load = {"query": query, "variables": {"data": {"threadId": "ann-2", "agentName": "scripted"}}}
    async with client(server) as ann, client(server, "bob-key") as bob:
        empty = (await bob.post(server.url, json=load)).json()
        await ask(ann, server.url, scripted(*text("a", "mine"), threadId="ann-2"))
        assert (await ann.post(server.url, json=load)).json()["data"]["loadAgentState"]["threadExists"] is True
        assert (await bob.post(server.url, json=load)).json() == empty
        refused = await ask(bob, server.url, scripted(*text("a", "hers?"), threadId="ann-2"))
    told = refused.parts[0]["errors"][0]
    assert (told["message"], told["extensions"]["code"]) == ("The thread was not found.", "NOT_FOUND")


async def test_the_caller_reaches_the_agent_and_their_key_does_not(server: Running) -> None:
    async with client(server) as ann:
        body = generate(text_message("who am I?"), agent="witness", threadId="ann-3")
        answer = await ask(ann, server.url, body)
    assert fold(answer.parts)["messages"][0]["content"] == ["ann []"]
    line = server.await_event("witnessed")
    assert (line["thread_id"], line["agent"], line["identity"]) == ("ann-3", "witness", "ann")
    assert {"run_id", "correlation_id"} <= line.keys()
    assert "swordfish" not in server.log.read_text()
    assert "abc.def" not in server.log.read_text()


async def test_a_client_follows_no_more_threads_at_once_than_it_may(tmp_path: Path) -> None:
    settings = {"api_keys": "ann:ann-key, bob:bob-key", "max_joined_threads_per_client": "2"}
    with running(tmp_path, connect_stays_open="true", **settings) as server:
        async with client(server) as ann, client(server, "bob-key") as bob:
            followed = [await _joined(ann, server.url, f"t-{n}") for n in range(2)]
            refused = await _joined(ann, server.url, "t-2")
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert "Too many streams at once" in (await refused.aread()).decode()
            assert (await _joined(bob, server.url, "t-3")).status_code == 200
            assert (await ann.get(f"{server.url}/info")).status_code == 200
            await followed[0].aclose()

            async def admitted() -> bool:
                joined = await _joined(ann, server.url, "t-4")
                await joined.aclose()
                return joined.status_code == 200

            await until(admitted)


async def _joined(http: httpx.AsyncClient, url: str, thread: str) -> httpx.Response:
    """Connect to a thread, and leave the stream open."""
    request = http.build_request("POST", f"{url}/agent/scripted/connect", json=run_input(thread=thread, run="c"))
    return await http.send(request, stream=True)
