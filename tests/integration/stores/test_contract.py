"""What every store promises, whatever it keeps states in."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from copilotkit_runtime.runtime.errors import MisuseError
from copilotkit_runtime.runtime.messages import (
    AgentStateMessage,
    ImageMessage,
    Message,
    TextMessage,
    ToolCallMessage,
    ToolResultMessage,
)
from copilotkit_runtime.runtime.stores.errors import (
    StateEncodingError,
    StateTooLargeError,
    StoreConflictError,
    StoreKeyError,
)
from copilotkit_runtime.runtime.stores.interface import AgentState, StateStore
from copilotkit_runtime.runtime.stores.settings import StoreSettings
from copilotkit_runtime.runtime.stores.thread_keys import thread_key
from copilotkit_runtime.runtime.stores.urls import open_store
from tests.integration.stores.conftest import CLUSTER, KINDS
from tests.support.polling import until

pytestmark = pytest.mark.parametrize("url", [*KINDS, CLUSTER], indirect=True)

SPELLED = "AAAAAAAA-2222-4333-8444-5555555555AB"
NEVER = datetime.min.replace(tzinfo=UTC)
EVERY_KIND: list[Message] = [
    TextMessage(role="user", content="hello"),
    ImageMessage(role="user", format="png", bytes="aGk="),
    ToolCallMessage(name="search", arguments={"query": ["a", 1, None]}),
    ToolResultMessage(tool_call_id="call", tool_name="search", result="found"),
    AgentStateMessage(
        thread_id="t",
        agent_name="a",
        node_name="n",
        run_id="r",
        active=True,
        running=True,
        role="assistant",
        state={"deep": {"er": [1.5]}},
    ),
]


async def test_nothing_is_loaded_before_something_is_saved(store: StateStore) -> None:
    assert await store.load("thread", "agent") is None
    assert await store.owner_of("thread") is None


async def test_what_was_saved_is_loaded_with_messages_of_every_kind(store: StateStore) -> None:
    saved = await store.save("thread", "agent", AgentState(state={"a": {"b": [1, None]}}, messages=EVERY_KIND))

    loaded = await store.load("thread", "agent")

    assert loaded == saved
    assert loaded is not None
    assert loaded.messages == EVERY_KIND


async def test_each_save_raises_the_version_and_keeps_the_time_of_creation(store: StateStore) -> None:
    before = datetime.now(UTC)
    first = await store.save("thread", "agent", AgentState(state={"n": 1}))
    second = await store.save("thread", "agent", AgentState(state={"n": 2}))

    assert (first.version, second.version) == (1, 2)
    assert first.created_at == first.updated_at == second.created_at
    assert (second.updated_at or NEVER) > (first.updated_at or NEVER)
    assert abs((first.updated_at or NEVER) - before) < timedelta(seconds=30)


@pytest.mark.parametrize(
    "value",
    ["", "\0", "a\0b", "žluťoučký 🐎 \u2028", "\\u0000", "'; DROP TABLE copilotkit_states; --", 2**70, -0.5],
)
async def test_a_state_comes_back_as_it_was(store: StateStore, value: object) -> None:
    state = AgentState(
        state={"value": value, str(value): [value]}, messages=[TextMessage(role="user", content=str(value))]
    )

    await store.save("thread", "agent", state)

    loaded = await store.load("thread", "agent")
    assert loaded is not None
    assert loaded.state == state.state
    assert loaded.messages == state.messages


async def test_a_state_of_many_megabytes_comes_back_as_it_was(store: StateStore) -> None:
    state = {"text": "ä" * 3_000_000}

    await store.save("thread", "agent", AgentState(state=state))

    loaded = await store.load("thread", "agent")
    assert loaded is not None
    assert loaded.state == state


async def test_what_is_changed_after_saving_is_not_changed_in_the_store(store: StateStore) -> None:
    state = AgentState(state={"list": [1]})
    await store.save("thread", "agent", state)
    state.state["list"].append(2)

    loaded = await store.load("thread", "agent")

    assert loaded is not None
    assert loaded.state == {"list": [1]}


async def test_each_thread_and_agent_has_a_state_of_its_own(store: StateStore) -> None:
    keys = [
        ("a:b", "c"),
        ("a", "b:c"),
        ("a", "b"),
        ("%61", "b"),
        ("a b", "🐎"),
        ("A", "b"),
        ("é", "e\u0301"),
        ("*", "?"),
    ]
    for number, key in enumerate(keys):
        await store.save(*key, AgentState(state={"number": number}))

    loaded = await store.load_many(keys)

    assert [entry and entry.state["number"] for entry in loaded] == [*range(len(keys))]


async def test_many_are_loaded_in_the_order_of_the_keys(store: StateStore) -> None:
    await store.save("one", "agent", AgentState(state={"n": 1}))
    await store.save("two", "agent", AgentState(state={"n": 2}))

    loaded = await store.load_many([("two", "agent"), ("none", "agent"), ("one", "agent"), ("two", "agent")])

    assert [entry and entry.state["n"] for entry in loaded] == [2, None, 1, 2]
    assert await store.load_many([]) == []


async def test_a_write_that_expects_another_version_changes_nothing(store: StateStore) -> None:
    kept = await store.save("thread", "agent", AgentState(state={"n": 1}))

    for expected in (0, 2):
        with pytest.raises(StoreConflictError) as caught:
            await store.save("thread", "agent", AgentState(), expected_version=expected)
        assert caught.value.expected == expected

    assert await store.load("thread", "agent") == kept


async def test_a_write_that_expects_an_entry_where_there_is_none_leaves_no_trace(store: StateStore) -> None:
    with pytest.raises(StoreConflictError):
        await store.save("thread", "agent", AgentState(), expected_version=3)

    assert (await store.threads()).threads == []


async def test_of_many_writers_that_expect_nothing_one_wins(store: StateStore) -> None:
    async def write(number: int) -> bool:
        try:
            await store.save("thread", "agent", AgentState(state={"n": number}), expected_version=0)
        except StoreConflictError:
            return False
        return True

    assert sum(await asyncio.gather(*(write(number) for number in range(20)))) == 1


async def test_a_hundred_increments_at_once_lose_nothing(store: StateStore) -> None:
    left = 100

    async def increment() -> None:
        nonlocal left
        while True:
            kept = await store.load("thread", "agent") or AgentState()
            raised = AgentState(state={"count": kept.state.get("count", 0) + 1})
            try:
                await store.save("thread", "agent", raised, expected_version=kept.version)
            except StoreConflictError:
                await asyncio.sleep(random.uniform(0, 0.01 * left))  # the more there are, the more get in the way
                continue
            left -= 1
            return

    await asyncio.gather(*(increment() for _ in range(100)))

    counted = await store.load("thread", "agent")
    assert counted is not None
    assert counted.state == {"count": 100}
    assert counted.version == 100


async def test_threads_that_many_begin_at_once_begin_once(store: StateStore) -> None:
    threads = [f"thread-{number}" for number in range(30)]

    async def begin(thread: str) -> None:
        await asyncio.gather(
            store.open_thread(thread, owner="ann", agent_name="agent"),
            *(store.claim(thread, "ann") for _ in range(3)),
            *(store.merge(thread, "agent", {f"k{number}": number}) for number in range(3)),
        )

    await asyncio.gather(*map(begin, threads))

    for thread in threads:
        begun = await store.load(thread, "agent")
        assert begun is not None
        assert begun.state == {"k0": 0, "k1": 1, "k2": 2}
        assert await store.owner_of(thread) == "ann"


async def test_a_hundred_merges_at_once_lose_no_key_and_no_message(store: StateStore) -> None:
    await store.save("thread", "agent", AgentState(state={"kept": True, "k0": "old"}, messages=EVERY_KIND))

    await asyncio.gather(*(store.merge("thread", "agent", {f"k{n}": n}) for n in range(100)))

    merged = await store.load("thread", "agent")
    assert merged is not None
    assert merged.state == {"kept": True, **{f"k{n}": n for n in range(100)}}
    assert merged.messages == EVERY_KIND


async def test_merging_into_nothing_makes_an_entry(store: StateStore) -> None:
    merged = await store.merge("thread", "agent", {"a": 1})

    assert merged.version == 1
    assert await store.load("thread", "agent") == merged


async def test_an_entry_over_the_limit_is_refused_with_its_size_and_the_limit(
    url: str, settings: StoreSettings
) -> None:
    store = open_store(url, msgspec.structs.replace(settings, max_bytes=1000))
    await store.start()
    kept = await store.save("thread", "agent", AgentState(state={"text": "x" * 900}))

    with pytest.raises(StateTooLargeError, match=r"take 1\d\d\d bytes; the limit is 1000 bytes") as caught:
        await store.save("thread", "agent", AgentState(state={"text": "x" * 1000}))

    assert caught.value.limit == 1000 < caught.value.size
    assert await store.load("thread", "agent") == kept
    await store.stop()


@pytest.mark.parametrize("value", [object(), "\ud800"])
async def test_a_state_that_is_not_json_is_refused(store: StateStore, value: object) -> None:
    with pytest.raises(StateEncodingError):
        await store.save("thread", "agent", AgentState(state={"value": value}))

    assert await store.load("thread", "agent") is None


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", "x" * 1025])
async def test_a_name_that_some_store_could_not_keep_is_refused_by_all(store: StateStore, name: str) -> None:
    for thread_id, agent_name in ((name, "agent"), ("thread", name)):
        with pytest.raises(StoreKeyError):
            await store.load(thread_id, agent_name)
        with pytest.raises(StoreKeyError):
            await store.save(thread_id, agent_name, AgentState())
        with pytest.raises(StoreKeyError):
            store.lock(thread_id, agent_name)
    with pytest.raises(StoreKeyError):
        await store.claim("thread", name)


async def test_the_longest_names_are_kept(store: StateStore) -> None:
    longest = "ä" * 512

    await store.claim(longest, longest)
    saved = await store.save(longest, longest, AgentState())

    assert await store.load(longest, longest) == saved
    assert saved.owner == longest
    assert [thread.thread_id for thread in (await store.threads(owner=longest)).threads] == [longest]
    async with store.lock(longest, longest):
        pass


async def test_a_thread_is_forgotten_when_nothing_was_written_for_its_time_to_live(
    url: str, settings: StoreSettings
) -> None:
    store = open_store(url, msgspec.structs.replace(settings, ttl=0.4))
    await store.start()
    await store.claim("thread", "somebody")
    await store.save("thread", "agent", AgentState(state={"n": 1}))

    async def gone() -> bool:
        return await store.load("thread", "agent") is None

    await until(gone)

    assert await store.owner_of("thread") is None
    assert (await store.threads()).threads == []
    assert (await store.threads(owner="somebody")).threads == []
    assert await store.claim("thread", "somebody else")
    assert (await store.save("thread", "agent", AgentState())).version == 1
    await store.stop()


async def test_a_write_to_one_agent_keeps_the_whole_thread_alive(url: str, settings: StoreSettings) -> None:
    store = open_store(url, msgspec.structs.replace(settings, ttl=1.0))
    await store.start()
    first = await store.save("thread", "first", AgentState())
    ends = (first.updated_at or NEVER) + timedelta(seconds=1.2)

    async def older_than_its_time() -> bool:
        second = await store.save("thread", "second", AgentState())
        return (second.updated_at or NEVER) > ends

    await until(older_than_its_time)

    assert await store.load("thread", "first") == first
    await store.stop()


async def test_threads_are_listed_last_written_first_and_page_by_page(store: StateStore) -> None:
    for number in range(5):
        await store.save(f"thread-{number}", "agent", AgentState())
    await store.save("thread-1", "other", AgentState())

    listed, cursor = [], None
    while True:
        page = await store.threads(limit=2, cursor=cursor)
        assert len(page.threads) <= 2
        listed.extend(page.threads)
        cursor = page.cursor
        if cursor is None:
            break

    assert [thread.thread_id for thread in listed] == ["thread-1", "thread-4", "thread-3", "thread-2", "thread-0"]
    assert listed[0].agents == ["agent", "other"]
    assert listed[0].created_at < listed[0].updated_at
    assert listed[0].updated_at.utcoffset() == UTC.utcoffset(None)


async def test_a_thread_written_while_its_pages_are_read_does_not_come_twice(store: StateStore) -> None:
    for number in range(4):
        await store.save(f"thread-{number}", "agent", AgentState())
    first = await store.threads(limit=2)
    await store.save("thread-3", "agent", AgentState())

    second = await store.threads(limit=2, cursor=first.cursor)

    assert [thread.thread_id for thread in second.threads] == ["thread-1", "thread-0"]


async def test_an_owner_is_listed_their_own_threads(store: StateStore) -> None:
    for number in range(6):
        await store.claim(f"thread-{number}", f"owner-{number % 2}")
        await store.save(f"thread-{number}", "agent", AgentState())

    page = await store.threads(owner="owner-1", limit=2)
    rest = await store.threads(owner="owner-1", limit=2, cursor=page.cursor)

    assert [thread.thread_id for thread in (*page.threads, *rest.threads)] == ["thread-5", "thread-3", "thread-1"]
    assert {thread.owner for thread in page.threads} == {"owner-1"}
    assert (await store.threads(owner="nobody")).threads == []


@pytest.mark.parametrize("cursor", ["", "x", "1", "1.", "1.\0", ".thread", "9" * 30 + ".thread"])
async def test_a_cursor_of_ones_own_making_is_refused(store: StateStore, cursor: str) -> None:
    with pytest.raises((MisuseError, StoreKeyError)):
        await store.threads(cursor=cursor)


async def test_a_deleted_thread_is_forgotten_with_all_agents_and_its_owner(store: StateStore) -> None:
    await store.claim("thread", "somebody")
    await store.save("thread", "one", AgentState())
    await store.save("thread", "two", AgentState())
    await store.save("other", "one", AgentState())

    assert await store.delete_thread("thread") is True
    assert await store.delete_thread("thread") is False

    assert await store.load_many([("thread", "one"), ("thread", "two")]) == [None, None]
    assert await store.owner_of("thread") is None
    assert [thread.thread_id for thread in (await store.threads()).threads] == ["other"]
    assert (await store.threads(owner="somebody")).threads == []
    assert (await store.save("thread", "one", AgentState())).version == 1


async def test_a_thread_belongs_to_the_first_who_claims_it(store: StateStore) -> None:
    assert await store.claim("thread", "first")
    assert not await store.claim("thread", "second")
    assert await store.claim("thread", "first")

    assert await store.owner_of("thread") == "first"
    assert await store.load("thread", "agent") is None
    assert (await store.save("thread", "agent", AgentState())).owner == "first"


async def test_of_many_who_claim_a_thread_at_once_one_gets_it(store: StateStore) -> None:
    claims = await asyncio.gather(*(store.claim("thread", f"owner-{number}") for number in range(20)))

    assert sum(claims) == 1
    assert await store.owner_of("thread") == f"owner-{claims.index(True)}"


async def test_a_thread_without_owner_can_be_claimed_with_what_is_on_it(store: StateStore) -> None:
    await store.save("thread", "agent", AgentState(state={"n": 1}))

    assert await store.claim("thread", "somebody")

    loaded = await store.load("thread", "agent")
    assert loaded is not None
    assert (loaded.owner, loaded.state) == ("somebody", {"n": 1})


async def test_health_reports_how_long_an_answer_takes(store: StateStore) -> None:
    assert 0 < await store.health() < 5


SPELLED = "AAAAAAAA-2222-4333-8444-5555555555AB"
SPELLINGS = [
    SPELLED,
    SPELLED.lower(),
    f"ck-{SPELLED.lower()}",
    SPELLED.replace("-", ""),
    f"{{{SPELLED}}}",
    f"urn:uuid:{SPELLED}",
    f"URN:UUID:{{{SPELLED}}}",
]


@pytest.mark.parametrize("first", SPELLINGS)
async def test_all_spellings_of_a_thread_s_id_lead_to_one_record(store: StateStore, first: str) -> None:
    opened = await store.open_thread(first, owner="ann", agent_name="writer")

    assert opened is not None
    assert (opened.thread_id, opened.owner, opened.agents) == (first, "ann", ["writer"])
    for spelling in SPELLINGS:
        found = await store.thread(spelling)
        assert found is not None
        assert found.thread_id == first
        assert await store.owner_of(spelling) == "ann"
        assert await store.open_thread(spelling, owner="bob") is None
        assert not await store.claim(spelling, "bob")
    assert await store.delete_thread(SPELLINGS[-1])
    assert await store.thread(first) is None


async def test_the_id_that_a_server_makes_of_a_name_leads_to_the_same_record(store: StateStore) -> None:
    await store.open_thread("my thread", owner="ann")

    found = await store.thread(thread_key("my thread"))

    assert found is not None
    assert found.thread_id == "my thread"
    assert await store.open_thread(thread_key("my thread"), owner="bob") is None


async def test_a_thread_is_marked_while_it_is_removed_and_not_by_the_name_of_an_agent(store: StateStore) -> None:
    await store.open_thread("thread", owner="ann", agent_name="writer")
    marked = await store.begin_removal("thread")
    late = await store.open_thread("thread", owner="ann", agent_name="research")
    (listed,) = (await store.threads()).threads

    for found in (marked, late, listed, await store.thread("thread")):
        assert found is not None
        assert (found.removing, found.is_leaving, found.expired) == (True, True, False)
        assert found.agents == (["writer"] if found is marked else ["research", "writer"])
    assert await store.delete_thread("thread")
    opened = await store.open_thread("thread", owner="bob")
    assert opened is not None
    assert not opened.is_leaving


async def test_a_removal_that_another_release_began_is_seen(store: StateStore) -> None:
    await store.open_thread("thread", owner="ann", agent_name="removal of the thread")

    found = await store.thread("thread")
    assert found is not None
    assert (found.removing, found.agents) == (True, [])


async def test_a_thread_without_owner_is_nobody_s(store: StateStore) -> None:
    await store.save("saved", "agent", AgentState())
    await store.open_thread("opened", agent_name="agent")

    for thread_id in ("saved", "opened"):
        assert await store.open_thread(thread_id, owner="ann") is None
        found = await store.open_thread(thread_id)
        assert found is not None
        assert (found.owner, found.agents) == (None, ["agent"])


async def test_of_many_who_open_a_thread_at_once_one_gets_it(store: StateStore) -> None:
    opened = await asyncio.gather(*(store.open_thread("thread", owner=f"owner-{number}") for number in range(20)))

    assert sum(each is not None for each in opened) == 1


async def test_a_thread_is_named_and_archived_without_being_written(store: StateStore) -> None:
    opened = await store.open_thread("thread", owner="ann")
    assert opened is not None

    assert await store.rename_thread("thread", "Holidays 🏖")
    assert await store.archive_thread("thread")

    (listed,) = (await store.threads(owner="ann")).threads
    assert listed == await store.thread("thread")
    assert (listed.name, listed.archived, listed.updated_at) == ("Holidays 🏖", True, opened.updated_at)
    assert await store.rename_thread("thread", None)
    assert await store.archive_thread("thread", False)
    assert await store.thread("thread") == opened
    assert not await store.rename_thread("none", "x")
    assert not await store.archive_thread("none")


async def test_a_thread_is_named_and_archived_for_its_owner_alone(store: StateStore) -> None:
    opened = await store.open_thread("thread", owner="ann")
    assert not await store.rename_thread("thread", "bob's", owner="bob")
    assert not await store.archive_thread("thread", owner="bob")
    assert await store.thread("thread") == opened
    assert await store.rename_thread("thread", "ann's", owner="ann")
    assert await store.archive_thread("thread", owner="ann")
    record = await store.thread("thread")
    assert record is not None
    assert (record.name, record.archived) == ("ann's", True)


async def test_a_forgotten_thread_waits_to_be_removed_and_is_nobody_s_till_then(
    url: str, settings: StoreSettings
) -> None:
    store = open_store(url, msgspec.structs.replace(settings, ttl=0.3))
    await store.start()
    opened = await store.open_thread("thread", owner="ann")
    assert opened is not None
    assert opened.expires_at == opened.updated_at + timedelta(seconds=0.3)

    async def over() -> bool:
        found = await store.thread("thread")
        return found is not None and found.expired

    await until(over)
    for owner in ("ann", "bob", None):
        found = await store.open_thread("thread", owner=owner)
        assert found is not None
        assert found.expired
    assert await store.expired_threads() == ["thread"]
    assert not await store.rename_thread("thread", "x")
    await store.delete_thread("thread")
    assert (await store.expired_threads(), await store.thread("thread")) == ([], None)
    assert await store.open_thread("thread", owner="bob") is not None
    await store.stop()


async def test_a_disowned_thread_keeps_nothing_but_a_record_without_owner(url: str, settings: StoreSettings) -> None:
    store = open_store(url, settings)
    await store.start()
    await store.open_thread(SPELLED, owner="ann", agent_name="agent")
    await store.save(SPELLED, "agent", AgentState(state={"of": "ann"}))
    await store.rename_thread(SPELLED, "ann's")
    assert await store.disown_thread(SPELLED.lower())
    for _ in range(2):
        record = await store.thread(SPELLED)
        assert record is not None
        assert (record.thread_id, record.owner, record.agents, record.name) == (SPELLED, None, [], None)
        assert await store.load(SPELLED, "agent") is None
        assert await store.open_thread(SPELLED, owner="ann") is None
        assert (await store.threads(owner="ann")).threads == []
        assert await store.disown_thread(SPELLED)
    assert not await store.disown_thread("never")
    assert await store.open_thread("never", owner="bob") is None
    assert await store.delete_thread("never")
    assert await store.open_thread("never", owner="bob") is not None
    await store.stop()
