"""What a queue adds to the first byte of a run, and how soon a stop reaches the worker that has it.

    .venv/bin/python -m scripts.benchmark.first_byte [--times 40] [--stores redis postgres]

On each store one process runs agents itself, and a web process hands runs to a worker. Both are sent runs in turns, one
at a time, so that what else the machine does costs both alike. A run is stopped while its agent is silent, so that the
worker has nothing to write by which it would learn of the stop.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

import httpx
import uvloop

from scripts.benchmark.measurement import percentile
from scripts.benchmark.stores import store_urls
from scripts.hosts.agent import AGENT, JOURNAL
from tests.parity.servers import Target, ours, serving
from tests.support.agui_client import run_input, user
from tests.support.queued_runtime import web, worker

APP = "scripts/hosts/app.py:runtime"
STORES = ("redis", "postgres")
WARM_UP = 5
ROW = "{:<9} {:<22} {:>16} {:>16} {:>14}"
HEAD = ROW.format("store", "p50 / p99 in ms", "in process", "from a queue", "added to p50")
_SHORT = json.dumps({"words": 3, "pace": 0.0})
_SILENT = json.dumps({"words": 2, "pace": 300.0})

Play: TypeAlias = Callable[[httpx.AsyncClient, str, str], Awaitable[tuple[float, ...]]]


async def first_byte_and_word(client: httpx.AsyncClient, url: str, thread: str) -> tuple[float, ...]:
    """Run an agent; return the seconds until the first byte of the answer, and until its first word."""
    began = perf_counter()
    times: list[float] = []
    body = run_input(user(_SHORT), thread=thread)
    async with client.stream("POST", f"{url}/agent/{AGENT}/run", json=body) as response:
        async for line in response.aiter_lines():
            if not times or (len(times) == 1 and "TEXT_MESSAGE_CONTENT" in line):
                times.append(perf_counter() - began)
    first, word = times
    return first, word


async def stop(client: httpx.AsyncClient, url: str, thread: str) -> tuple[float, ...]:
    """Stop a run once it has said a word; return the seconds until its stream has ended."""
    began, body = 0.0, run_input(user(_SILENT), thread=thread)
    async with asyncio.TaskGroup() as group, client.stream("POST", f"{url}/agent/{AGENT}/run", json=body) as response:
        async for line in response.aiter_lines():
            if not began and "TEXT_MESSAGE_CONTENT" in line:
                began = perf_counter()
                group.create_task(client.post(f"{url}/agent/{AGENT}/stop/{thread}"))
        took = perf_counter() - began
    return (took,)


async def _in_turns(play: Play, times: int, *urls: str) -> list[list[tuple[float, ...]]]:
    found: list[list[tuple[float, ...]]] = [[] for _ in urls]
    async with httpx.AsyncClient(timeout=60) as client:
        for number in range(WARM_UP + times):
            for place, url in enumerate(urls):
                found[place].append(await play(client, url, f"{play.__name__}-{place}-{number}"))
    return [measured[WARM_UP:] for measured in found]


def _shown(seconds: list[float]) -> str:
    return f"{percentile(seconds, 50) * 1000:.0f} / {percentile(seconds, 99) * 1000:.0f}"


def _row(store: str, name: str, inline: list[float], queued: list[float]) -> str:
    added = percentile(queued, 50) - percentile(inline, 50)
    return ROW.format(store, name, _shown(inline), _shown(queued), f"{added * 1000:.0f} ms")


@contextmanager
def _served(url: str) -> Iterator[tuple[str, str]]:
    """Serve the agent on a store, in one process and by a worker; yield both URLs."""
    own = {"COPILOTKIT_STORE": url, JOURNAL: "/dev/null"}
    with (
        serving(_with(ours(APP), own)) as inline,
        serving(_with(worker(APP, url), own)),
        serving(web(url)) as front,
    ):
        yield inline.url, front.url


def _with(target: Target, more: dict[str, str]) -> Target:
    return replace(target, environment={**target.environment, **more})


def rows(store: str, url: str, times: int) -> Iterator[str]:
    """Measure one store; yield the rows of the table."""
    with _served(url) as (inline, front):
        pairs = uvloop.run(_in_turns(first_byte_and_word, times, inline, front))
        for place, name in enumerate(("first byte", "first word")):
            yield _row(store, name, *([each[place] for each in pair] for pair in pairs))
        stops = uvloop.run(_in_turns(stop, times, inline, front))
        yield _row(store, "stop of a silent run", *([took for (took,) in pair] for pair in stops))


def main() -> None:
    """Measure the stores."""
    parser = argparse.ArgumentParser(prog="scripts.benchmark.first_byte")
    parser.add_argument("--times", type=int, default=40, help="runs of each kind")
    parser.add_argument("--stores", nargs="+", default=STORES, choices=STORES)
    arguments = parser.parse_args()
    print(HEAD)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        with store_urls(Path(name)) as urls:
            for store in arguments.stores:
                for row in rows(store, urls[store], arguments.times):
                    print(row, flush=True)
    print("load, in the last 1, 5 and 15 minutes:", *(f"{load:.1f}" for load in os.getloadavg()))


if __name__ == "__main__":
    main()
