"""Runs are followed, stopped and closed by processes that do not execute them, through the store alone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from random import Random
from statistics import median
from time import monotonic
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from copilotkit_runtime import CopilotRuntime, ErrorEvent, Hooks, errors, events
from copilotkit_runtime.runtime.config import RuntimeConfig
from copilotkit_runtime.runtime.context import RunContext, RunInput
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.request import RunRequest
from copilotkit_runtime.runtime.runs.broken_runs import BROKEN_OFF
from copilotkit_runtime.runtime.runs.compaction import compact
from copilotkit_runtime.runtime.runs.handle import RunHandle
from copilotkit_runtime.runtime.stores import redis_runs
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.run_records import RunCompactedError
from tests.integration.stores.conftest import CLUSTER
from tests.integration.stores.test_durability import LEASE, durable
from tests.support.copies import serving
from tests.support.polling import until
from tests.support.request_bodies import event, scripted, text
from tests.support.scripted_agent import AGENT, ScriptedProvider
from tests.unit.runtime.runs.streams import kept, shown, verified

SHARED = ("sqlite", "redis", "postgres")

Script = list[dict[str, object]]

LONG: Script = [
    *({"event": each["event"]} for each in text("m0", *(f"{number} " for number in range(80)))),
    {"event": event("TOOL_CALL_START", toolCallId="c", toolCallName="tool")["event"]},
    *({"event": event("TOOL_CALL_ARGS", toolCallId="c", delta="[" if n == 0 else "0,")["event"]} for n in range(50)),
    {"event": event("TOOL_CALL_ARGS", toolCallId="c", delta="0]")["event"]},
    {"event": event("TOOL_CALL_END", toolCallId="c")["event"]},
    {"event": event("STATE_SNAPSHOT", snapshot={"list": []})["event"]},
    *(
        {"event": event("STATE_DELTA", delta=[{"op": "add", "path": "/list/-", "value": n}])["event"]}
        for n in range(60)
    ),
    {"event": event("CUSTOM", name="on_interrupt", value={"question": "?"})["event"]},
    {"event": event("TEXT_MESSAGE_START", messageId="m1")["event"]},
    {"event": event("TEXT_MESSAGE_CONTENT", messageId="m1", delta="half")["event"]},
    {"hang": True},
]


def asked(script: Sequence[object], thread_id: str) -> RunRequest:
    message = TextMessage(id="u1", role="user", content=msgspec.json.encode(script).decode())
    given = RunInput(thread_id=thread_id, run_id="client-run", messages=[message])
    return RunRequest(agent_name=AGENT, input=given, context=RunContext())


@pytest.fixture
async def processes(url: str) -> AsyncIterator[tuple[CopilotRuntime, CopilotRuntime]]:
    """Two runtimes that share nothing but the store."""
    async with AsyncExitStack() as stack:
        both = [CopilotRuntime(providers=[ScriptedProvider()], store=url) for _ in range(2)]
        yield await stack.enter_async_context(both[0]), await stack.enter_async_context(both[1])


@pytest.fixture
def thread() -> str:
    return f"thread-{uuid4()}"


async def attached(runtime: CopilotRuntime, thread_id: str, after: int = 0) -> RunHandle:
    handle: RunHandle | None = None

    async def found() -> bool:
        nonlocal handle
        handle = await runtime.service.readers.attach(thread_id, after=after, paces=False)
        return handle is not None

    await until(found)
    assert handle is not None
    return handle


async def rest(handle: RunHandle) -> list[events.Event]:
    found: list[events.Event] = []
    while batch := await handle.read():
        found += batch
    handle.close()
    return found


async def reading_until(handle: RunHandle, last: events.Event) -> list[events.Event]:
    found: list[events.Event] = []
    while not found or found[-1] != last:
        found += await handle.read()
    return found


HALF = events.TextMessageContent(message_id="m1", delta="half")


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_a_run_whose_thread_is_deleted_fails_for_those_who_follow_it(
    url: str, processes: tuple[CopilotRuntime, CopilotRuntime], thread: str
) -> None:
    """Its end is deleted with the rest, perhaps before they have read it."""
    here, there = processes
    started = await here.service.start(asked(LONG, thread))
    await reading_until(started, HALF)
    follower = await attached(there, thread)
    await reading_until(follower, HALF)
    await there.service.archive.delete(thread)
    ended = await rest(follower)
    await started.cancel()
    started.close()
    assert [type(event) for event in ended] == [events.RunError]


@pytest.mark.parametrize("url", ["memory", *SHARED, CLUSTER], indirect=True)
async def test_every_offset_of_a_run_of_200_events_leads_to_the_same_end(
    url: str, processes: tuple[CopilotRuntime, CopilotRuntime], thread: str
) -> None:
    here, there = processes
    reader = here if url.startswith("memory") else there
    started = await here.service.start(asked(LONG, thread))
    begun = await reading_until(started, HALF)
    behind = await attached(reader, thread)
    assert await reading_until(behind, HALF) == begun
    behind.close()
    handles = [await attached(reader, thread, after) for after in range(len(begun))]
    ends = [asyncio.create_task(rest(handle)) for handle in handles]

    assert await reader.service.stops.stop(thread)

    whole = [*begun, *await rest(started)]
    verified(whole)
    assert len(whole) >= 200
    assert isinstance(whole[-1], events.RunFinished)
    for after, end in enumerate(ends):
        joined = [*whole[:after], *await end]
        assert joined == whole
    service = here.service
    (record,) = await service.archive.runs(thread)
    history = await service.archive.history(record)
    assert (record.status, record.last) == ("cancelled", len(whole))
    assert history == compact(whole)
    assert (kept(history), shown(history)) == (kept(whole), shown(whole))
    assert record.about["messages"][0]["id"] == "u1"


@pytest.mark.timeout(180)
@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_a_second_process_finds_the_same_end_from_every_offset(
    url: str, processes: tuple[CopilotRuntime, CopilotRuntime], thread: str
) -> None:
    here, _ = processes
    started = await here.service.start(asked(LONG, thread))
    begun = await reading_until(started, HALF)
    command = (sys.executable, "-m", "tests.support.follower", url, thread, str(len(begun)))
    follower = await asyncio.create_subprocess_exec(*command, stdout=PIPE, limit=1 << 24)
    assert follower.stdout is not None
    assert await follower.stdout.readline() == b"ready\n"
    assert await here.service.stops.stop(thread)
    whole = [*begun, *await rest(started)]
    out, _ = await follower.communicate()

    ends = [msgspec.json.decode(line) for line in out.splitlines()]
    encoded = msgspec.json.decode(msgspec.json.encode(whole))
    assert len(ends) == len(begun) >= 200
    assert [[*encoded[:after], *end] for after, end in enumerate(ends)] == [encoded] * len(ends)


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_a_run_is_seen_elsewhere_as_it_goes_on(
    url: str, processes: tuple[CopilotRuntime, CopilotRuntime], thread: str
) -> None:
    here, there = processes
    words = [{"after": 0.15, "event": each["event"]} for each in text("m", *(str(number) for number in range(12)))]
    started = await here.service.start(asked([*words, {"hang": True}], thread))
    times: list[dict[str, float]] = [{}, {}]

    async def note(handle: RunHandle, seen: dict[str, float]) -> None:
        while "11" not in seen:
            for each in await handle.read():
                if isinstance(each, events.TextMessageContent):
                    seen[each.delta] = monotonic()
        handle.close()

    behind = await attached(there, thread)
    await asyncio.gather(note(started, times[0]), note(behind, times[1]))
    delays = [times[1][word] - times[0][word] for word in times[0]]
    assert median(delays) < 0.5, "a batch and a look: 0.1 s on a machine that has nothing else to do"


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_twenty_readers_join_and_leave_at_random(
    url: str, processes: tuple[CopilotRuntime, CopilotRuntime], thread: str
) -> None:
    here, there = processes
    words = [{"after": 0.005, "event": each["event"]} for each in text("m", *("x" for _ in range(100)))]
    script = [*words, event("CUSTOM", name="done"), {"hang": True}]
    started = await here.service.start(asked(script, thread))
    await attached(there, thread)
    random = Random(7)

    async def come_and_go(runtime: CopilotRuntime) -> None:
        for _ in range(3):
            handle = await runtime.service.readers.attach(thread, paces=False)
            if handle is None:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(random.uniform(0.01, 0.3)):
                    await rest(handle)
            handle.close()

    staying = [await attached(runtime, thread) for runtime in (here, there)]
    await asyncio.gather(*(come_and_go(processes[number % 2]) for number in range(20)))
    done = events.Custom(name="done")
    seen = [await reading_until(handle, done) for handle in (started, *staying)]
    assert seen[0] == seen[1] == seen[2]
    assert await there.service.stops.stop(thread)
    assert not await there.service.stops.stop(thread)


@pytest.mark.timeout(110)
@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_runs_of_a_killed_process_are_closed_by_another(url: str) -> None:
    threads = [f"thread-{number}" for number in range(4)]
    script = [
        *text("m", "kept", " text")[:3],
        event("TOOL_CALL_START", toolCallId="c", toolCallName="t"),
        {"hang": True},
    ]
    async with httpx.AsyncClient(timeout=90) as client:
        with serving(durable(url, store_lease_seconds=LEASE)) as server:
            hanging = [
                asyncio.create_task(client.post(server.url, json=scripted(*script, threadId=thread_id)))
                for thread_id in threads
            ]
            async with CopilotRuntime(providers=[ScriptedProvider()], store=url) as runtime:
                followers = [await attached(runtime, thread_id) for thread_id in threads]
                opened = events.ToolCallStart(tool_call_id="c", tool_call_name="t")
                begun = [await reading_until(follower, opened) for follower in followers]
                os.kill(server.pid, signal.SIGKILL)
                async with asyncio.timeout(45):
                    ends = await asyncio.gather(*(rest(follower) for follower in followers))
                for before, after, thread_id in zip(begun, ends, threads, strict=True):
                    whole = [*before, *after]
                    verified(whole)
                    assert shown(whole) == {"m": "kept text"}
                    assert isinstance(whole[-1], events.RunError)
                    assert whole[-1].code == BROKEN_OFF
                    assert await runtime.service.readers.attach(thread_id) is None
                    (record,) = await runtime.service.archive.runs(thread_id)
                    assert record.status == "broken"
                    assert await runtime.service.archive.history(record) == compact(whole)
                    words = [{"event": each["event"]} for each in text("next", "free")]
                    free = await rest(await runtime.service.start(asked(words, thread_id)))
                    assert isinstance(free[-1], events.RunFinished)
            for task in hanging:
                with suppress(httpx.HTTPError):
                    await task


async def is_closed(runtime: CopilotRuntime, thread_id: str) -> bool:
    (record,) = await runtime.service.archive.runs(thread_id)
    return record.status == "broken"


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_a_run_of_a_process_that_has_gone_is_closed_whatever_is_stored_of_it(
    url: str, processes: tuple[CopilotRuntime, CopilotRuntime], thread: str
) -> None:
    here, there = processes
    store = there.service.archive.store
    odd = [events.RunStarted(thread_id=thread, run_id="r"), HALF, events.TextMessageStart(message_id="m2")]
    record = await store.open(thread, run_id="r", agent_name=AGENT, owner="gone", lease=0.1)
    await store.append(record.key, "gone", 1, odd)
    await store.release(record.key, "gone")
    await until(lambda: is_closed(here, thread))
    history = await here.service.archive.history(record)
    assert isinstance(history[-1], events.RunError)
    assert events.TextMessageEnd(message_id="m2") in history


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_what_a_run_said_whose_process_has_gone_is_in_its_thread(
    url: str, processes: tuple[CopilotRuntime, CopilotRuntime], thread: str
) -> None:
    here, there = processes
    words = [{"event": each["event"]} for each in text("m1", "whole")]
    await rest(await here.service.start(asked(words, thread)))
    store = there.service.archive.store
    brought = [TextMessage(id=id_, role="user", content="more") for id_ in ("u1", "u2")]  # u1 is answered by now
    about = {"messages": msgspec.to_builtins(brought)}
    record = await store.open(thread, run_id="r", agent_name=AGENT, owner="gone", about=about)
    said = [
        events.RunStarted(thread_id=thread, run_id="r"),
        events.ToolCallStart(tool_call_id="c2", tool_call_name="look"),
        events.ToolCallArgs(tool_call_id="c2", delta="{}"),
        events.ToolCallEnd(tool_call_id="c2"),
        events.TextMessageStart(message_id="m2"),
        events.TextMessageContent(message_id="m2", delta="half"),
        events.StateSnapshot(snapshot={"n": 2}),
    ]
    await store.append(record.key, "gone", 1, said)
    await store.release(record.key, "gone")

    async def has_ended() -> bool:
        return (await store.peek([record.key]))[record.key].status == "broken"

    await until(has_ended)
    kept = await here.load_agent_state(thread_id=thread, agent_name=AGENT)
    assert kept is not None
    assert [message.id for message in kept.messages] == ["u1", "m1", "u2", "c2", "m2", "result-c2"]
    assert kept.state == {"n": 2}
    assert getattr(kept.messages[-2], "content", None) == "half"


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_what_a_run_said_is_kept_once_though_the_process_that_closes_it_dies_too(
    url: str, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = RuntimeConfig(store_lease_seconds=1.0)
    async with CopilotRuntime(providers=[ScriptedProvider()], store=url, config=config) as runtime:
        await runtime.service.threads.open(thread, None)
        runs = runtime.service.archive.store
        close, closed = runs.close, 0

        async def dies_first(*given: Any, **more: Any) -> None:
            nonlocal closed
            closed += 1
            if closed == 1:
                raise StoreUnavailableError
            await close(*given, **more)

        monkeypatch.setattr(runs, "close", dies_first)
        about = {"messages": msgspec.to_builtins([TextMessage(id="u1", role="user", content="hi")])}
        record = await runs.open(thread, run_id="r", agent_name=AGENT, owner="gone", about=about)
        said: list[events.Event] = [
            events.RunStarted(thread_id=thread, run_id="r"),
            events.TextMessageStart(message_id="m1"),
            events.TextMessageContent(message_id="m1", delta="half"),
        ]
        await runs.append(record.key, "gone", 1, said)
        await runs.release(record.key, "gone")
        await until(lambda: is_closed(runtime, thread))
        kept = await runtime.load_agent_state(thread_id=thread, agent_name=AGENT)
        assert kept is not None
        assert [message.id for message in kept.messages] == ["u1", "m1"]
        assert closed == 2


async def test_hooks_are_called_for_a_run_that_is_closed_because_its_process_has_gone(tmp_path: Path) -> None:
    reported = asyncio.Queue[ErrorEvent]()
    runtime = CopilotRuntime(
        providers=[ScriptedProvider()],
        store=f"sqlite:///{tmp_path / 'states.sqlite'}",
        hooks=Hooks(on_error=reported.put),
    )
    async with runtime, asyncio.timeout(20):
        store = runtime.service.archive.store
        record = await store.open("t", run_id="r", agent_name=AGENT, owner="gone", about={})
        await store.release(record.key, "gone")
        report = await reported.get()
        assert isinstance(report.error, errors.RunBrokenOffError)
        assert (report.context.thread_id, report.context.run_id) == ("t", "r")
        assert report.context.agent is not None
        assert report.context.agent.name == AGENT


@pytest.mark.parametrize("url", ["redis"], indirect=True)
async def test_a_run_that_can_be_read_no_longer_ends_for_its_readers_and_for_no_others(
    url: str, processes: tuple[CopilotRuntime, CopilotRuntime], thread: str
) -> None:
    here, there = processes
    broken, whole = f"{thread}-broken", f"{thread}-whole"
    started = [await here.service.start(asked(LONG, each)) for each in (broken, whole)]
    followed = [await attached(there, each) for each in (broken, whole)]
    async with asyncio.timeout(60):
        for handle in followed:
            await reading_until(handle, HALF)
        await overwrite(url, broken, "started", "not a time")
        await started[0].cancel()
        with pytest.raises(ValueError, match="not a time"):
            await rest(followed[0])
        await started[1].cancel()
        assert isinstance((await rest(followed[1]))[-1], events.RunFinished)
    for handle in started:
        handle.close()


async def overwrite(url: str, thread_id: str, field: str, value: str) -> None:
    """Write something else into a field of a thread's first run, as another program might."""
    async with Redis.from_url(url) as client:
        [key] = [key async for key in client.scan_iter(match=f"*:run:{thread_id}:1")]
        await client.hset(key, field, value)


@pytest.mark.parametrize("url", ["redis"], indirect=True)
async def test_a_run_of_which_the_store_has_lost_a_part_is_closed(
    processes: tuple[CopilotRuntime, CopilotRuntime], thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_runs, "MAX_BATCHES", 10)
    here, there = processes
    store = there.service.archive.store
    record = await store.open(thread, run_id="r", agent_name=AGENT, owner="gone")
    for number in range(1, 301):  # the server cuts a stream by a hundred entries or so at a time
        await store.append(record.key, "gone", number, [events.Custom(name=str(number))])
    with pytest.raises(RunCompactedError):
        await store.read(record.key)
    await store.release(record.key, "gone")
    await until(lambda: is_closed(here, thread))
    reader = await here.service.readers.follow(thread)
    assert reader is not None
    assert isinstance((await rest(reader))[-1], events.RunError)
