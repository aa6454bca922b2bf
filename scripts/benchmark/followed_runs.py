"""How far behind a process is that follows runs of another one, and what that costs the store.

    .venv/bin/python -m scripts.benchmark.followed_runs                120 runs, 30 tokens a second, 10 s
    .venv/bin/python -m scripts.benchmark.followed_runs --runs 500

Two runtimes share a store and nothing else, but for this process's clock. Each token carries the time when its agent
gave it.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import uvloop

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.request import RunRequest
from copilotkit_runtime.runtime.runs.handle import RunHandle
from copilotkit_runtime.runtime.stores.run_log import RunLogStore
from scripts.benchmark.measurement import percentile
from scripts.benchmark.stores import store_urls

STORES = ("sqlite", "redis", "postgres")
ROW = "{:<9} {:>7} {:>10} {:>10} {:>10} {:>14} {:>14}"
HEAD = ("store", "runs", "median", "p95", "p99", "reads a second", "looks a second")


class Clock(AgentProvider):
    """Sends the time, at a pace.

    Args:
        rate: Tokens a second.
        seconds: How long.
    """

    name = "clock"

    def __init__(self, rate: float, seconds: float) -> None:
        self._rate = rate
        self._seconds = seconds

    async def list_agents(self) -> list[AgentDescriptor]:
        """Return the one agent."""
        return [AgentDescriptor(name="clock")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Yield the time."""
        yield events.TextMessageStart(message_id="m")
        for _ in range(round(self._rate * self._seconds)):
            await asyncio.sleep(1 / self._rate)
            yield events.TextMessageContent(message_id="m", delta=f"{perf_counter()}")
        yield events.TextMessageEnd(message_id="m")


class Count:
    """Counts the operations by which the runs of a store are followed.

    Args:
        stores: What keeps runs there. Those that are made from now on are counted.
    """

    def __init__(self, stores: type[RunLogStore]) -> None:
        self.reads = 0
        self.looks = 0
        self._count(stores, "_read_group", "reads")
        self._count(stores, "_peek", "looks")

    def _count(self, stores: type[RunLogStore], method: str, name: str) -> None:
        counted = getattr(stores, method)

        async def count(store: RunLogStore, *arguments: Any) -> Any:
            setattr(self, name, getattr(self, name) + 1)
            return await counted(store, *arguments)

        setattr(stores, method, count)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts.benchmark.followed_runs", description=__doc__)
    parser.add_argument("--runs", type=int, default=120, help="runs at once, all followed")
    parser.add_argument("--rate", type=float, default=30.0, help="tokens a second of each run")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each run is")
    parser.add_argument("--stores", nargs="+", default=STORES, choices=STORES)
    return parser.parse_args()


def _request(thread_id: str) -> RunRequest:
    message = TextMessage(id="u", role="user", content="What time is it?")
    given = RunInput(thread_id=thread_id, run_id="r", messages=[message])
    return RunRequest(agent_name="clock", input=given, context=RunContext())


async def _followed(runtime: CopilotRuntime, thread_id: str) -> list[float]:
    handle: RunHandle | None = None
    while handle is None:
        await asyncio.sleep(0.01)
        handle = await runtime.service.readers.attach(thread_id, paces=False)
    delays: list[float] = []
    while batch := await handle.read():
        arrived = perf_counter()
        delays += [arrived - float(e.delta) for e in batch if isinstance(e, events.TextMessageContent)]
    handle.close()
    return delays[len(delays) // 4 :]  # without what was there before the run was found


async def _read_out(handle: RunHandle) -> None:
    while await handle.read():
        pass


async def _measure(url: str, name: str, runs: int, rate: float, seconds: float) -> None:
    here = CopilotRuntime(providers=[Clock(rate, seconds)], store=url)
    count = Count(type(here.service.archive.store))
    there = CopilotRuntime(providers=[Clock(rate, seconds)], store=url)
    async with here, there:
        threads = [f"{name}-{number}" for number in range(runs)]
        started = [await here.service.start(_request(thread)) for thread in threads]
        reading = [asyncio.create_task(_read_out(handle)) for handle in started]
        found: Sequence[list[float]] = await asyncio.gather(*(_followed(there, thread) for thread in threads))
        await asyncio.gather(*reading)
    delays = [delay for each in found for delay in each]
    figures = [f"{percentile(delays, percent) * 1000:.0f} ms" for percent in (50, 95, 99)]
    print(ROW.format(name, runs, *figures, f"{count.reads / seconds:.0f}", f"{count.looks / seconds:.1f}"), flush=True)


def main() -> None:
    """Measure each store."""
    arguments = _arguments()
    print(ROW.format(*HEAD))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with store_urls(Path(folder)) as urls:
            for name in arguments.stores:
                uvloop.run(_measure(urls[name], name, arguments.runs, arguments.rate, arguments.seconds))


if __name__ == "__main__":
    main()
