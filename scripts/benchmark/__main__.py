"""Runs the servers, drives them in turns, and prints what a token cost each; then what our features cost.

``ratio`` is to the TypeScript runtime, ``floor`` is what an application costs that only writes the same bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import ExitStack

from scripts.benchmark import cost, features
from scripts.benchmark.measurement import Measurement, percentile
from scripts.benchmark.pattern import Pattern
from tests.parity.servers import Server, Target, ours, reference, serving

ROW = "{:<10} {:<12} {:>10} {:>15} {:>7} {:>11} {:>11} {:>11} {:>11}"
HEAD = ("pattern", "server", "us/token", "min-max", "ratio", "byte p50", "byte p99", "token p50", "token p99")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--concurrent", type=int, default=50, help="streams at once")
    parser.add_argument("--tokens", type=int, default=200, help="tokens a stream")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds of each server and pattern")
    parser.add_argument("--target", action="append", default=[], help="one more app to serve: NAME=FILE:RUNTIME")
    return parser.parse_args()


def _targets(more: list[str]) -> list[Target]:
    added = [ours(app, name) for name, _, app in (spec.partition("=") for spec in more)]
    return [reference(), _floor(), ours(), *added]


def _floor() -> Target:
    served = ("scripts.benchmark.floor:app", "--loop", "uvloop", "--http", "httptools")
    quiet = ("--no-access-log", "--log-level", "warning")
    # The port comes by the environment, as for the runtimes.
    command = " ".join((sys.executable, "-m", "uvicorn", *served, *quiet, "--port", "$PORT"))
    return Target("floor", ("sh", "-c", f"exec {command}"), {})


def _patterns(tokens: int) -> list[Pattern]:
    paces = {"burst": None, "turns": 0.0, "2 ms": 0.002}
    return [*(Pattern(name, tokens, pace) for name, pace in paces.items()), Pattern("2 tokens", 2, None)]


def _measure(servers: dict[str, Server], pattern: Pattern, arguments: argparse.Namespace) -> list[Measurement]:
    measurements = [Measurement(target, pattern) for target in servers]
    for measurement in measurements:
        measurement.play(servers[measurement.target], arguments.concurrent)
    for _ in range(arguments.rounds):
        for measurement in measurements:
            measurement.take(servers[measurement.target], arguments.concurrent)
    return measurements


def _row(measurement: Measurement, cost_of_first: float) -> str:
    costs = [cost * 1e6 for cost in measurement.per_token]
    delays = [
        f"{percentile(delays, percent) * 1000:.1f} ms"
        for delays in (measurement.first_bytes, measurement.first_tokens)
        for percent in (50, 99)
    ]
    span = f"{min(costs):.1f}-{max(costs):.1f}"
    ratio = f"{measurement.cost / cost_of_first:.2f}"
    return ROW.format(measurement.pattern.name, measurement.target, f"{measurement.cost:.1f}", span, ratio, *delays)


def main() -> None:
    """Run all patterns on all servers, then count what features cost."""
    arguments = _arguments()
    print(f"{arguments.concurrent} streams of {arguments.tokens} tokens at once, {arguments.rounds} rounds")
    print(ROW.format(*HEAD))
    with ExitStack() as stack:
        servers = {t.name: stack.enter_context(serving(t)) for t in _targets(arguments.target)}
        for pattern in _patterns(arguments.tokens):
            measurements = _measure(servers, pattern, arguments)
            for measurement in measurements:
                print(_row(measurement, measurements[0].cost), flush=True)
    asyncio.run(features.main())
    asyncio.run(cost.main())


if __name__ == "__main__":
    main()
