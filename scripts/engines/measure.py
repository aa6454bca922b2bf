"""Measure one engine on one server; run in an environment that has the engine, and prints JSON."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any, NamedTuple

from scripts.engines.adapters import ENGINES, Engine, report

JOBS = 200
LONG_SECONDS = 60.0
PATIENCE_SECONDS = 40.0


class Report(NamedTuple):
    """What a worker reported of a job."""

    event: str
    job: str
    at: float
    takes_signals: bool
    logs: int


class Reports:
    """What workers report, as it comes."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        os.environ["REPORT_PORT"] = str(self._socket.getsockname()[1])

    async def wait(self, event: str, job: str, seconds: float = PATIENCE_SECONDS) -> Report | None:
        """Return the report of that event of that job, or None if it does not come."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    got = await self.next()
                    if (got.event, got.job) == (event, job):
                        return got
        return None

    async def next(self) -> Report:
        """Return the next report."""
        text = await asyncio.get_running_loop().sock_recv(self._socket, 1000)
        event, job, at, signals, handlers = text.decode().split(" ")
        return Report(event, job, float(at), signals == "1", int(handlers))


class Workers:
    """Worker processes of one engine."""

    def __init__(self, engine: str, url: str) -> None:
        self._command = [sys.executable, "-m", "scripts.engines.measure", engine, url, "work"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, concurrency: int) -> None:
        log = open(os.environ.get("ENGINE_LOG", os.devnull), "ab")  # noqa: SIM115 - the process's own
        environment = {**os.environ, "WORKER": str(concurrency)}
        self._process = subprocess.Popen([*self._command, str(concurrency)], stdout=log, stderr=log, env=environment)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()


async def latency(engine: Engine, reports: Reports) -> dict[str, Any]:
    """Enqueue one job after the other, and see how long after each begins."""
    took = []
    for number in range(JOBS):
        before = time.monotonic()
        await engine.enqueue(f"quick-{number}", 0.0)
        begun = await reports.wait("begin", f"quick-{number}")
        if begun is None:
            return {"p50_ms": None, "p99_ms": None}
        took.append(begun.at - before)
        await asyncio.sleep(0.01)
    took.sort()
    return {"p50_ms": round(took[JOBS // 2] * 1000, 1), "p99_ms": round(took[int(JOBS * 0.99)] * 1000, 1)}


async def abort(engine: Engine, reports: Reports) -> dict[str, Any]:
    """Abort a job that runs."""
    handle = await engine.enqueue("aborted", LONG_SECONDS)
    begun = await reports.wait("begin", "aborted")
    before = time.monotonic()
    try:
        await engine.abort(handle)
    except NotImplementedError:
        return {"abort_s": None, "takes_signals": begun and begun.takes_signals, "root_handlers": begun and begun.logs}
    ended = await reports.wait("cancelled", "aborted", 15)
    seconds = None if ended is None else round(ended.at - before, 2)
    return {"abort_s": seconds, "takes_signals": begun and begun.takes_signals, "root_handlers": begun and begun.logs}


async def redelivery(engine: Engine, reports: Reports, workers: Workers) -> dict[str, Any]:
    """Kill the worker of a job that runs, and see when another begins it."""
    await engine.enqueue("killed", LONG_SECONDS)
    await reports.wait("begin", "killed")
    before = time.monotonic()
    workers.kill()
    workers.start(10)
    again = await reports.wait("begin", "killed")
    return {"redelivered_s": None if again is None else round(again.at - before, 1)}


async def priorities(engine: Engine, reports: Reports, workers: Workers) -> dict[str, Any]:
    """Queue an urgent job behind another while no worker is there, and see which begins first."""
    workers.kill()
    await engine.enqueue("patient", 0.0)
    await engine.enqueue("urgent", 0.0, urgent=True)
    workers.start(1)
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                got = await reports.next()
                if got.event == "begin" and got.job in ("patient", "urgent"):
                    return {"priorities": got.job == "urgent"}
    return {"priorities": None}


async def measure(name: str, url: str) -> dict[str, Any]:
    """Measure an engine on a server."""
    reports, workers, engine = Reports(), Workers(name, url), ENGINES[name]()
    workers.start(10)
    try:
        await reports.wait("ready", name)
        await engine.open(url)
        found = await latency(engine, reports)
        found |= await abort(engine, reports)
        found |= await redelivery(engine, reports, workers)
        found |= await priorities(engine, reports, workers)
    finally:
        workers.kill()
    return found


async def work(name: str, url: str, concurrency: int) -> None:
    """Be a worker."""
    engine = ENGINES[name]()
    await engine.open(url)
    report("ready", name)
    await engine.work(concurrency)


if __name__ == "__main__":
    _, chosen, server, *rest = sys.argv
    if rest:
        asyncio.run(work(chosen, server, int(rest[1])))
    else:
        print(json.dumps(asyncio.run(measure(chosen, server))), flush=True)
        os._exit(0)
