"""A Redis Cluster of our own: three masters, each with a replica."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.exceptions import RedisError

from tests.integration.stores.servers import RedisServer

SLOTS = 16384
MASTERS = 3
_PATIENCE = 60.0
_NODE_TIMEOUT = 60_000
"""Milliseconds: a busy machine must not look like one that has failed."""


class Cluster:
    """Six servers.

    Args:
        folder: An empty folder for their files.
    """

    def __init__(self, folder: Path) -> None:
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", str(_NODE_TIMEOUT)]
        self.servers: list[RedisServer] = []
        for number in range(2 * MASTERS):
            own = folder / f"node-{number}"
            own.mkdir(parents=True)
            self.servers.append(RedisServer(own, options=options))
        self.nodes = [server.url.removesuffix("/0") for server in self.servers]
        """The nodes' URLs, masters first; the replica of each follows three places behind it."""
        self.url = f"redis://{','.join(node.removeprefix('redis://') for node in self.nodes)}?cluster=true"

    def start(self) -> None:
        """Start the servers, divide the slots, and give each master its replica."""
        for server in self.servers:
            server.start()
        with ExitStack() as stack:
            clients = [stack.enter_context(redis.Redis.from_url(node, decode_responses=True)) for node in self.nodes]
            for number, client in enumerate(clients[:MASTERS]):
                slots = range(number * SLOTS // MASTERS, (number + 1) * SLOTS // MASTERS)
                client.execute_command("CLUSTER ADDSLOTS", *slots)
            for number, client in enumerate(clients):
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
            for node in self.nodes[1:]:
                clients[0].execute_command("CLUSTER MEET", "127.0.0.1", node.rpartition(":")[2])
            _wait(lambda: all(_knows_all(client) for client in clients))
            for master, replica in zip(clients[:MASTERS], clients[MASTERS:], strict=True):
                replica.execute_command("CLUSTER REPLICATE", master.execute_command("CLUSTER MYID"))
            _wait(lambda: all(client.info("replication")["connected_slaves"] for client in clients[:MASTERS]))
            _wait(lambda: all(_has_replicas(client) for client in clients))

    def clear(self) -> None:
        """Delete everything."""
        for node in self.nodes:
            with redis.Redis.from_url(node) as client:
                if client.info("replication")["role"] == "master":
                    client.flushall()

    def kill(self) -> None:
        """Kill all servers."""
        for server in self.servers:
            server.kill()

    def fail_over(self, master: int) -> None:
        """Kill a master, and have its replica take its place."""
        self.servers[master].kill()
        with redis.Redis.from_url(self.nodes[master + MASTERS]) as replica:
            replica.execute_command("CLUSTER FAILOVER", "TAKEOVER")
            _wait(lambda: replica.info("replication")["role"] == "master")

    def keys(self, pattern: str) -> list[str]:
        """Return the keys of all masters."""
        found: list[str] = []
        for node in self.nodes[:MASTERS]:
            with redis.Redis.from_url(node) as client:
                found += [key.decode() for key in client.scan_iter(pattern)]
        return sorted(found)


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """Run a cluster in an empty folder until the context is left."""
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()


def _knows_all(client: Any) -> bool:
    info = client.execute_command("CLUSTER INFO")
    return bool(info["cluster_state"] == "ok" and info["cluster_known_nodes"] == str(2 * MASTERS))


def _has_replicas(client: Any) -> bool:
    ranges: list[list[object]] = client.execute_command("CLUSTER", "SLOTS")
    return len(ranges) == MASTERS and all(len(nodes) == 2 for _, _, *nodes in ranges)


def _wait(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            if is_so():
                return
        except RedisError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.02)
