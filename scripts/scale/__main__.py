"""Print the table of docs/scaling.md: python -m scripts.scale [--write]."""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.scale.model import Need, cluster_need, measured, need

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "scaling.md"
BEGIN, END = "<!-- scale: begin -->", "<!-- scale: end -->"
STREAMS = (1_000, 100_000, 10_000_000)
_COSTS = (
    "| store | operations a run | kB a run | server's time a run | an idle stream | a process without runs"
    " | connections a process |\n|---|---|---|---|---|---|---|"
)
_NEEDS = (
    "| store | streams at once | processes, cores, GiB of each tier | operations a second | store's cores | MB a second"
    " | connections | servers | kept a day | first bottleneck |\n|---|---|---|---|---|---|---|---|---|---|"
)

_CLUSTERS = (
    "| streams at once on Redis Clusters | clusters | masters of each, and as many replicas"
    " | of each master's thread for news | first bottleneck |\n|---|---|---|---|---|"
)


def table() -> str:
    """Return the tables: what was measured, and what follows from it."""
    found = measured()
    costs = [
        f"| {store} | {cost.operations_per_run:g} | {cost.bytes_per_run / 1000:.0f}"
        f" | {cost.milliseconds_per_run:g} ms | {cost.microseconds_per_idle_stream_second:g} µs a second"
        f" | {cost.milliseconds_per_process_second:g} ms a second | {cost.connections_per_process:g} |"
        for store, cost in found.items()
    ]
    needs = [_row(store, need(store, cost, streams)) for store, cost in found.items() for streams in STREAMS]
    clusters = [_clusters(streams) for streams in STREAMS]
    return "\n".join([BEGIN, "", _COSTS, *costs, "", _NEEDS, *needs, "", _CLUSTERS, *clusters, "", END])


def written(text: str) -> str:
    """Return a document with the tables of now in their place."""
    before, _, rest = text.partition(BEGIN)
    return before + table() + rest.partition(END)[2]


def _clusters(streams: int) -> str:
    found = cluster_need(measured()["redis"], streams)
    return f"| {streams:,} | {found.clusters:,} | {found.masters} | {found.news:.0%} | {found.bottleneck} |"


def _row(store: str, found: Need) -> str:
    cells = (
        store,
        f"{found.streams:,}",
        f"{found.processes:,}, {found.tier_cores:,.1f}, {found.tier_gibibytes:,.1f}",
        f"{found.operations:,.0f}",
        f"{found.store_cores:,.1f}",
        f"{found.megabytes:,.1f}",
        f"{found.connections:,}",
        f"{found.servers:,}",
        f"{found.kept_gibibytes_a_day:,.0f} GiB",
        found.bottleneck,
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the tables, or write them into the document."""
    parser = argparse.ArgumentParser(prog="scripts.scale")
    parser.add_argument("--write", action="store_true", help="into docs/scaling.md")
    if parser.parse_args().write:
        DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table())


if __name__ == "__main__":
    main()
