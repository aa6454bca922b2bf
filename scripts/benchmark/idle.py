"""What a stream costs that is open and silent: memory, tasks, and processor time.

.venv/bin/python -m scripts.benchmark.idle [--streams 5000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import resource
from urllib.parse import urlsplit
from uuid import uuid4

from msgspec import Struct

from scripts.benchmark import processor
from scripts.benchmark.idle_app import COUNT, WORD
from scripts.benchmark.load_streams import resident_megabytes
from scripts.benchmark.wires import WIRES, Wire
from tests.parity.servers import Server, ours, serving
from tests.support.request_bodies import generate, text_message

FILES_A_STREAM = 1
AT_ONCE = 50
WARMUP = 100
QUIET_SECONDS = 10.0
HEAD = ("wire", "KiB per stream", "tasks per stream", "CPU of all while silent")

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Idle(Struct, frozen=True):
    """What one silent stream takes."""

    wire: str
    kib: float
    tasks: float
    cpu: float

    def row(self) -> tuple[str, ...]:
        """Return the line of the table."""
        return (self.wire, f"{self.kib:.1f}", f"{self.tasks:.2f}", f"{self.cpu:.2%}")


def _request(wire: Wire, url: str, text: str) -> bytes:
    place = urlsplit(url)
    if wire.name == "GraphQL":
        path, body = place.path, generate(text_message(text), agent="sleeper", threadId=uuid4().hex)
    else:
        ids = {"threadId": uuid4().hex, "runId": uuid4().hex}
        message = {"id": "asked", "role": "user", "content": text}
        path = f"{place.path}/agent/sleeper/run"
        body = {**ids, "messages": [message], "tools": [], "context": [], "state": {}, "forwardedProps": {}}
    sent = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {place.netloc}\r\nAccept: {wire.accept}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
    )
    return head.encode() + sent


async def _open(wire: Wire, url: str) -> Stream:
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(_request(wire, url, "wait"))
    await reader.readuntil(WORD.encode())
    return reader, writer


async def _tasks(wire: Wire, url: str) -> int:
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(_request(wire, url, COUNT))
    answer = await reader.readuntil(b">")
    writer.close()
    return int(re.findall(rb"<(\d+)>", answer)[-1])


async def measure(server: Server, wire: Wire, streams: int) -> Idle:
    """Open streams, and compare the process with what it was before."""
    held = [await _open(wire, server.url) for _ in range(WARMUP)]
    memory, tasks = resident_megabytes(server.pid), await _tasks(wire, server.url)
    for _ in range(0, streams, AT_ONCE):
        held += await asyncio.gather(*(_open(wire, server.url) for _ in range(AT_ONCE)))
    more = resident_megabytes(server.pid) - memory
    more_tasks = await _tasks(wire, server.url) - tasks
    before = processor.seconds(server.pid)
    await asyncio.sleep(QUIET_SECONDS)
    used = (processor.seconds(server.pid) - before) / QUIET_SECONDS
    for _, writer in held:
        writer.close()
    return Idle(wire.name, more * 1024 / streams, more_tasks / streams, used)


def idle_streams(streams: int) -> list[Idle]:
    """Measure both wires, each on a server of its own."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    measured = []
    for wire in WIRES:
        target = ours("scripts/benchmark/idle_app.py:runtime")
        unlimited = {"COPILOTKIT_MAX_CONCURRENT_RUNS": str(2 * streams)}
        with serving(type(target)(target.name, target.command, {**target.environment, **unlimited})) as server:
            measured.append(asyncio.run(measure(server, wire, streams)))
    return measured


def main() -> None:
    """Print a row for each wire."""
    parser = argparse.ArgumentParser(prog="scripts.benchmark.idle", description=__doc__)
    parser.add_argument("--streams", type=int, default=5000, help="streams at once")
    for row in (HEAD, *(idle.row() for idle in idle_streams(parser.parse_args().streams))):
        print("  ".join(cell.ljust(18) for cell in row))


if __name__ == "__main__":
    main()
