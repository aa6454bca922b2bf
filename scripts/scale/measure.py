"""Measure what runs from a queue and idle streams cost Redis and PostgreSQL: python -m scripts.scale.measure.

One web process and one worker, on loopback; what both do without runs is measured before and taken off. Writes
``measured.json`` beside this file, from which ``scripts.scale`` computes the table of docs/scaling.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import msgspec
import psycopg
import redis

from scripts.benchmark import processor
from scripts.benchmark.stores import store_urls
from scripts.hosts.agent import AGENT, JOURNAL
from scripts.scale.model import MEASURED, StoreCost
from tests.parity.servers import Server, serving
from tests.support.agui_client import run_input, user
from tests.support.queued_runtime import web, worker

APP = "scripts/hosts/app.py:runtime"
WORDS, RATE = 200, 30.0
IDLE_SECONDS = 20.0


class Counters(msgspec.Struct, frozen=True):
    """What a server has done since it began."""

    operations: int
    received: int
    sent: int
    connections: int
    seconds: float
    """Of processor time."""

    def since(self, before: Counters) -> Counters:
        """Return what it has done since ``before``; connections are those of now."""
        return Counters(
            self.operations - before.operations,
            self.received - before.received,
            self.sent - before.sent,
            self.connections,
            self.seconds - before.seconds,
        )


def _redis(url: str) -> Counters:
    with redis.Redis.from_url(url) as client:
        found: Any = client.info()
    return Counters(
        found["total_reads_processed"],
        found["total_net_input_bytes"],
        found["total_net_output_bytes"],
        found["connected_clients"] - 1,
        found["used_cpu_user"] + found["used_cpu_sys"],
    )


def _postgres(url: str) -> Counters:
    with psycopg.connect(url, autocommit=True) as connection:
        row: Any = connection.execute(
            "SELECT (SELECT sum(xact_commit) FROM pg_stat_database)::bigint,"
            " pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint,"
            " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') - 1"
        ).fetchone()
        pids = connection.execute("SELECT pid FROM pg_stat_activity").fetchall()
    return Counters(row[0], row[1], 0, row[2], sum(_seconds(pid) for (pid,) in pids))


def _seconds(pid: int) -> float:
    try:
        return processor.seconds(pid)
    except FileNotFoundError:
        return 0.0  # it has ended meanwhile


_READERS: dict[str, Callable[[str], Counters]] = {"redis": _redis, "postgres": _postgres}


async def _streams(server: Server, name: str, count: int, words: int, pace: float) -> None:
    asked = json.dumps({"words": words, "pace": pace})
    async with httpx.AsyncClient(timeout=120, limits=httpx.Limits(max_connections=count)) as client:

        async def stream(number: int) -> None:
            body = run_input(user(asked), thread=f"{name}-{number}", run="r")
            answer = await client.post(f"{server.url}/agent/{AGENT}/run", json=body)
            if "RUN_FINISHED" not in answer.text:
                raise RuntimeError(f"A run failed: {answer.text[-500:]}")

        await asyncio.gather(*(stream(number) for number in range(count)))


def _measure(store: str, url: str, streams: int) -> StoreCost:
    read, none = _READERS[store], {JOURNAL: "/dev/null"}
    made, front = worker(APP, url, worker_concurrency=str(2 * streams)), web(url)
    made.environment.update(none)
    with serving(made), serving(front) as server:
        asyncio.run(_streams(server, "warm", 3, 3, 0.01))
        quiet = _during(read, url, lambda: asyncio.run(asyncio.sleep(IDLE_SECONDS)))
        busy = _during(read, url, lambda: asyncio.run(_streams(server, "busy", streams, WORDS, 1 / RATE)))
        idle = _during(read, url, lambda: asyncio.run(_streams(server, "idle", streams, 1, IDLE_SECONDS)))
        begun = _during(read, url, lambda: asyncio.run(_streams(server, "begun", streams, 1, 0.0)))
    return _cost(streams, quiet, busy, idle, begun)


def _during(read: Callable[[str], Counters], url: str, work: Callable[[], None]) -> tuple[Counters, float]:
    before, began = read(url), monotonic()
    work()
    return read(url).since(before), monotonic() - began


def _cost(streams: int, *phases: tuple[Counters, float]) -> StoreCost:
    (quiet, calm), (busy, busy_for), (idle, idle_for), (begun, begun_for) = phases

    def beyond(done: Counters, seconds: float, read: Callable[[Counters], float]) -> float:
        return read(done) - read(quiet) * seconds / calm

    def bytes_of(done: Counters) -> int:
        return done.received + done.sent

    def operations_of(done: Counters) -> int:
        return done.operations

    def seconds_of(done: Counters) -> float:
        return done.seconds

    waited = beyond(idle, idle_for, seconds_of) - beyond(begun, begun_for, seconds_of)
    return StoreCost(
        streams=streams,
        operations_per_run=round(beyond(busy, busy_for, operations_of) / streams, 1),
        bytes_per_run=round(beyond(busy, busy_for, bytes_of) / streams),
        milliseconds_per_run=round(1000 * beyond(busy, busy_for, seconds_of) / streams, 1),
        microseconds_per_idle_stream_second=round(max(0.0, waited) * 1e6 / streams / idle_for),
        connections_per_process=round(busy.connections / 2, 1),
        milliseconds_per_process_second=round(1000 * quiet.seconds / calm / 2, 1),
    )


def main() -> None:
    """Measure both stores."""
    parser = argparse.ArgumentParser(prog="scripts.scale.measure")
    parser.add_argument("--streams", type=int, default=50, help="streams at once")
    streams = parser.parse_args().streams
    found: dict[str, StoreCost] = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        with store_urls(Path(name)) as urls:
            for store in _READERS:
                found[store] = _measure(store, urls[store], streams)
                print(store, msgspec.json.encode(found[store]).decode(), flush=True)
    MEASURED.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")


if __name__ == "__main__":
    main()
