"""What only a Redis Cluster does: three masters with a replica each. What every store does is in the other modules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import redis
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import empty_checkpoint
from redis.crc import key_slot

from copilotkit_runtime import CopilotRuntime, RunInput, events
from copilotkit_runtime.providers.langgraph.savers import open_saver
from copilotkit_runtime.runtime.config import RuntimeConfig
from copilotkit_runtime.runtime.errors import ConfigurationError
from copilotkit_runtime.runtime.rates import Rate
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.interface import AgentState, StateStore
from copilotkit_runtime.runtime.stores.redis_cluster import RedisCluster, connect_cluster
from copilotkit_runtime.runtime.stores.redis_shards import SHARDS, Shards
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from copilotkit_runtime.wires.http.rate_limits import open_buckets
from tests.integration.stores.clusters import MASTERS, SLOTS, Cluster, running_cluster
from tests.integration.stores.conftest import CLUSTER, opened_store, runs_beside
from tests.support.polling import until

OWNER = "process-1"
RUNS = 8
in_cluster = pytest.mark.parametrize("url", [CLUSTER], indirect=True)


@pytest.fixture
def failing(server_folder: Path, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster whose nodes the test may kill."""
    with running_cluster(server_folder / request.node.name) as cluster:
        yield cluster


async def test_a_node_is_refused_without_the_word_and_a_single_server_with_it(cluster: Cluster, redis_url: str) -> None:
    for node in cluster.nodes:
        store = open_store(node)
        with pytest.raises(ConfigurationError, match=r"add \?cluster=true"):
            await store.start()
        await store.stop()
    alone = open_store(f"{redis_url}?cluster=true")
    with pytest.raises(ConfigurationError, match="not a node of a Redis Cluster"):
        await alone.start()
    await alone.stop()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://one/3?cluster=true", "no databases"),
        ("redis://one?cluster=yes", "must be true or false"),
        ("redis://one,two:port?cluster=true", "not a valid Redis URL"),
    ],
)
def test_a_url_that_names_no_cluster_is_refused(url: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        open_store(url)


async def test_one_node_that_answers_is_enough_to_find_the_others(cluster: Cluster) -> None:
    host = cluster.nodes[1].removeprefix("redis://")
    async with opened_store(f"redis://127.0.0.1:1,{host}/?cluster=true") as store:
        assert await store.thread("nobody's") is None


async def test_a_cluster_that_does_not_answer_is_unavailable() -> None:
    store = open_store("redis://127.0.0.1:1?cluster=true", StoreSettings(retry_for=0.1))
    with pytest.raises(StoreUnavailableError):
        await store.start()
    await store.stop()


def test_every_master_has_as_many_shards_as_it_has_slots() -> None:
    shards = Shards(RedisCluster([], {}), "prefix").all
    slots = [key_slot(f"{shard}:anything".encode()) for shard in shards]

    assert len(set(slots)) == SHARDS
    assert [slot * SHARDS // SLOTS for slot in slots] == list(range(SHARDS))


@in_cluster
async def test_all_keys_of_a_thread_are_in_one_slot_and_threads_on_all_masters(
    store: StateStore, url: str, settings: StoreSettings, cluster: Cluster
) -> None:
    threads = [f"{number}}} of {{somebody" for number in range(24)]
    async with runs_beside(store, settings) as runs, open_saver(url, settings) as saver:
        for thread in threads:
            await store.claim(thread, "somebody")
            await store.save(thread, "agent", AgentState())
            record = await runs.open(thread, run_id="run", agent_name="agent", owner=OWNER)
            await runs.append(record.key, OWNER, 1, [events.TextMessageContent(message_id="m", delta="x")])
            config: RunnableConfig = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
            await saver.aput(config, empty_checkpoint(), {}, {})
            async with store.lock(thread, "agent"):
                keys = cluster.keys(f"{settings.prefix}*")
            shard = Shards(RedisCluster([], {}), settings.prefix).of(thread)
            assert len({key_slot(key.encode()) for key in keys if key.startswith(shard)}) == 1

    keys = cluster.keys(f"{settings.prefix}*")
    assert all(key.startswith(f"{settings.prefix}:{{") for key in keys)
    masters = {key_slot(key.encode()) * MASTERS // SLOTS for key in keys}
    assert masters == set(range(MASTERS))
    for thread in threads:
        await runs.delete(thread)
        await store.delete_thread(thread)
        async with open_saver(url, settings) as saver:
            await saver.adelete_thread(thread)
    assert cluster.keys(f"{settings.prefix}*") == []


@in_cluster
async def test_threads_of_all_shards_are_listed_in_one_order(store: StateStore) -> None:
    written = [f"thread-{number}" for number in range(150)]
    for thread in written:
        await store.open_thread(thread, owner="ann" if len(thread) % 2 else "bob")
    for owner in (None, "ann", "bob"):
        expected = [each for each in written[::-1] if owner is None or (owner == "ann") == bool(len(each) % 2)]
        for limit in (20, 1000):
            listed: list[str] = []
            cursor = None
            while True:
                page = await store.threads(owner=owner, limit=limit, cursor=cursor)
                listed += [thread.thread_id for thread in page.threads]
                cursor = page.cursor
                if cursor is None:
                    break
            assert listed == expected


@in_cluster
async def test_a_slot_that_moves_to_another_master_is_followed(
    store: StateStore, settings: StoreSettings, cluster: Cluster
) -> None:
    await store.save("thread", "agent", AgentState(state={"step": 1}))
    slot = key_slot(Shards(RedisCluster([], {}), settings.prefix).of("thread").encode() + b":")
    old = slot * MASTERS // SLOTS
    new = (old + 1) % MASTERS
    with redis.Redis.from_url(cluster.nodes[old]) as source, redis.Redis.from_url(cluster.nodes[new]) as target:
        ids = [client.execute_command("CLUSTER MYID").decode() for client in (source, target)]
        target.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[0])
        source.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[1])
        port = int(cluster.nodes[new].rpartition(":")[2])
        for key in source.execute_command("CLUSTER GETKEYSINSLOT", slot, 100_000):
            source.execute_command("MIGRATE", "127.0.0.1", port, key, 0, 5000)

        kept = await store.load("thread", "agent")  # the old master sends to the new one, which takes exceptions
        assert kept is not None
        assert kept.state == {"step": 1}
        await store.save("thread", "agent", AgentState(state={"step": 2}), expected_version=1)

        for client in (target, source):
            client.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[1])
    kept = await store.load("thread", "agent")
    assert kept is not None
    assert (kept.version, kept.state) == (2, {"step": 2})


