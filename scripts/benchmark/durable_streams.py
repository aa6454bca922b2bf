"""What durable run logs cost: many streams at once, with the store in memory, on Redis and on PostgreSQL.

    .venv/bin/python -m scripts.benchmark.durable_streams
        500 streams, 30 tokens a second, 60 s
    .venv/bin/python -m scripts.benchmark.durable_streams --seconds 600 --turn-seconds 20
        ten minutes of conversations: each stream is run after run on a thread, with what was said before, and on a
        fresh thread after ten of them

Processor time is the server process's alone, so that other work on the machine counts little. The memory store holds
so little that it is full after a third of the time. Exits with 1 if a stream failed, if a token costs more than 1.25
times what it costs with the memory store, or if the last quarter of the time took a tenth more memory than the one
before it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop
from msgspec import Struct

from scripts.benchmark import processor
from scripts.benchmark.load_client import Speech, talks, wave
from scripts.benchmark.load_streams import resident_megabytes
from scripts.benchmark.measurement import percentile
from scripts.benchmark.stores import store_urls
from tests.parity.servers import Server, Target, ours, serving

STORES = ("memory", "redis", "postgres")
DEAREST = 1.25
GROWTH = 1.1
SAMPLES = 24
"""How often memory is measured while the streams go on."""
WARMUP_STREAMS, WARMUP_SECONDS = 50, 3.0
STORED_TOKEN_BYTES = 12
"""About what a token takes in the memory store: once in its thread, and once in its run."""
ROW = "{:<9} {:>7} {:>9} {:>9} {:>7} {:>11} {:>10} {:>8}"
HEAD = ("store", "failed", "tokens", "us/token", "ratio", "pause p99", "middle MB", "end MB")


class Load(Struct, frozen=True):
    """What is asked of the server."""

    streams: int
    rate: float
    """Tokens a second of each."""
    seconds: float
    turns: int
    """Runs of each."""

    @property
    def words(self) -> int:
        """How many tokens a run has."""
        return round(self.rate * self.seconds / self.turns)


class Outcome(Struct):
    """What the streams on one store came to."""

    speeches: list[Speech]
    used: float
    memory: list[float]
    """Megabytes, at equal distances from the beginning to the end."""

    @property
    def tokens(self) -> int:
        """How many came."""
        return sum(speech.words for speech in self.speeches)

    @property
    def cost(self) -> float:
        """Microseconds of processor time for each token."""
        return self.used / max(self.tokens, 1) * 1e6

    @property
    def middle(self) -> float:
        """Return the memory after half of the time."""
        return self.memory[len(self.memory) // 2]

    @property
    def grew(self) -> bool:
        """Return whether memory was still growing in the second half of the time."""
        quarter = SAMPLES // 4
        return max(self.memory[-quarter:]) > GROWTH * max(self.memory[-2 * quarter : -quarter])

    @property
    def failed(self) -> int:
        """How many streams did not end well."""
        return sum(speech.failed for speech in self.speeches)

    def row(self, store: str, base: float) -> str:
        """Return the line of the table."""
        pauses = [speech.longest_pause for speech in self.speeches]
        pause = f"{percentile(pauses, 99) * 1000:.0f} ms"
        figures = (f"{self.cost:.1f}", f"{self.cost / base:.2f}", pause, f"{self.middle:.0f}", f"{self.memory[-1]:.0f}")
        return ROW.format(store, self.failed, self.tokens, *figures)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts.benchmark.durable_streams", description=__doc__)
    parser.add_argument("--streams", type=int, default=500, help="streams at once")
    parser.add_argument("--rate", type=float, default=30.0, help="tokens a second of each stream")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each stream is")
    parser.add_argument("--turn-seconds", type=float, help="how long each run of a stream is; by default all of it")
    parser.add_argument("--stores", nargs="+", default=STORES, choices=STORES, help="the first is compared with")
    return parser.parse_args()


@contextmanager
def _served(url: str, load: Load) -> Iterator[Server]:
    app = ours("scripts/benchmark/load_app.py:runtime")
    settings = {"COPILOTKIT_STORE": url, "COPILOTKIT_RUN_TIMEOUT_SECONDS": str(2 * load.seconds + 60)}
    if url.startswith("memory:"):
        settings["LOAD_MEMORY_BYTES"] = str(round(load.streams * load.rate * load.seconds * STORED_TOKEN_BYTES / 6))
    with serving(Target("durable", app.command, {**app.environment, **settings})) as server:
        yield server


async def _measure(server: Server, load: Load) -> Outcome:
    await wave(server.url, WARMUP_STREAMS, round(load.rate * WARMUP_SECONDS), 1 / load.rate)
    memory = asyncio.create_task(_sampled(server.pid, load.seconds))
    before = processor.seconds(server.pid)
    speeches = await talks(server.url, load.streams, load.turns, load.words, 1 / load.rate)
    used = processor.seconds(server.pid) - before
    return Outcome(speeches, used, await memory)


async def _sampled(pid: int, seconds: float) -> list[float]:
    samples = [resident_megabytes(pid)]
    for _ in range(SAMPLES):
        await asyncio.sleep(seconds / SAMPLES)
        samples.append(resident_megabytes(pid))
    return samples


def main() -> int:
    """Measure each store; the exit status is 0 if all was well."""
    arguments = _arguments()
    turns = max(round(arguments.seconds / (arguments.turn_seconds or arguments.seconds)), 1)
    load = Load(arguments.streams, arguments.rate, arguments.seconds, turns)
    print(f"{load.streams} streams at once, {load.rate:g} tokens a second each, {load.seconds:g} s in {turns} runs")
    print(ROW.format(*HEAD))
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        with store_urls(Path(name)) as urls:
            for store in arguments.stores:
                with _served(urls[store], load) as server:
                    outcomes.append(uvloop.run(_measure(server, load)))
                print(outcomes[-1].row(store, outcomes[0].cost))
                print("  MB:", *(f"{sample:.0f}" for sample in outcomes[-1].memory), flush=True)
    dear = any(each.cost > DEAREST * outcomes[0].cost for each in outcomes)
    return int(dear or any(each.grew for each in outcomes) or any(each.failed for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
