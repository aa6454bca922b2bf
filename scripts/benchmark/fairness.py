"""What a burst on one stream does to the others: by how much later their words come.

    .venv/bin/python -m scripts.benchmark.fairness
        50 streams of 50 tokens a second, and beside them one whose agent has 500,000 tokens at once

Delays are those of each word behind the most punctual one of its stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import uvloop

from scripts.benchmark.load_client import Speech, added_delays, wave
from scripts.benchmark.measurement import percentile
from tests.parity.servers import Server, ours, serving

STREAMS, RATE, SECONDS = 50, 50.0, 8.0
BURST, BURST_AFTER = 500_000, 3.0
HEAD = ("beside them", "failed", "delay p50", "delay p99", "longest", "the burst took")


async def _streams(server: Server, burst: int) -> tuple[list[Speech], list[Speech]]:
    """Return what came of the streams, and of the one with the burst."""
    async with asyncio.TaskGroup() as group:
        paced = group.create_task(wave(server.url, STREAMS, round(RATE * SECONDS), 1 / RATE))
        await asyncio.sleep(BURST_AFTER)
        at_once = group.create_task(wave(server.url, 1, burst, 0.0, "burst")) if burst else None
    return paced.result(), at_once.result() if at_once is not None else []


def rows() -> Iterator[tuple[str, ...]]:
    """Measure the streams alone and beside a burst; yield a row of each."""
    app = ours("scripts/benchmark/load_app.py:runtime")
    settings = {"COPILOTKIT_STORE": "memory://"}
    with serving(replace(app, environment={**app.environment, **settings})) as server:
        uvloop.run(wave(server.url, STREAMS, round(RATE), 1 / RATE))
        for burst in (0, BURST):
            paced, at_once = uvloop.run(_streams(server, burst))
            delays = added_delays(paced)
            shown = [f"{value * 1000:.1f} ms" for value in (*(percentile(delays, p) for p in (50, 99)), max(delays))]
            failed = sum(speech.failed for speech in (*paced, *at_once))
            took = f"{at_once[0].took:.1f} s" if at_once else "-"
            yield (f"a burst of {burst} tokens" if burst else "nothing", str(failed), *shown, took)


def main() -> None:
    """Print a row for each."""
    for row in (HEAD, *rows()):
        print("  ".join(cell.ljust(26) for cell in row), flush=True)


if __name__ == "__main__":
    main()
