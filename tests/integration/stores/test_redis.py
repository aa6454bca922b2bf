"""What only Redis does."""

from __future__ import annotations

from unittest.mock import patch

import msgspec
import pytest
import redis

from copilotkit_runtime import CopilotRuntime
from copilotkit_runtime.runtime.errors import StoreError
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.group_writer import RunBatch
from copilotkit_runtime.runtime.stores.interface import AgentState, StateStore
from copilotkit_runtime.runtime.stores.locks import Ticket
from copilotkit_runtime.runtime.stores.redis import RedisStore
from copilotkit_runtime.runtime.stores.redis_runs import RedisRuns
from copilotkit_runtime.runtime.stores.redis_shards import Shards
from copilotkit_runtime.runtime.stores.redis_tickets import RedisTickets
from copilotkit_runtime.runtime.stores.run_records import Batch
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.support.echo_agent import EchoProvider

pytestmark = pytest.mark.parametrize("url", ["redis"], indirect=True)


def _keys(url: str, settings: StoreSettings) -> list[str]:
    with redis.Redis.from_url(url, protocol=2) as client:
        return sorted(key.decode() for key in client.scan_iter(f"{settings.prefix}*"))


async def test_all_keys_begin_with_the_prefix_and_go_with_the_thread(
    store: StateStore, url: str, settings: StoreSettings
) -> None:
    await store.claim("thread", "somebody")
    await store.save("thread", "agent", AgentState())
    async with store.lock("thread", "agent"):
        keys = _keys(url, settings)

    assert keys == [
        f"{settings.prefix}:lock:thread:agent",
        f"{settings.prefix}:spellings",
        f"{settings.prefix}:thread:thread",
        f"{settings.prefix}:threads",
        f"{settings.prefix}:threads:somebody",
    ]
    await store.delete_thread("thread")
    assert _keys(url, settings) == []


async def test_stores_with_different_prefixes_do_not_see_each_other(
    store: StateStore, url: str, settings: StoreSettings
) -> None:
    await store.save("thread", "agent", AgentState())
    other = open_store(url, msgspec.structs.replace(settings, prefix=f"{settings.prefix}-other"))
    await other.start()

    assert await other.load("thread", "agent") is None
    assert (await other.threads()).threads == []
    await other.stop()


async def test_runs_are_kept_under_the_prefix_that_the_application_gave_its_store(
    url: str, settings: StoreSettings
) -> None:
    neighbour = msgspec.structs.replace(settings, prefix=f"{settings.prefix}-other")
    async with CopilotRuntime(providers=[EchoProvider()], store=open_store(url, settings)) as runtime:
        await (await runtime.start_run("echo", "hello", thread_id="thread")).join()
        assert len(await runtime.service.archive.runs("thread")) == 1
    async with CopilotRuntime(providers=[EchoProvider()], store=open_store(url, neighbour)) as runtime:
        assert await runtime.service.archive.runs("thread") == []


async def test_more_tickets_than_one_operation_renews_are_all_renewed(
    store: StateStore, settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(store, RedisStore)
    monkeypatch.setattr("copilotkit_runtime.runtime.stores.redis_tickets.RENEWED_AT_ONCE", 2)
    desk = RedisTickets(store.client, Shards(store.client, settings.prefix))
    tickets = [Ticket(f"thread-{number}", "agent", f"token-{number}") for number in range(5)]
    for ticket in tickets:
        await desk.enter(ticket, 60)
    await desk.leave(tickets[1])
    await desk.request_stop("thread-3", "agent", None)

    assert await desk.renew(tickets, 60) == {"token-0": False, "token-2": False, "token-3": True, "token-4": False}


async def test_the_batches_of_many_runs_are_as_few_arguments_as_those_of_one(
    store: StateStore, settings: StoreSettings
) -> None:
    assert isinstance(store, RedisStore)
    runs = RedisRuns(store.client, settings)
    keys = [(await runs.open(f"t{number}", run_id="r", agent_name="a", owner="me")).key for number in range(20)]
    batches = [RunBatch(key, Batch(1, 1, b"[]")) for key in keys]
    with patch.object(store.client, "execute_command", wraps=store.client.execute_command) as execute:
        await runs.append_group("me", batches[:1])
        await runs.append_group("me", batches)
        await runs.renew(keys, "me")
    calls = [call.args for call in execute.call_args_list if call.args[0] == "EVALSHA"]
    assert {len(arguments) for arguments in calls} == {5}


async def test_runs_are_forgotten_in_one_command_that_nothing_ends_half_way(
    store: StateStore, url: str, settings: StoreSettings
) -> None:
    assert isinstance(store, RedisStore)
    runs = RedisRuns(store.client, settings)
    key, other = [(await runs.open("t", run_id="r", agent_name="a", owner="me")).key for _ in range(2)]
    await runs.append_group("me", [RunBatch(key, Batch(1, 1, b"[]")), RunBatch(other, Batch(1, 1, b"[]"))])
    with patch.object(store.client, "execute_command", wraps=store.client.execute_command) as execute:
        await runs.discard(key, "me")
        await runs.delete("t")
    commands = [call.args[0] for call in execute.call_args_list]
    assert [command for command in commands if command != "EVAL"] == ["EVALSHA", "EVALSHA"]
    assert [name for name in _keys(url, settings) if ":run" in name] == []


async def test_a_thread_that_redis_evicted_is_not_listed(store: StateStore, url: str, settings: StoreSettings) -> None:
    for number in range(3):
        await store.save(f"thread-{number}", "agent", AgentState())
    with redis.Redis.from_url(url, protocol=2) as client:
        client.delete(f"{settings.prefix}:thread:thread-2")

    page = await store.threads(limit=2)

    assert [thread.thread_id for thread in page.threads] == ["thread-1", "thread-0"]
    assert page.cursor is None


async def test_what_redis_refuses_is_an_error_that_is_not_tried_again(
    store: StateStore, url: str, settings: StoreSettings
) -> None:
    with redis.Redis.from_url(url, protocol=2) as client:
        client.set(f"{settings.prefix}:thread:thread", "not a hash")

    with pytest.raises(StoreError, match="rejected") as caught:
        await store.load("thread", "agent")
    assert not isinstance(caught.value, StoreUnavailableError)


async def test_wrong_credentials_are_an_error_that_is_not_tried_again(url: str) -> None:
    store = open_store(url.replace("redis://", "redis://:wrong@"))

    with pytest.raises(StoreError, match="credentials"):
        await store.start()
    await store.stop()
