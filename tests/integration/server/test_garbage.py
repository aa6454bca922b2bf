"""An ended request is forgotten at once: nothing of it waits, in a ring, for the garbage collector.

A ring would keep the run, and all that was said in it, until the collector has its turn, and give it more to look at.
"""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scripts.benchmark.features import REQUESTS, runtimes

from .own_server import own_server


@contextmanager
def _rings() -> Iterator[list[str]]:
    """Provide the names of this project's classes of which the block has left objects in rings."""
    found: list[str] = []
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        kinds = (type(each) for each in gc.garbage)
        found += sorted({kind.__qualname__ for kind in kinds if kind.__module__.startswith("copilotkit_runtime")})
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def _request(address: tuple[str, int], wire: str, tokens: int) -> None:
    path, accept, body, last = REQUESTS[wire](tokens)
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: test\r\naccept: {accept.decode()}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\nconnection: close\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(*address)
    writer.write(head.encode() + content)
    assert last.encode() in await reader.read()
    writer.close()
    await writer.wait_closed()


async def _until_over() -> None:
    tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith(("run ", "stop run", "Task-"))]
    others = set(tasks) - {asyncio.current_task()}
    if others:
        await asyncio.wait(others)


@pytest.mark.parametrize("wire", REQUESTS)
@pytest.mark.parametrize("features", ["off", "on"])
async def test_an_answered_request_leaves_nothing(wire: str, features: str) -> None:
    runtime = runtimes()[features]
    app = runtime.create_app()
    async with runtime, own_server(app) as (_, address), asyncio.timeout(60):
        await _request(address, wire, 2)  # what the first one alone makes stays
        with _rings() as left:
            await _request(address, wire, 2)
            await _until_over()
    assert left == []
