"""What a token costs with hooks, guardrails and a durable log switched on, beside the floor and beside none of them.

A run opens and closes its log once, however long it is: so there are short runs and long ones.

.venv/bin/python -m scripts.benchmark.switched_on [--rounds 3] [--concurrent 50]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from scripts.benchmark import load, processor
from scripts.benchmark.floors import asgi_floor
from scripts.benchmark.measurement import measure
from scripts.benchmark.pattern import Pattern
from scripts.benchmark.stores import store_urls
from scripts.benchmark.wires import WIRES, Wire
from tests.parity.servers import Server, Target, ours, serving

APP = "scripts/benchmark/featured_app.py:runtime"
SHORT, LONG = Pattern("2 ms", 200, 0.002), Pattern("20 ms", 1000, 0.02)
HEAD = ("wire", "switched on", "short run", "to none", "to floor", "long run", "to none", "to floor")
NONE = "none"
FLOOR = "floor"


def _targets(urls: dict[str, str]) -> list[Target]:
    """Return the floor, and the runtime with more and more switched on; logs are in memory where no store is named."""
    named: dict[str, dict[str, str]] = {
        NONE: {},
        "hooks and guardrails of a request": {"BENCH_FEATURES": "request"},
        "those of each token": {"BENCH_FEATURES": "token"},
        "log on Redis": {"COPILOTKIT_STORE": urls["redis"]},
        "log on PostgreSQL": {"COPILOTKIT_STORE": urls["postgres"]},
        "those of a request, log on Redis": {"BENCH_FEATURES": "request", "COPILOTKIT_STORE": urls["redis"]},
        "those of each token, log on Redis": {"BENCH_FEATURES": "token", "COPILOTKIT_STORE": urls["redis"]},
    }
    app = ours(APP)
    return [
        asgi_floor(FLOOR),
        *(replace(app, name=name, environment={**app.environment, **more}) for name, more in named.items()),
    ]


def rows(concurrent: int, rounds: int) -> Iterator[tuple[str, ...]]:
    """Measure all in turns on each wire; yield a row of each."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        folder.chmod(0o755)
        urls = stack.enter_context(store_urls(folder))
        servers = {target.name: stack.enter_context(serving(target)) for target in _targets(urls)}
        for wire in WIRES:
            short = {one.target: one.cost for one in measure(servers, wire, SHORT, concurrent, rounds)}
            long = asyncio.run(_long_runs(servers, wire, concurrent))
            for name in servers:
                yield (wire.name, name, *_figures(short, name), *_figures(long, name))


async def _long_runs(servers: dict[str, Server], wire: Wire, concurrent: int) -> dict[str, float]:
    """Return the microseconds of a token on each server, all of which stream at the same time: they take their time."""
    before = {name: processor.seconds(server.pid) for name, server in servers.items()}
    await asyncio.gather(*(load.run(server.url, wire, LONG, concurrent) for server in servers.values()))
    tokens = concurrent * LONG.tokens
    return {name: (processor.seconds(servers[name].pid) - earlier) / tokens * 1e6 for name, earlier in before.items()}


def _figures(costs: dict[str, float], name: str) -> tuple[str, str, str]:
    cost = costs[name]
    return f"{cost:.1f} µs", f"{cost / costs[NONE]:.2f}", f"{cost / costs[FLOOR]:.2f}"


def main() -> None:
    """Print a row for each."""
    parser = argparse.ArgumentParser(prog="scripts.benchmark.switched_on", description=__doc__)
    parser.add_argument("--concurrent", type=int, default=50, help="streams at once")
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds of each server")
    arguments = parser.parse_args()
    for row in (HEAD, *rows(arguments.concurrent, arguments.rounds)):
        print("  ".join(cell.ljust(34) for cell in row), flush=True)


if __name__ == "__main__":
    main()
