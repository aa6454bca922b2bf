"""Measures this runtime beside the TypeScript runtimes and the floors, and with --write puts the figures on the page.

The floors are what an application costs that only writes the same bytes, without a runtime: one on ASGI, to which the
ratios are, and a bare protocol.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

from scripts.benchmark import (
    cost,
    fairness,
    features,
    history,
    idle,
    langgraph_whole,
    load_streams,
    switched_on,
    workers,
)
from scripts.benchmark.floors import asgi_floor, bare_floor
from scripts.benchmark.measurement import Measurement, measure, percentile
from scripts.benchmark.pattern import Pattern
from scripts.benchmark.picture import write_picture
from scripts.benchmark.report import PAGE, Report
from scripts.benchmark.wires import AGUI, WIRES, GraphQL, Wire
from tests.integration.langgraph import measure_cost
from tests.parity.servers import Server, Target, newest_reference, ours, reference, serving

BARE, FLOOR, OURS = "bare protocol", "floor", "python"
HEAD = (
    "pattern",
    "server",
    "µs per token",
    "lowest-highest",
    "to floor",
    "to TypeScript",
    "ms per request",
    "byte p50 / p99",
    "token p50 / p99",
)
PATTERNS = (
    Pattern("burst", 200, None),
    Pattern("each turn", 200, 0.0),
    Pattern("2 ms", 200, 0.002),
    Pattern("two tokens", 2, None),
)
MEANINGS = (
    "*burst*: all tokens at once; *each turn*: one at each turn of the agent's event loop; *2 ms*: one every 2 ms;"
    " *two tokens*: what a request costs, per token. *floor*: an ASGI application that writes the same bytes; *bare"
    " protocol*: the same without ASGI. *ms per request*: for all its tokens."
)
CURVE_STREAMS = (1, 10, 50, 200)
CURVE_TOKENS = (2, 20, 200, 1000)
CURVE_ROUNDS = 1
BATCHES = (0.0, 0.005, 0.015)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--concurrent", type=int, default=50, help="streams at once")
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds of each server and pattern")
    parser.add_argument("--idle", type=int, default=5000, help="silent streams; 0 to leave them out")
    parser.add_argument("--streams", type=int, default=1000, help="streams of 50 tokens a second; 0 to leave them out")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each of them is")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md and its pictures")
    return parser.parse_args()


def _reference_for(wire: Wire) -> Target:
    return replace(reference() if wire.name == "GraphQL" else newest_reference(), name="TypeScript")


def _row(measurement: Measurement, floor: float, other: float) -> tuple[str, ...]:
    costs = [cost * 1e6 for cost in measurement.per_token]
    delays = [
        " / ".join(f"{percentile(values, percent) * 1000:.0f} ms" for percent in (50, 99))
        for values in (measurement.first_bytes, measurement.first_tokens)
    ]
    own = measurement.cost
    ratios = (f"{own / floor:.2f}", f"{own / other:.3f}")
    return (
        measurement.pattern.name,
        measurement.target,
        f"{own:.1f}",
        f"{min(costs):.1f}-{max(costs):.1f}",
        *ratios,
        f"{own * measurement.pattern.tokens / 1000:.2f}",
        *delays,
    )


def _tokens(servers: dict[str, Server], wire: Wire, arguments: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    for pattern in PATTERNS:
        measured = {one.target: one for one in measure(servers, wire, pattern, arguments.concurrent, arguments.rounds)}
        for one in measured.values():
            yield _row(one, measured[FLOOR].cost, measured["TypeScript"].cost)


def _curves(report: Report, servers: dict[str, Server], wire: Wire, rounds: int) -> None:
    by_streams = {n: measure(servers, wire, Pattern("2 ms", 200, 0.002), n, rounds) for n in CURVE_STREAMS}
    by_length = {n: measure(servers, wire, Pattern("each turn", n, 0.0), 20, rounds) for n in CURVE_TOKENS}
    slug = wire.name.lower()
    for name, across, measured in (
        ("streams", "streams at once, 200 tokens each, 2 ms apart", by_streams),
        ("length", "tokens of a message, 20 streams at once", by_length),
    ):
        path = PAGE.with_name(f"performance-{slug}-{name}.svg")
        curves = {
            one.target: [(n, next(m for m in found if m.target == one.target).cost) for n, found in measured.items()]
            for one in next(iter(measured.values()))
        }
        write_picture(path, f"{wire.name}: processor time of a token", across, "µs per token", curves)
        report.picture(path, f"{wire.name}: cost of a token against {across}")


def _wire(report: Report, wire: Wire, arguments: argparse.Namespace) -> None:
    report.section(f"{wire.name}: processor time of the server for each token that clients get", MEANINGS)
    with ExitStack() as stack:
        targets = (bare_floor(BARE), asgi_floor(FLOOR), _reference_for(wire), ours(name=OURS))
        servers = {target.name: stack.enter_context(serving(target)) for target in targets}
        report.table(HEAD, _tokens(servers, wire, arguments))
        if arguments.write:
            _curves(report, servers, wire, CURVE_ROUNDS)


def _batches(report: Report, arguments: argparse.Namespace) -> None:
    report.section(
        "Batches",
        "What `stream_batch_seconds` saves: streams of 200 tokens, 2 ms apart, on a server with each setting.",
    )
    with ExitStack() as stack:
        plain = ours()
        named = {f"{batch * 1000:g} ms": str(batch) for batch in BATCHES}
        servers = {
            name: stack.enter_context(
                serving(replace(plain, environment={**plain.environment, "COPILOTKIT_STREAM_BATCH_SECONDS": value}))
            )
            for name, value in named.items()
        }
        report.table(("wire", "batch", "µs per token", "to none"), _batch_rows(servers, arguments))


def _batch_rows(servers: dict[str, Server], arguments: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    for wire in WIRES:
        found = measure(servers, wire, PATTERNS[2], arguments.concurrent, arguments.rounds)
        yield from ((wire.name, one.target, f"{one.cost:.1f}", f"{one.cost / found[0].cost:.2f}") for one in found)


def _switched_on(report: Report, arguments: argparse.Namespace) -> None:
    report.section(
        "With hooks, guardrails and a durable log",
        "What a token costs. *short run*: 200 tokens, 2 ms apart, as above; *long run*: 1000 tokens, 20 ms apart."
        " *of a request*: hooks before, behind and around it, and a"
        " guardrail on what it asks; *of each token*: a hook that gets each piece, and a guardrail that reads the"
        " answer, too. The log is in memory where no store is named.",
    )
    report.table(switched_on.HEAD, switched_on.rows(arguments.concurrent, arguments.rounds))


def _fairness(report: Report) -> None:
    report.section(
        "A burst beside other streams",
        f"{fairness.STREAMS} streams of {fairness.RATE:g} tokens a second, and one more whose agent has"
        f" {fairness.BURST} tokens at once: by how much later than the most punctual of its stream each of their tokens"
        " comes.",
    )
    report.table(fairness.HEAD, fairness.rows())


def _counted(report: Report) -> None:
    report.section(
        "Calls of Python functions",
        "Counted in one process, alike on every machine; CI holds them (`tests/integration/runtime/test_cost.py`).",
    )
    counted = asyncio.run(cost.costs())
    rows = [(wire, f"{each.per_token:.1f}", f"{each.per_request:.0f}") for wire, each in counted.items()]
    report.table(("wire", "per token", "per request of two tokens"), rows)


def _history(report: Report) -> None:
    report.section("Loading a long thread", f"{history.MESSAGES} messages, on each store: the median time that passes.")
    report.table(history.LOAD_HEAD, history.load_rows(history.MESSAGES))
    report.section(
        "A turn on a long thread",
        f"Processor time of a request with a thread of {history.MESSAGES} messages, which the client sends whole, and"
        " an answer of two tokens.",
    )
    report.table(history.TURN_HEAD, asyncio.run(history.turn_rows(history.MESSAGES)))


def main() -> None:
    """Measure all of it."""
    arguments, report = _arguments(), Report()
    for wire in (GraphQL(), AGUI()):
        _wire(report, wire, arguments)
    _batches(report, arguments)
    _switched_on(report, arguments)
    _counted(report)
    report.section(
        "Features", "Calls and processor time of one more token with hooks, guardrails and actions, off and on."
    )
    report.table(features.HEAD, asyncio.run(features.rows()))
    report.section(
        "LangGraph",
        "Processor time of a token from a graph whose model costs nothing, by itself and through the provider; what a"
        " run and a wire add is in the tables above.",
    )
    report.table(measure_cost.HEAD, asyncio.run(measure_cost.rows(2000, arguments.rounds)))
    report.section(
        "LangGraph from end to end",
        f"A graph behind this runtime, and behind the TypeScript runtime: {langgraph_whole.CONCURRENT} GraphQL streams"
        f" of {langgraph_whole.PATTERN.tokens} tokens, the processor time of all processes.",
    )
    report.table(langgraph_whole.HEAD, langgraph_whole.rows(arguments.rounds))
    _history(report)
    if arguments.idle:
        report.section("Silent streams", f"{arguments.idle} streams that are open and wait.")
        report.table(idle.HEAD, [each.row() for each in idle.idle_streams(arguments.idle)])
    _fairness(report)
    if arguments.streams:
        title = (
            f"{arguments.streams} streams at once, 50 tokens a second each, for {arguments.seconds:g} s, in one process"
        )
        report.section(
            title,
            "*delay*: of a token, behind the most punctual one of its stream; *pause*: the longest between two tokens"
            " of a stream.",
        )
        report.table(load_streams.HEAD, load_streams.rows(arguments.streams, 50.0, arguments.seconds, 1))
        report.section(
            "Two workers",
            f"{workers.STREAMS} streams for each worker, {workers.RATE:g} tokens a second each, on one process and two,"
            " which share a store in a file: each is as busy as one alone, for a busier process has cheaper tokens."
            " A server is full when its busiest process has used up a core.",
        )
        report.table(workers.HEAD, workers.rows())
    if arguments.write:
        report.write(shlex.join(("scripts/bench", *sys.argv[1:])))


if __name__ == "__main__":
    main()