async def test_runs_outlive_a_master_that_is_killed(failing: Cluster) -> None:
    begun, go_on = [asyncio.Event() for _ in range(RUNS)], asyncio.Event()
    threads = [f"thread-{number}" for number in range(RUNS)]
    shards = Shards(RedisCluster([], {}), "copilotkit")
    masters = {key_slot(shards.of(thread).encode() + b":") * MASTERS // SLOTS for thread in threads}
    assert masters == set(range(MASTERS))

    async def model(given: RunInput) -> AsyncIterator[str]:
        yield "one "
        begun[threads.index(given.thread_id)].set()
        await go_on.wait()
        for number in range(20):
            yield f"{number} "
            await asyncio.sleep(0.02)

    async with AsyncExitStack() as stack:
        here, there = [
            await stack.enter_async_context(CopilotRuntime(model=model, store=failing.url)) for _ in range(2)
        ]
        runs = [await here.start_run(None, "Count.", thread_id=each) for each in threads]
        followed = [asyncio.create_task(_followed(there, thread)) for thread in threads]
        await asyncio.wait_for(asyncio.gather(*(each.wait() for each in begun)), 60)
        await asyncio.to_thread(failing.fail_over, 0)
        go_on.set()

        assert [await run.join() for run in runs] == ["finished"] * RUNS
        for thread, task in zip(threads, followed, strict=True):
            seen = await task
            assert [type(event) for event in seen if isinstance(event, events.RunFinished | events.RunError)] == [
                events.RunFinished
            ]
            said = "".join(event.delta for event in seen if isinstance(event, events.TextMessageContent))
            assert said == "one " + "".join(f"{number} " for number in range(20))
            (record,) = await there.service.archive.runs(thread)
            assert record.status == "finished"
            stored = await there.service.archive.history(record)
            assert isinstance(stored[-1], events.RunFinished)
    for node in failing.nodes[1:]:
        with redis.Redis.from_url(node) as client:
            assert "errorstat_CROSSSLOT" not in client.info("errorstats")


async def _followed(runtime: CopilotRuntime, thread: str) -> list[events.Event]:
    async def there() -> bool:
        return bool(await runtime.service.archive.runs(thread))

    await until(there, 60)
    return [event async for event in runtime.follow(thread)]


async def test_commands_for_masters_that_answer_do_not_wait_for_one_that_does_not(cluster: Cluster) -> None:
    client = connect_cluster(cluster.url, {"timeout": 1.0, "socket_timeout": 1.0, "max_connections": 2})
    await client.execute_command("PING")
    names = [f"test-key-{number}" for number in range(60)]
    cluster.servers[0].freeze()
    try:
        answers = await client.execute_all([("SET", name, "kept", "EX", 60) for name in names])
    finally:
        cluster.servers[0].thaw()
    for name, answer in zip(names, answers, strict=True):
        silent = key_slot(name.encode()) * MASTERS // SLOTS == 0
        assert isinstance(answer, Exception) if silent else answer is True
    await client.aclose()


def test_a_queue_in_a_cluster_is_refused_in_words() -> None:
    config = RuntimeConfig(store="redis://one:6379,two:6379?cluster=true", execution="queue")
    with pytest.raises(ConfigurationError, match=r"execution.*one Redis server.*inline"):
        CopilotRuntime(config=config)


async def test_rates_are_counted_in_a_cluster(cluster: Cluster) -> None:
    buckets = [open_buckets(cluster.url, "copilotkit") for _ in range(2)]
    rate = Rate.parse("2/hour")
    await buckets[0].check()
    waits = [await buckets[number % 2].take("somebody", rate) for number in range(3)]
    assert waits[:2] == [0, 0]
    assert waits[2] > 0
    for each in buckets:
        await each.close()
