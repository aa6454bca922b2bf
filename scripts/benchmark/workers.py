"""What two worker processes carry, compared with one: streams of many clients, and the processor time of each process.

    .venv/bin/python -m scripts.benchmark.workers [--streams 400] [--seconds 8]

A server is full when one of its processes has used up a core. Two workers get twice the streams of one, so that each
is as busy as one alone: a busier process finds more to do at each turn, and a token is cheaper. They carry as many
times what one does as the streams for each second of the busier process are of those of one: how evenly connections
are spread, and what sharing a store costs, are both in it. The store is a file, which the workers share.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import uvloop

from scripts.benchmark import processor
from scripts.benchmark.load_client import wave
from tests.parity.servers import Server, ours, serving

STREAMS, RATE, SECONDS = 400, 50.0, 8.0
WARMUP_STREAMS, WARMUP_SECONDS = 20, 1.0
HEAD = ("workers", "streams", "failed", "CPU of each", "of the busiest", "carries")


def _processes(server: Server) -> list[int]:
    """Return the processes that serve: a server's own, or its children."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text(encoding="utf-8").split()
    return [int(pid) for pid in children] or [server.pid]


def _used(server: Server, streams: int, seconds: float) -> tuple[int, list[float]]:
    """Stream; return how many streams failed, and what each process used, without those that only watch."""
    uvloop.run(wave(server.url, WARMUP_STREAMS, round(RATE * WARMUP_SECONDS), 1 / RATE))
    processes = _processes(server)
    before = [processor.seconds(pid) for pid in processes]
    speeches = uvloop.run(wave(server.url, streams, round(RATE * seconds), 1 / RATE))
    used = [processor.seconds(pid) - earlier for pid, earlier in zip(processes, before, strict=True)]
    return sum(speech.failed for speech in speeches), sorted(used, reverse=True)


def rows(streams: int = STREAMS, seconds: float = SECONDS) -> Iterator[tuple[str, ...]]:
    """Measure one worker and two, with ``streams`` for each worker; yield a row of each."""
    alone = 0.0
    app = ours("scripts/benchmark/load_app.py:runtime")
    for workers in (1, 2):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            store = f"sqlite:///{Path(folder) / 'store.sqlite'}"
            more = {"COPILOTKIT_STORE": store, "COPILOTKIT_WORKERS": str(workers)}
            with serving(replace(app, environment={**app.environment, **more})) as server:
                failed, used = _used(server, streams * workers, seconds)
        alone = alone or used[0]
        shown = " and ".join(f"{each:.1f} s" for each in used[:workers])
        carried = f"{workers * alone / used[0]:.2f}"
        yield (str(workers), str(streams * workers), str(failed), shown, f"{used[0]:.1f} s", carried)


def main() -> None:
    """Print a row for each."""
    parser = argparse.ArgumentParser(prog="scripts.benchmark.workers", description=__doc__)
    parser.add_argument("--streams", type=int, default=STREAMS, help="streams at once for each worker")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long they are")
    arguments = parser.parse_args()
    for row in (HEAD, *rows(arguments.streams, arguments.seconds)):
        print("  ".join(cell.ljust(18) for cell in row), flush=True)


if __name__ == "__main__":
    main()
