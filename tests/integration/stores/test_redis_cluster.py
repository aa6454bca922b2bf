"""A real Redis Cluster, three masters with a replica each: it is refused as a store, and why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from copilotkit_runtime.runtime.errors import ConfigurationError
from copilotkit_runtime.runtime.stores.redis import _OPEN
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.integration.stores.servers import RedisServer
from tests.support.polling import until

SLOTS = 16384
MASTERS = 3


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[list[str]]:
    """The URLs of the nodes, masters first."""
    with ExitStack() as stack:
        urls = []
        for number in range(2 * MASTERS):
            folder = tmp_path / str(number)
            folder.mkdir()
            server = RedisServer(folder, options=["--cluster-enabled", "yes"])
            server.start()
            stack.callback(server.kill)
            urls.append(server.url)
        clients = [stack.enter_context(redis.Redis.from_url(url, decode_responses=True)) for url in urls]
        for number, client in enumerate(clients[:MASTERS]):
            client.execute_command("CLUSTER ADDSLOTS", *range(number, SLOTS, MASTERS))
        for number, client in enumerate(clients):
            client.execute_command("CONFIG SET", "cluster-node-timeout", 60000)
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for url in urls[1:]:
            clients[0].execute_command("CLUSTER MEET", "127.0.0.1", url.rpartition(":")[2].partition("/")[0])

        async def met() -> bool:
            infos = [client.execute_command("CLUSTER INFO") for client in clients]
            return all(info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "6" for info in infos)

        await until(met, 60)
        for master, replica in zip(clients[:MASTERS], clients[MASTERS:], strict=True):
            replica.execute_command("CLUSTER REPLICATE", master.execute_command("CLUSTER MYID"))
        yield urls


async def test_every_node_of_a_cluster_is_refused_at_the_start_with_the_reason(nodes: list[str]) -> None:
    for url in nodes:
        store = open_store(url)
        with pytest.raises(ConfigurationError, match=r"Redis Cluster.*one Redis server"):
            await store.start()
        await store.stop()


async def test_a_cluster_refuses_what_a_thread_is_begun_with_unless_all_keys_share_one_slot(nodes: list[str]) -> None:
    with redis.RedisCluster.from_url(nodes[0]) as cluster:
        keys = ["copilotkit:thread:t", "copilotkit:threads", "copilotkit:spellings"]
        with pytest.raises(redis.exceptions.RedisClusterException, match="same key slot"):
            cluster.eval(_OPEN, 3, *keys, "t", "", "", "0", "t")
        tagged = [key.replace("copilotkit", "{copilotkit}") for key in keys]
        assert len({cluster.keyslot(key) for key in tagged}) == 1
        assert len({cluster.keyslot(key) for key in keys}) == 3
