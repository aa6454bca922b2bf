"""The head of a request is bounded in size, number and time, before anybody knows who sends it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.server.process import Running, running

LIMIT = 8192


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("heads")
    with running(folder, max_header_bytes=str(LIMIT), request_head_seconds="0.5") as server:
        yield server


async def answer_to(server: Running, *pieces: bytes) -> bytes:
    """Send the pieces one by one, and return the status line; empty without one."""
    port = httpx.URL(server.origin).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(20):
            return await reader.readline()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_head_that_is_too_large_is_refused_however_it_comes(server: Running) -> None:
    head = b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * LIMIT + b"\r\n\r\n"
    url = b"GET /health?q=" + b"a" * LIMIT + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    many = b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 1000 + b"\r\n"
    for sent in (head, url):
        assert b" 431 " in await answer_to(server, sent)
        assert b" 431 " in await answer_to(server, *(sent[at : at + 1000] for at in range(0, LIMIT + 1000, 1000)))
    assert b" 400 " in await answer_to(server, many)


async def test_a_head_that_never_ends_is_refused_in_time(server: Running) -> None:
    assert b" 408 " in await answer_to(server, b"GET /health HTTP/1.1\r\nHost: x\r\n")
    assert b" 408 " in await answer_to(server)


async def test_a_connection_stays_open_for_further_requests_for_a_while(tmp_path: Path) -> None:
    request = b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with running(tmp_path, idle_connection_seconds="1") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(server.origin).port)
        async with asyncio.timeout(4):  # less than uvicorn's own limit
            for _ in range(2):
                writer.write(request)
                assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
            assert await reader.read() == b""
        writer.close()


async def test_a_large_body_is_not_part_of_the_head(server: Running) -> None:
    body = json.dumps({"query": "{hello}", "variables": {"x": "y" * 5 * LIMIT}}).encode()
    head = (
        b"POST /api/copilotkit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Accept: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    assert b" 200 " in await answer_to(server, head + body)
    for at in range(len(head) - 4, len(head) + 1):
        sent = head + body
        assert b" 200 " in await answer_to(server, sent[:at], sent[at:])


CHUNKED = (
    b"POST /api/copilotkit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Accept: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
)


@pytest.mark.parametrize(
    "beside",
    [b"1\r\n{\r\n0\r\nX-A: ", b"1;", b"1\r\n{\r\n1;"],
    ids=["a header behind the body", "words beside a chunk", "words beside the second chunk"],
)
async def test_what_comes_beside_a_body_in_chunks_is_bounded(server: Running, beside: bytes) -> None:
    assert b" 431 " in await answer_to(server, CHUNKED + beside, *[b"a" * 1000] * 1000)


async def test_a_body_in_chunks_of_one_byte_is_read(server: Running) -> None:
    body = json.dumps({"query": "{hello}", "variables": {"x": "y" * 2 * LIMIT}}).encode()
    pieces = [b"1\r\n%c\r\n" % byte for byte in body]
    sent = CHUNKED + b"".join(pieces) + b"0\r\nX-A: b\r\n\r\n"
    assert b" 200 " in await answer_to(server, *(sent[at : at + 5000] for at in range(0, len(sent), 5000)))


@pytest.mark.parametrize("then", [b"Connection: close", b"Accept: */*"])
async def test_a_client_that_sends_far_too_much_gets_the_answer(server: Running, then: bytes) -> None:
    size = 16 << 20
    head = b"POST /api/copilotkit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += then + b"\r\nContent-Length: %d\r\n\r\n" % (64 << 20)
    piece = b" " * (1 << 20)
    assert b" 413 " in await answer_to(server, head, *[piece] * (size // len(piece)))
    piece = b"a" * len(piece)
    assert b" 431 " in await answer_to(server, b"GET / HTTP/1.1\r\nA: ", *[piece] * (size // len(piece)))


async def test_a_connection_serves_many_requests(server: Running) -> None:
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1)) as client:
        for _ in range(20):
            response = await client.get(f"{server.origin}/health", headers={"x-a": "a" * (LIMIT // 2)})
            assert response.status_code == 200
            await asyncio.sleep(0.05)


QUERY = b'{"query":"{hello}"}'
UPGRADING = (
    b"POST /api/copilotkit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
)
WHOLE = b"Content-Length: %d\r\n\r\n" % len(QUERY)
IN_CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n"


async def answers_to(server: Running, count: int, *pieces: bytes) -> list[bytes]:
    """Send the pieces one by one, and return the status lines and bodies of ``count`` answers that have a length."""
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(server.origin).port)
    found = []
    try:
        async with asyncio.timeout(20):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            for _ in range(count):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                found.append(head.split(b"\r\n")[0] + await reader.readexactly(length))
    finally:
        writer.close()
    return found


@pytest.mark.parametrize("upgrade", [b"h2c", b"TLS/1.0", b"h2c, websocket"])
@pytest.mark.parametrize(
    ("framing", "body"),
    [(WHOLE, QUERY), (IN_CHUNKS, b"%x\r\n%b\r\n0\r\n\r\n" % (len(QUERY), QUERY))],
    ids=["whole", "in chunks"],
)
@pytest.mark.parametrize("at", ["at once", "behind the head", "within the head"])
async def test_a_request_that_offers_another_protocol_keeps_its_body(
    server: Running, at: str, framing: bytes, body: bytes, upgrade: bytes
) -> None:
    head = UPGRADING.replace(b"Upgrade: h2c", b"Upgrade: " + upgrade) + framing
    cut = {"at once": 0, "behind the head": len(head), "within the head": len(head) - 3}[at]
    sent, following = head + body, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    first, second = await answers_to(server, 2, sent[:cut], sent[cut:] + following)
    assert b" 200 " in first
    assert b"Hello World" in first
    assert b" 200 " in second


async def test_the_body_of_a_request_that_offers_another_protocol_is_no_request(server: Running) -> None:
    hidden = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    head = UPGRADING + b"Content-Length: %d\r\n\r\n" % len(hidden)
    following = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
    first, second = await answers_to(server, 2, head, hidden, following)
    assert b" 400 " in first
    assert b" 404 " in second


async def test_many_requests_on_a_connection_may_offer_another_protocol(server: Running) -> None:
    sent = (
        UPGRADING + WHOLE + QUERY
    ) * 3 + b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
    assert [b" 200 " in each for each in await answers_to(server, 4, sent)] == [True] * 4
