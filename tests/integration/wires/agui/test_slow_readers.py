"""A client that reads slowly holds nobody up, and the server does not keep what it has not read."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from urllib.parse import urlsplit

import httpx
import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.wires.agui import event_stream
from scripts.benchmark.load_app import MARK
from scripts.benchmark.load_streams import resident_megabytes
from tests.parity.servers import Server, ours, serving
from tests.support.agui_client import PATH, connect, events_of, run_input, types_of, user
from tests.support.local_server import client_of
from tests.support.polling import until

WORDS = 60_000
"""About six megabytes of events: more than sockets hold, and an hour and a half at a kilobyte a second."""
GROWTH_MEGABYTES = 40.0


class SlowReader:
    """A client that reads a kilobyte a second."""

    def __init__(self) -> None:
        self.read = 0

    async def connect(self, server: Server, thread: str) -> None:
        place = urlsplit(server.url)
        body = json.dumps(run_input(thread=thread, run="c")).encode()
        head = f"POST {place.path}/agent/speaker/connect HTTP/1.1\r\nHost: {place.netloc}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, (place.hostname, place.port))
        reader, writer = await asyncio.open_connection(sock=connection, limit=1024)
        writer.write(head.encode() + body)
        try:
            while chunk := await reader.read(1024):
                self.read += len(chunk)
                await asyncio.sleep(1)
        finally:
            writer.close()


@pytest.mark.timeout(300)
async def test_a_reader_at_a_kilobyte_a_second_neither_delays_a_fast_one_nor_costs_memory() -> None:
    asked = json.dumps({"words": WORDS, "pace": 0.0001})
    with serving(ours("scripts/benchmark/load_app.py:runtime")) as server:
        async with httpx.AsyncClient(timeout=240) as client:
            slow, words = SlowReader(), 0
            reading: asyncio.Task[None] | None = None
            body = run_input(user(asked), thread="t", run="r")
            async with client.stream("POST", f"{server.url}/agent/speaker/run", json=body) as response:
                async for chunk in response.aiter_bytes():
                    if reading is None:
                        reading = asyncio.create_task(slow.connect(server, "t"))
                        await until(lambda: _has_read(slow), 60)
                        before = resident_megabytes(server.pid)
                    words += chunk.count(MARK.encode())
            assert words == WORDS
            assert reading is not None
            assert not reading.done()
            assert slow.read < 1024 * 1024
            assert resident_megabytes(server.pid) < before + GROWTH_MEGABYTES
            reading.cancel()
            await asyncio.wait([reading])


async def _has_read(reader: SlowReader) -> bool:
    return reader.read > 0


class Speaker(AgentProvider):
    """Sends more than sockets hold, in pieces with a number each."""

    name = "speaker"

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="speaker")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        yield events.TextMessageStart(message_id="a")
        for number in range(PIECES):
            yield events.TextMessageContent(message_id="a", delta=f"<{number}>".ljust(10_000))
        yield events.TextMessageEnd(message_id="a")


PIECES = 1_200


async def test_a_client_that_sleeps_does_not_hold_its_run_up_and_has_all_of_it_when_it_wakes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_stream, "STALL_SECONDS", 0.05)
    async with client_of(CopilotRuntime(providers=[Speaker()])) as client:
        body = run_input(user("go"))
        async with client.stream("POST", f"{PATH}/agent/speaker/run", json=body) as asleep:
            past = await connect(client, "speaker")
            assert types_of(past)[-1] == "RUN_FINISHED"
            woken = events_of((await asleep.aread()).decode())
    whole = "".join(f"<{number}>".ljust(10_000) for number in range(PIECES))
    for shown in (past, woken):
        assert "".join(event["delta"] for event in shown if event["type"] == "TEXT_MESSAGE_CONTENT") == whole
    assert types_of(woken)[-2:] == ["TEXT_MESSAGE_END", "RUN_FINISHED"]
