"""What a number of streams at once takes of a store and of both tiers, computed from what was measured."""

from __future__ import annotations

from math import ceil
from pathlib import Path

import msgspec

MEASURED = Path(__file__).with_name("measured.json")
TOKENS_PER_SECOND = 30
RUN_SECONDS = 6.7
STREAMS_PER_PROCESS = 250
MICROSECONDS_PER_TOKEN = 20
"""Of processor time, in the process that executes a run and again in the one that streams it (docs/scaling.md)."""
STREAM_MEGABYTES = 0.5
PROCESS_MEGABYTES = 120
FULL = 0.7
"""How much of a core is planned for."""
MOST_CONNECTIONS = {"redis": 10_000, "postgres": 500}
"""From how many on a server needs other settings, or a proxy."""
POSTGRES_CORES = 16
KEPT_BYTES = 1_500
"""Of a run that has ended."""


BATCHES_PER_STREAM = 96 / RUN_SECONDS
"""A second; each is news, which a Redis Cluster passes on from node to node."""
NEWS_RECEIVED, NEWS_SENT = 1.2e-6, 0.6e-6
"""Seconds of a node's thread for one that comes from another node, and for each node that it is sent to, as measured on
six nodes with 60,000 of them."""
LEAST_MASTERS, MOST_MASTERS = 3, 64
"""Up to a quarter of the shards each master has about as many."""


class StoreCost(msgspec.Struct, frozen=True):
    """What was measured with ``streams`` streams at once, one web process and one worker."""

    streams: int
    operations_per_run: float
    """Requests to Redis, transactions of PostgreSQL, for a run of 200 tokens in 6.7 seconds; both processes."""
    bytes_per_run: int
    """Sent to and by Redis; written to PostgreSQL's log."""
    milliseconds_per_run: float
    """Of the server's processor time."""
    microseconds_per_idle_stream_second: float
    """What a stream costs in which nothing happens, of the same."""
    connections_per_process: float
    milliseconds_per_process_second: float
    """What a process costs without any run, of the same."""


class Need(msgspec.Struct, frozen=True):
    """What streams at once take, each with one run after the other."""

    streams: int
    processes: int
    """Of each tier."""
    tier_cores: float
    """Of each tier."""
    tier_gibibytes: float
    """Of each tier."""
    operations: float
    """A second."""
    store_cores: float
    megabytes: float
    """A second."""
    connections: int
    servers: int
    """Of the store, among which threads are divided."""
    kept_gibibytes_a_day: float
    bottleneck: str


def measured() -> dict[str, StoreCost]:
    """Return what was measured, by store."""
    return msgspec.json.decode(MEASURED.read_bytes(), type=dict[str, StoreCost])


def need(store: str, cost: StoreCost, streams: int) -> Need:
    """Compute what a number of streams takes."""
    processes = max(1, ceil(streams / STREAMS_PER_PROCESS))
    runs = streams / RUN_SECONDS
    cores = (runs * cost.milliseconds_per_run + 2 * processes * cost.milliseconds_per_process_second) / 1000
    connections = ceil(2 * processes * cost.connections_per_process)
    by_work = ceil(cores / (FULL * _cores_of(store)))
    by_connections = ceil(connections / MOST_CONNECTIONS[store])
    return Need(
        streams=streams,
        processes=processes,
        tier_cores=streams * TOKENS_PER_SECOND * MICROSECONDS_PER_TOKEN / 1e6,
        tier_gibibytes=(processes * PROCESS_MEGABYTES + streams * STREAM_MEGABYTES) / 1024,
        operations=runs * cost.operations_per_run,
        store_cores=cores,
        megabytes=runs * cost.bytes_per_run / 1e6,
        connections=connections,
        servers=max(by_work, by_connections),
        kept_gibibytes_a_day=runs * 86_400 * KEPT_BYTES / 2**30,
        bottleneck=_bottleneck(store, by_work, by_connections),
    )


class ClusterNeed(msgspec.Struct, frozen=True):
    """What streams at once take of Redis Clusters, whose masters have one replica each."""

    streams: int
    clusters: int
    masters: int
    """Of each cluster."""
    news: float
    """The part of each master's thread that news take, however many masters there are."""
    bottleneck: str


def cluster_need(cost: StoreCost, streams: int) -> ClusterNeed:
    """Compute how many clusters a number of streams takes, and of how many masters."""
    clusters = 1
    while (masters := _masters(cost, streams / clusters)) is None:
        clusters += 1 + clusters // 64
    news = _news(streams / clusters)
    bottleneck = "none" if clusters == 1 else "news, which reach every node"
    return ClusterNeed(streams, clusters, masters, news, bottleneck)


def _masters(cost: StoreCost, streams: float) -> int | None:
    free = FULL - _news(streams)
    if free <= 0:
        return None
    masters = max(LEAST_MASTERS, ceil(streams / RUN_SECONDS * cost.milliseconds_per_run / 1000 / free))
    return masters if masters <= MOST_MASTERS else None


def _news(streams: float) -> float:
    """Return the part of a master's thread: its share is sent to two nodes for each master, the rest is received."""
    return streams * BATCHES_PER_STREAM * (NEWS_RECEIVED + 2 * NEWS_SENT)


def _cores_of(store: str) -> int:
    return 1 if store == "redis" else POSTGRES_CORES


def _bottleneck(store: str, by_work: int, by_connections: int) -> str:
    if max(by_work, by_connections) == 1:
        return "none"
    if by_connections > by_work:
        return "connections"
    return "its one thread" if store == "redis" else f"{POSTGRES_CORES} cores"
