"""A LangGraph agent's tokens from end to end: this runtime, and the TypeScript runtime with the agent behind FastAPI.

    .venv/bin/python -m scripts.benchmark.langgraph_whole [ROUNDS]

What is counted is the processor time of all processes that a deployment needs: one here, and two there.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from scripts.benchmark import load, processor
from scripts.benchmark.pattern import AGENT, Pattern
from scripts.benchmark.wires import GraphQL
from tests.parity.servers import REFERENCE, Server, Target, ours, reference, serving

APP = "scripts.benchmark.langgraph_app:app"
PATTERN = Pattern("each turn", 200, 0.0)
CONCURRENT = 20
HEAD = ("deployment", "µs per token", "lowest-highest", "to the other")


def _behind_fastapi() -> Target:
    served = f"{sys.executable} -m uvicorn {APP} --no-access-log --log-level warning"
    return Target("ag_ui_langgraph", ("sh", "-c", f"exec {served} --port $PORT"), {})


def _node(agent_url: str) -> Target:
    return Target("node", ("node", str(REFERENCE / "http_agent.mjs"), agent_url, AGENT), reference().environment)


@contextmanager
def _other() -> Iterator[tuple[Server, Sequence[int]]]:
    with serving(_behind_fastapi()) as agent:
        place = urlsplit(agent.url)
        with serving(_node(f"{place.scheme}://{place.netloc}/")) as node:
            yield node, (agent.pid, node.pid)


def _round(server: Server, pids: Sequence[int]) -> float:
    before = sum(map(processor.seconds, pids))
    streams = asyncio.run(load.run(server.url, GraphQL(), PATTERN, CONCURRENT))
    used = sum(map(processor.seconds, pids)) - before
    for stream in streams:
        GraphQL().verify(PATTERN, stream.body)
    return used / (CONCURRENT * PATTERN.tokens) * 1e6


def rows(rounds: int) -> Iterator[tuple[str, ...]]:
    """Return a row of each deployment, measured in turns."""
    with serving(ours("scripts/benchmark/langgraph_app.py:runtime")) as own, _other() as (node, pids):
        deployments = {
            "this runtime": (own, (own.pid,)),
            "TypeScript 1.10.6, and ag_ui_langgraph behind FastAPI": (node, pids),
        }
        costs: dict[str, list[float]] = {name: [] for name in deployments}
        for number in range(rounds + 1):
            for name, (server, counted) in deployments.items():
                cost = _round(server, counted)
                if number:  # the first one warms up
                    costs[name].append(cost)
    medians = {name: statistics.median(found) for name, found in costs.items()}
    dearest = max(medians.values())
    for name, found in costs.items():
        yield name, f"{medians[name]:.0f}", f"{min(found):.0f}-{max(found):.0f}", f"{medians[name] / dearest:.3f}"


def main() -> None:
    """Print the rows."""
    for row in (HEAD, *rows(int(sys.argv[1]) if len(sys.argv) > 1 else 3)):
        print("  ".join(cell.ljust(20) for cell in row))


if __name__ == "__main__":
    main()
