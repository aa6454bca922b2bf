"""Times saving and loading states of three sizes on every store: python -m scripts.benchmark.stores [--help]."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from time import perf_counter

from copilotkit_runtime.runtime.messages import Message, TextMessage
from copilotkit_runtime.runtime.stores.interface import AgentState, StateStore
from copilotkit_runtime.runtime.stores.urls import open_store
from scripts.benchmark.measurement import percentile
from tests.integration.stores.servers import PostgresServer, RedisServer, Server

ROW = "{:<10} {:>6} {:>14} {:>14} {:>14} {:>14}"
HEAD = ("store", "size", "save median", "save p99", "load median", "load p99")
SIZES = {"1 kB": 1_000, "100 kB": 100_000, "1 MB": 1_000_000}
LINE = "a line of a document that an agent is writing, about as long as this. "


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts.benchmark.stores", description=__doc__)
    parser.add_argument("--times", type=int, default=300, help="measured saves and loads of each size")
    parser.add_argument("--at-once", type=int, default=1, help="threads that are saved and loaded at the same time")
    return parser.parse_args()


def state_of(size: int) -> AgentState:
    """Return a state whose entry takes about ``size`` bytes, half of it state and half messages."""
    lines = max(size // 2 // len(LINE), 1)
    messages: list[Message] = [TextMessage(role="assistant", content=LINE * 4) for _ in range(max(lines // 6, 1))]
    return AgentState(
        state={"document": [{"line": number, "text": LINE} for number in range(lines * 2 // 3)]}, messages=messages
    )


@contextmanager
def store_urls(folder: Path) -> Iterator[dict[str, str]]:
    """Start servers for all stores; yield the URLs by the stores' names."""
    with ExitStack() as stack:
        servers: dict[str, Server] = {"redis": _redis(folder), "postgres": _postgres(folder)}
        for server in servers.values():
            server.start()
            stack.callback(server.kill)
        urls = {name: server.url for name, server in servers.items()}
        yield {"memory": "memory://", "sqlite": f"sqlite:///{folder / 'states.sqlite'}", **urls}


def _redis(folder: Path) -> Server:
    own = folder / "redis"
    own.mkdir()
    return RedisServer(own)


def _postgres(folder: Path) -> Server:
    server = PostgresServer(folder / "postgres")
    server.create()
    return server


@asynccontextmanager
async def _started(url: str) -> AsyncIterator[StateStore]:
    store = open_store(url)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


async def _times(work: Callable[[str], Awaitable[object]], times: int, at_once: int) -> list[float]:
    async def timed(thread_id: str) -> float:
        started = perf_counter()
        await work(thread_id)
        return perf_counter() - started

    taken: list[float] = []
    for _ in range(times // at_once):
        taken += await asyncio.gather(*(timed(f"thread-{number}") for number in range(at_once)))
    return taken


async def _measure(url: str, state: AgentState, times: int, at_once: int) -> tuple[list[float], list[float]]:
    async with _started(url) as store:
        await store.save("thread-0", "agent", state)
        saves = await _times(lambda thread_id: store.save(thread_id, "agent", state), times, at_once)
        loads = await _times(lambda thread_id: store.load(thread_id, "agent"), times, at_once)
    return saves, loads


def main() -> None:
    """Run all sizes on all stores."""
    arguments = _arguments()
    print(ROW.format(*HEAD))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with store_urls(Path(folder)) as urls:
            for name, url in urls.items():
                for label, size in SIZES.items():
                    measured = _measure(url, state_of(size), arguments.times, arguments.at_once)
                    figures = [
                        f"{percentile(taken, percent) * 1000:.2f} ms"
                        for taken in asyncio.run(measured)
                        for percent in (50, 99)
                    ]
                    print(ROW.format(name, label, *figures))


if __name__ == "__main__":
    main()
