"""What a long thread costs: loading it from each store, and a turn on it, for each message of its history.

    .venv/bin/python -m scripts.benchmark.history [--messages 2000]

A turn is a request of a client that sends the whole thread, as the published ones do, and an answer of two tokens.
What it costs with a thread of two messages is taken off. Processor time, in this process, on the store in memory.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from copilotkit_runtime.runtime.messages import Message, TextMessage
from copilotkit_runtime.runtime.stores.interface import AgentState
from copilotkit_runtime.runtime.stores.urls import open_store
from scripts.benchmark.features import Counting, ask
from scripts.benchmark.stores import store_urls
from tests.support.local_server import PATH
from tests.support.request_bodies import generate, text_message

MESSAGES = 2_000
TIMES = 7
LOAD_HEAD = ("store", "load", "save")
TURN_HEAD = ("wire", "turn of two messages", "turn of the thread", "for each message")
TEXT = "a message of a long conversation, about as long as people and models write them, more or less."


def _thread(messages: int) -> list[Message]:
    return [
        TextMessage(id=f"m{number}", role="assistant" if number % 2 else "user", content=f"{number}: {TEXT}")
        for number in range(messages)
    ]


async def _store_times(url: str, messages: int) -> tuple[float, float]:
    store, state = open_store(url), AgentState(state={"step": 1}, messages=_thread(messages))
    loads, saves = [], []
    await store.start()
    try:
        for _ in range(TIMES):
            started = time.perf_counter()
            await store.save("thread", "agent", state)
            saves.append(time.perf_counter() - started)
            started = time.perf_counter()
            loaded = await store.load("thread", "agent")
            loads.append(time.perf_counter() - started)
            if loaded is None or len(loaded.messages) != messages:
                raise RuntimeError("the thread is not whole")
    finally:
        await store.stop()
    return statistics.median(loads), statistics.median(saves)


def load_rows(messages: int) -> Iterator[tuple[str, ...]]:
    """Load and save a thread on every store; yield a row of each."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        with store_urls(Path(name)) as urls:
            for store, url in urls.items():
                load, save = asyncio.run(_store_times(url, messages))
                yield (store, f"{load * 1000:.1f} ms", f"{save * 1000:.1f} ms")


def _graphql(messages: int, thread_id: str) -> tuple[str, bytes, dict[str, Any]]:
    sent = [
        text_message(message.content, message.role, message.id)
        for message in _thread(messages)
        if isinstance(message, TextMessage)
    ]
    return (
        PATH,
        b"multipart/mixed",
        generate(*sent, text_message("2", id_=uuid4().hex), agent="counting", threadId=thread_id),
    )


def _agui(messages: int, thread_id: str) -> tuple[str, bytes, dict[str, Any]]:
    sent = [
        {"id": message.id, "role": message.role, "content": message.content}
        for message in _thread(messages)
        if isinstance(message, TextMessage)
    ]
    ids = {"threadId": thread_id, "runId": uuid4().hex}
    asked = {"id": uuid4().hex, "role": "user", "content": "2"}
    body = {**ids, "messages": [*sent, asked], "tools": [], "context": [], "state": {}, "forwardedProps": {}}
    return f"{PATH}/agent/counting/run", b"text/event-stream", body


async def _turn(app: Any, request: Any, messages: int) -> float:
    thread_id = uuid4().hex
    times = []
    for _ in range(TIMES):
        path, accept, body = request(messages, thread_id)
        started = time.process_time()
        await ask(app, path, accept, body)
        times.append(time.process_time() - started)
    return statistics.median(times[1:])  # the first one makes the thread


async def turn_rows(messages: int) -> list[tuple[str, ...]]:
    """Ask for turns on a short thread and a long one; return a row of each wire."""
    runtime = CopilotRuntime(providers=[Counting()], store="memory://", config=RuntimeConfig(log_level="error"))
    app = runtime.create_app()
    rows: list[tuple[str, ...]] = []
    async with runtime:
        for wire, request in (("GraphQL", _graphql), ("AG-UI", _agui)):
            short, long = await _turn(app, request, 2), await _turn(app, request, messages)
            each = f"{(long - short) / (messages - 2) * 1e6:.1f} µs"
            rows.append((wire, f"{short * 1000:.1f} ms", f"{long * 1000:.1f} ms", each))
    return rows


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="scripts.benchmark.history", description=__doc__)
    parser.add_argument("--messages", type=int, default=MESSAGES, help="how long the thread is")
    messages = parser.parse_args().messages
    for row in (LOAD_HEAD, *load_rows(messages), TURN_HEAD, *asyncio.run(turn_rows(messages))):
        print("  ".join(cell.ljust(20) for cell in row), flush=True)


if __name__ == "__main__":
    main()
