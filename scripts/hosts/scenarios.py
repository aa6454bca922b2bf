"""The scenarios: what is done to the hosts while runs go on, and what has to be true afterwards."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from time import monotonic
from typing import TypeAlias

import httpx
from msgspec import Struct

from scripts.benchmark.measurement import percentile
from scripts.hosts.graphql_visitor import GraphQLVisitor
from scripts.hosts.machines import Deployment, Process
from scripts.hosts.network import Host
from scripts.hosts.visitor import AGUIVisitor, Visitor

_BEGIN_SECONDS = 5.0
"""Over how long the runs of a load begin."""
_LOOKS_AT_ONCE = 50
_SETTLE_SECONDS = 3.0
"""How long a deployment waits before the next process: nginx leaves one that was away alone for two seconds."""

Disturb: TypeAlias = Callable[[Deployment, "Scale"], Awaitable[None]]


class Scale(Struct, frozen=True):
    """How large the scenarios are."""

    runs: int
    words: int
    pace: float
    away_seconds: float
    """For how long a host is cut off."""
    patience: float
    """Within how many seconds a scenario has to be over."""


FULL = Scale(runs=500, words=40, pace=1.0, away_seconds=20.0, patience=1200.0)
SMALL = Scale(runs=40, words=30, pace=0.2, away_seconds=8.0, patience=600.0)


class Outcome(Struct):
    """What a scenario came to."""

    name: str
    seconds: float
    visitors: list[Visitor]
    faults: list[str]
    begun: int
    resumed: int

    def row(self) -> str:
        """Return a line of the table."""
        first = [each.first_word or 0.0 for each in self.visitors]
        pauses = [each.longest_pause for each in self.visitors]
        joined = sum(each.connections - 1 for each in self.visitors)
        refused = Counter(refusal for each in self.visitors for refusal in each.refusals)
        return ROW.format(
            self.name,
            len(self.visitors),
            len(self.faults),
            f"{percentile(first, 50) * 1000:.0f}/{percentile(first, 99) * 1000:.0f}",
            f"{percentile(pauses, 50):.1f}/{max(pauses):.1f}",
            self.begun,
            self.resumed,
            joined,
            sum(refused.values()),
            f"{self.seconds:.0f}",
        )


ROW = "{:<22} {:>5} {:>7} {:>13} {:>11} {:>6} {:>8} {:>7} {:>8} {:>5}"
HEAD = ROW.format(
    "scenario", "runs", "faults", "first ms 50/99", "pause s", "begun", "resumed", "joined", "refused", "s"
)


async def play(name: str, deployment: Deployment, scale: Scale) -> Outcome:
    """Play a scenario: begin its runs, disturb them once all have shown a word, and check each of them at its end."""
    before = _journal(deployment)
    began = monotonic()
    limits = httpx.Limits(max_connections=2 * scale.runs, max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=httpx.Timeout(60, connect=10), limits=limits) as client:
        numbers = count()

        def visitor() -> Visitor:
            number = next(numbers)
            kind = (AGUIVisitor, GraphQLVisitor)[number % 2]
            return kind(client, deployment.balancer.url, f"{name}-{number}", scale.words, scale.pace)

        async with asyncio.timeout(scale.patience):
            visitors = await _converse(visitor, SCENARIOS[name], deployment, scale)
            seconds = monotonic() - began
            await asyncio.to_thread(deployment.settle)
            faults = await _check(visitors, deployment)
    executions = _journal(deployment) - before
    begun = {thread: times for (how, thread), times in executions.items() if how == "begun"}
    faults += [f"{thread}: executed {times} times" for thread, times in begun.items() if times > 1]
    counted = Counter(how for how, _ in executions.elements())
    return Outcome(name, seconds, visitors, faults, counted["begun"], counted["resumed"])


async def _converse(
    make: Callable[[], Visitor], disturb: Disturb, deployment: Deployment, scale: Scale
) -> list[Visitor]:
    """Have as many runs go on at once as the scale has while the hosts are disturbed; return who began them."""
    visitors: list[Visitor] = []
    disturbed = False

    async def one_after_the_other(visitor: Visitor) -> None:
        await visitor.converse()
        while disturbed:
            visitors.append(visitor := make())
            await visitor.converse()

    async with asyncio.TaskGroup() as group:
        for _ in range(scale.runs):
            visitors.append(visitor := make())
            group.create_task(one_after_the_other(visitor))
            await asyncio.sleep(_BEGIN_SECONDS / scale.runs)
        await asyncio.gather(*(visitor.speaking.wait() for visitor in visitors))
        disturbed = True
        await disturb(deployment, scale)
        disturbed = False
    return visitors


async def _check(visitors: Sequence[Visitor], deployment: Deployment) -> list[str]:
    looks = asyncio.Semaphore(_LOOKS_AT_ONCE)

    async def stored(visitor: Visitor, url: str) -> list[str]:
        async with looks:
            return await visitor.stored(url)

    faults = [f"{visitor.thread}: shown: {fault}" for visitor in visitors for fault in visitor.faults()]
    for url in deployment.addresses():
        found = await asyncio.gather(*(stored(visitor, url) for visitor in visitors))
        faults += [f"{v.thread}: stored: {fault}" for v, each in zip(visitors, found, strict=True) for fault in each]
    return faults


def _journal(deployment: Deployment) -> Counter[tuple[str, str]]:
    lines = (line.split() for line in deployment.journal.read_text().splitlines())
    return Counter((how, thread) for how, thread, _, _ in lines)


async def _nothing(deployment: Deployment, scale: Scale) -> None:
    """Let the runs go on."""


async def _worker_dies(deployment: Deployment, scale: Scale) -> None:
    await _dies(deployment.workers[0], scale)


async def _web_dies(deployment: Deployment, scale: Scale) -> None:
    await _dies(deployment.webs[0], scale)


async def _dies(process: Process, scale: Scale) -> None:
    await asyncio.to_thread(process.host.die)
    await asyncio.sleep(scale.away_seconds)
    process.host.plug()
    process.start()


async def _worker_away(deployment: Deployment, scale: Scale) -> None:
    await _away(deployment.workers[1].host, scale)


async def _web_away(deployment: Deployment, scale: Scale) -> None:
    await _away(deployment.webs[1].host, scale)


async def _store_away(deployment: Deployment, scale: Scale) -> None:
    await _away(deployment.store_host, scale)


async def _away(host: Host, scale: Scale) -> None:
    host.unplug()
    await asyncio.sleep(scale.away_seconds)
    host.plug()


async def _store_restarts(deployment: Deployment, scale: Scale) -> None:
    await asyncio.to_thread(deployment.store_host.die)
    await asyncio.to_thread(deployment.store.kill)
    await asyncio.sleep(scale.away_seconds)
    deployment.store_host.plug()
    await asyncio.to_thread(deployment.store.start)


async def _rolling(deployment: Deployment, scale: Scale) -> None:
    for process in (*deployment.workers, *deployment.webs):
        await asyncio.to_thread(process.end)
        process.start()
        await asyncio.to_thread(process.ready)
        await asyncio.sleep(_SETTLE_SECONDS)


SCENARIOS: dict[str, Disturb] = {
    "calm": _nothing,
    "worker-dies": _worker_dies,
    "web-dies": _web_dies,
    "worker-away": _worker_away,
    "web-away": _web_away,
    "store-away": _store_away,
    "store-restarts": _store_restarts,
    "rolling-deployment": _rolling,
}
IN_CI = ("worker-dies", "worker-away", "rolling-deployment")
