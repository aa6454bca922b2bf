"""Many concurrent streams on one server process, in waves: no stream may fail, and memory must not grow.

    .venv/bin/python -m scripts.benchmark.load_streams                            1,000 streams, 60 s, two waves
    .venv/bin/python -m scripts.benchmark.load_streams --streams 200 --waves 30   the soak: half an hour

Exits with 1 if a stream failed, or if the last wave took more than a tenth more memory than the first.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvloop

from scripts.benchmark import processor
from scripts.benchmark.load_client import Speech, added_delays, wave
from scripts.benchmark.measurement import percentile
from tests.parity.servers import Server, ours, serving

GROWTH = 1.1
ROW = "{:>4} {:>8} {:>7} {:>10} {:>11} {:>10} {:>12} {:>12} {:>12} {:>12} {:>12} {:>9} {:>9}"
HEAD = (
    "wave",
    "streams",
    "failed",
    "tokens",
    "us/token",
    "cpu",
    "first p50",
    "first p99",
    "delay p50",
    "delay p99",
    "pause p99",
    "peak MB",
    "after MB",
)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts.benchmark.load_streams", description=__doc__)
    parser.add_argument("--streams", type=int, default=1000, help="streams at once")
    parser.add_argument("--rate", type=float, default=30.0, help="tokens a second of each stream")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each stream is")
    parser.add_argument("--waves", type=int, default=2, help="how often")
    return parser.parse_args()


def resident_megabytes(pid: int) -> float:
    """Return the memory that a process has in use."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


class MemoryWatch:
    """Samples a process's memory every second.

    Args:
        pid: The process.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.peak = 0.0

    async def run(self) -> None:
        """Sample until it is cancelled."""
        while True:
            self.peak = max(self.peak, resident_megabytes(self._pid))
            await asyncio.sleep(1)


async def _measured(server: Server, streams: int, rate: float, seconds: float) -> tuple[list[Speech], float]:
    watch = MemoryWatch(server.pid)
    watching = asyncio.create_task(watch.run())
    speeches = await wave(server.url, streams, round(rate * seconds), 1 / rate)
    watching.cancel()
    return speeches, watch.peak


def _row(
    number: int, speeches: list[Speech], used: float, seconds: float, peak: float, after: float
) -> tuple[str, ...]:
    tokens = sum(speech.words for speech in speeches)
    firsts = [speech.first_word for speech in speeches]
    pauses = [speech.longest_pause for speech in speeches]
    delays = added_delays(speeches)
    return (
        str(number),
        str(len(speeches)),
        str(sum(speech.failed for speech in speeches)),
        str(tokens),
        f"{used / max(tokens, 1) * 1e6:.1f}",
        f"{used / seconds:.0%}",
        f"{percentile(firsts, 50) * 1000:.0f} ms",
        f"{percentile(firsts, 99) * 1000:.0f} ms",
        f"{percentile(delays, 50) * 1000:.1f} ms",
        f"{percentile(delays, 99) * 1000:.1f} ms",
        f"{percentile(pauses, 99) * 1000:.0f} ms",
        f"{peak:.0f}",
        f"{after:.0f}",
    )


@dataclass
class Outcome:
    """What the waves came to."""

    failed: int = 0
    peaks: list[float] = field(default_factory=list)

    @property
    def flat(self) -> bool:
        """Whether the last wave took hardly more memory than the first."""
        return self.peaks[-1] <= self.peaks[0] * GROWTH


def rows(
    streams: int, rate: float, seconds: float, waves: int, outcome: Outcome | None = None
) -> Iterator[tuple[str, ...]]:
    """Run waves of streams, and return a row of each."""
    outcome = outcome or Outcome()
    app = ours("scripts/benchmark/load_app.py:runtime")
    # The command line's own default is a file, in which an earlier run may have left threads.
    place = {"COPILOTKIT_STORE": os.environ.get("COPILOTKIT_STORE", "memory://")}
    with serving(replace(app, environment={**app.environment, **place})) as server:
        for number in range(1, waves + 1):
            before = processor.seconds(server.pid)
            speeches, peak = uvloop.run(_measured(server, streams, rate, seconds))
            used = processor.seconds(server.pid) - before
            outcome.peaks.append(peak)
            outcome.failed += sum(speech.failed for speech in speeches)
            yield _row(number, speeches, used, seconds, peak, resident_megabytes(server.pid))


def main() -> int:
    """Run all waves; the exit status is 0 if all was well."""
    arguments, outcome = _arguments(), Outcome()
    print(f"{arguments.streams} streams at once, {arguments.rate:g} tokens a second each, {arguments.seconds:g} s")
    print(ROW.format(*HEAD))
    for row in rows(arguments.streams, arguments.rate, arguments.seconds, arguments.waves, outcome):
        print(ROW.format(*row), flush=True)
    print(
        f"{outcome.failed} failed streams; peak memory {outcome.peaks[0]:.0f} MB first, {outcome.peaks[-1]:.0f} MB last"
    )
    return int(bool(outcome.failed) or not outcome.flat)


if __name__ == "__main__":
    sys.exit(main())
