"""Another process goes on with the runs of one that has gone: real processes, servers and kills."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.integration.stores.test_durability import contents, load
from tests.parity.fold import fold
from tests.parity.servers import Server, Target, ours
from tests.parity.wire import PartReader, ask
from tests.support.agui_client import events_of, run_input, say, types_of, user
from tests.support.agui_client import script as script_of
from tests.support.copies import serving
from tests.support.polling import until
from tests.support.request_bodies import generate, text_message

SHARED = ("sqlite", "redis", "postgres")
LEASE = 4.0
LEASE_OF_MANY = 12.0
"""The lease of processes with ten runs each: on a busy machine a store may answer one of them after five seconds alone,
which would lose its runs before it is killed."""
SLACK = 15.0
"""What the promise adds to the lease."""
WORDS = [f"word{number} " for number in range(12)]
GREETING = "Let me see. "


def target(store_url: str, **settings: str) -> Target:
    app = ours("tests/support/resumable_runtime.py:runtime")
    given = {"store": store_url, "store_lease_seconds": str(LEASE), "on_crash": "resume", **settings}
    return Target("resumable", app.command, {f"COPILOTKIT_{name.upper()}": value for name, value in given.items()})


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """While this file is there, the agents wait in the middle of what they send."""
    file = tmp_path / "gate"
    file.touch()
    return file


@pytest.fixture
def thread() -> str:
    return f"thread-{uuid4()}"


def script(gate: Path, say: Sequence[Any] = WORDS, before: int = 5) -> str:
    return json.dumps({"say": list(say), "gate": str(gate), "before": before})


def kill(server: Server, gate: Path) -> None:
    """Kill a process in the middle of what its agents send; they send the rest elsewhere."""
    os.kill(server.pid, signal.SIGKILL)
    gate.unlink()


def nodes(gate: Path) -> Counter[str]:
    return Counter(Path(f"{gate}.nodes").read_text().split())


async def connect(client: httpx.AsyncClient, url: str, thread: str) -> list[dict[str, Any]]:
    """All that a client gets that opens the thread: the history, and the run that goes on to its end."""
    response = await client.post(f"{url}/agent/graph/connect", json=run_input(thread=thread, run="c"), timeout=90)
    return events_of(response.text)


class Reader:
    """Reads an AG-UI stream as it comes."""

    def __init__(self, client: httpx.AsyncClient, url: str, body: dict[str, Any]) -> None:
        self.events: list[dict[str, Any]] = []
        self.cut = False
        self._task = asyncio.create_task(self._read(client, url, body))

    async def _read(self, client: httpx.AsyncClient, url: str, body: dict[str, Any]) -> None:
        try:
            async with client.stream("POST", url, json=body, timeout=90) as response:
                async for line in response.aiter_lines():
                    if line.startswith("data: "):
                        self.events.append(json.loads(line.removeprefix("data: ")))
        except httpx.HTTPError:
            self.cut = True

    async def until_said(self, *texts: str) -> None:
        async def said() -> bool:
            return set(texts) <= set(spoken(self.events).values())

        await until(said, 60)

    async def join(self) -> None:
        await self._task

    def leave(self) -> None:
        self._task.cancel()


def starting(client: httpx.AsyncClient, server: Server, thread: str, asked: str, run: str = "r") -> Reader:
    body = run_input(user(asked, f"u-{run}"), thread=thread, run=run)
    return Reader(client, f"{server.url}/agent/graph/run", body)


def spoken(events: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The texts of a stream by message id; a message that began twice, or text outside of one, is an error."""
    texts: dict[str, str] = {}
    open_: set[str] = set()
    for event in events:
        match event["type"]:
            case "TEXT_MESSAGE_START":
                assert event["messageId"] not in texts, "shown twice"
                texts[event["messageId"]] = ""
                open_.add(event["messageId"])
            case "TEXT_MESSAGE_CONTENT":
                assert event["messageId"] in open_
                texts[event["messageId"]] += event["delta"]
            case "TEXT_MESSAGE_END":
                open_.remove(event["messageId"])
    return texts


def answered(parts: Sequence[Any]) -> str:
    """The texts of a GraphQL answer so far."""
    messages = fold(parts)["messages"] if parts else []
    return "".join("".join(message["content"]) for message in messages if "content" in message)


def terminal(events: Sequence[dict[str, Any]]) -> list[str]:
    return [type_ for type_ in types_of(list(events)) if type_ in ("RUN_FINISHED", "RUN_ERROR")]


@contextmanager
def two(store_url: str, **settings: str) -> Iterator[tuple[Server, Server]]:
    with serving(target(store_url, **settings)) as first, serving(target(store_url, **settings)) as second:
        yield first, second


@pytest.mark.timeout(300)
@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_a_run_goes_on_in_another_process_and_is_shown_once(url: str, gate: Path, thread: str) -> None:
    async with httpx.AsyncClient(timeout=90) as client:
        with two(url) as (first, second):
            begun = starting(client, first, thread, script(gate))
            elsewhere = None
            await begun.until_said(GREETING, "".join(WORDS[:5]))
            elsewhere = Reader(client, f"{second.url}/agent/graph/connect", run_input(thread=thread, run="c"))
            await elsewhere.until_said(GREETING, "".join(WORDS[:5]))
            killed = monotonic()
            kill(first, gate)
            await begun.join()
            assert begun.cut
            assert terminal(begun.events) == []

            await elsewhere.join()
            assert monotonic() - killed < LEASE + SLACK
            reconnected = await connect(client, second.url, thread)
            for seen in (elsewhere.events, reconnected):
                assert list(spoken(seen).values()) == [GREETING, "".join(WORDS)]
                assert terminal(seen) == ["RUN_FINISHED"]
            assert nodes(gate) == {"greet": 1, "answer": 2}, "what has ended does not run again"

            assert contents(await load(client, second.url, "graph", thread))[1:] == [GREETING, "".join(WORDS)]
            again = await connect(client, second.url, thread)
            assert list(spoken(again).values()) == [GREETING, "".join(WORDS)]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("url", ["postgres"], indirect=True)
async def test_a_graphql_client_waits_for_the_run_and_finds_its_turn_whole(url: str, gate: Path, thread: str) -> None:
    asked = text_message(script(gate), id_="u1")
    async with httpx.AsyncClient(timeout=90) as client:
        with two(url) as (first, second):
            reader = PartReader()
            with suppress(httpx.HTTPError):
                async with client.stream("POST", first.url, json=generate(asked, agent="graph", threadId=thread)) as r:
                    parts: list[Any] = []
                    async for chunk in r.aiter_bytes():
                        parts += reader.feed(chunk)
                        if WORDS[4] in answered(parts):
                            kill(first, gate)
                            break
            assert not reader.finished
            news = text_message(json.dumps({"say": ["next"]}), id_="u2")
            answer = await ask(client, second.url, generate(asked, news, agent="graph", threadId=thread), 90)
            assert fold(answer.parts)["status"]["code"] == "Success"
            said = contents(await load(client, second.url, "graph", thread))
            assert [said[1], said[2], *said[-2:]] == [GREETING, "".join(WORDS), GREETING, "next"]
            assert len(said) == 6


@pytest.mark.timeout(300)
@pytest.mark.parametrize("url", ["redis"], indirect=True)
async def test_a_tool_call_that_broke_off_is_completed_and_not_called_twice(url: str, gate: Path, thread: str) -> None:
    call: list[Any] = [
        {"name": "look", "id": f"call-{thread}"},
        {"args": '{"where":'},
        {"args": '"there"'},
        {"args": "}"},
    ]
    async with httpx.AsyncClient(timeout=90) as client:
        with two(url) as (first, second):
            begun = starting(client, first, thread, script(gate, ["I look. ", *call], before=3))
            await until(lambda: _has(begun, "TOOL_CALL_ARGS"), 60)
            elsewhere = Reader(client, f"{second.url}/agent/graph/connect", run_input(thread=thread, run="c"))
            await until(lambda: _has(elsewhere, "TOOL_CALL_ARGS"), 60)
            kill(first, gate)
            await begun.join()
            await elsewhere.join()
            seen = elsewhere.events
            types = Counter(types_of(seen))
            assert (types["TOOL_CALL_START"], types["TOOL_CALL_END"]) == (1, 1)
            arguments = "".join(each["delta"] for each in seen if each["type"] == "TOOL_CALL_ARGS")
            assert json.loads(arguments) == {"where": "there"}
            assert list(spoken(seen).values()) == [GREETING, "I look. "]
            assert terminal(seen) == ["RUN_FINISHED"]


async def _has(reader: Reader, type_: str) -> bool:
    return type_ in types_of(reader.events)


@pytest.mark.timeout(500)
@pytest.mark.parametrize("on_crash", ["close", "resume"])
@pytest.mark.parametrize("url", ["redis", "postgres"], indirect=True)
async def test_a_kill_in_the_middle_of_twenty_runs_on_two_processes(url: str, on_crash: str, gate: Path) -> None:
    threads = [f"thread-{number}-{uuid4()}" for number in range(20)]
    finished = f"finished-{uuid4()}"
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(timeout=120, limits=limits) as client:
        with two(url, on_crash=on_crash, store_lease_seconds=str(LEASE_OF_MANY)) as servers:
            await starting(client, servers[0], finished, json.dumps({"say": ["whole"]})).join()
            runs = [starting(client, servers[n % 2], thread, script(gate)) for n, thread in enumerate(threads)]
            shown = "".join(WORDS[:5])
            for run in runs:
                await run.until_said(GREETING, shown)
            survivor, lost = servers[1], threads[::2]
            for thread in lost:
                stored = Reader(client, f"{survivor.url}/agent/graph/connect", run_input(thread=thread, run="c"))
                await stored.until_said(GREETING, shown)
                stored.leave()
            killed = monotonic()
            kill(servers[0], gate)
            await asyncio.gather(*(run.join() for run in runs))

            seen = await asyncio.gather(*(connect(client, survivor.url, thread) for thread in lost))
            assert monotonic() - killed < LEASE_OF_MANY + SLACK
            for events in seen:
                texts = list(spoken(events).values())
                if on_crash == "resume":
                    assert (texts, terminal(events)) == ([GREETING, "".join(WORDS)], ["RUN_FINISHED"])
                else:
                    assert (texts, terminal(events)) == ([GREETING, shown], ["RUN_ERROR"])
            for run, thread in list(zip(runs, threads, strict=True))[1::2]:
                assert list(spoken(run.events).values()) == [GREETING, "".join(WORDS)]
                assert terminal(run.events) == ["RUN_FINISHED"]
                assert list(spoken(await connect(client, survivor.url, thread)).values()) == [GREETING, "".join(WORDS)]

            assert contents(await load(client, survivor.url, "graph", finished))[1:] == [GREETING, "whole"]
            news = [starting(client, survivor, thread, json.dumps({"say": ["next"]}), run="n") for thread in lost]
            await asyncio.gather(*(run.join() for run in news))
            assert [list(spoken(run.events).values()) for run in news] == [[GREETING, "next"]] * len(lost)
            assert [terminal(run.events) for run in news] == [["RUN_FINISHED"]] * len(lost)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("url", ["redis", "postgres"], indirect=True)
async def test_a_process_that_is_stopped_hands_its_runs_over_at_once(url: str, gate: Path) -> None:
    going_on, ending, refused = (f"{name}-{uuid4()}" for name in ("going-on", "ending", "refused"))
    settings = {"shutdown_grace_seconds": "2", "store_lease_seconds": "60"}
    async with httpx.AsyncClient(timeout=120) as client:
        with two(url, **settings) as (first, second):
            handed_over = starting(client, first, going_on, script(gate))
            await handed_over.until_said(GREETING, "".join(WORDS[:5]))
            slow = [{**step, "after": 0.3} for step in say("slow")]
            body = run_input(script_of(*slow, {"hang": True}), thread=ending, run="r")
            closed = Reader(client, f"{first.url}/agent/scripted/run", body)
            await closed.until_said("slow")
            os.kill(first.pid, signal.SIGTERM)
            told = monotonic()
            await asyncio.gather(handed_over.join(), closed.join())
            ended = monotonic() - told
            assert ended >= 2, "runs have the time of grace"
            assert [event["code"] for event in handed_over.events if event["type"] == "RUN_ERROR"] == [
                "RUN_HANDED_OVER"
            ]
            assert terminal(closed.events) == ["RUN_ERROR"]

            elsewhere = Reader(client, f"{second.url}/agent/graph/connect", run_input(thread=going_on, run="c"))
            taken_over = until(lambda: _nodes_are(gate, {"greet": 1, "answer": 2}), 10)
            await taken_over
            assert monotonic() - told < ended + SLACK, "long before the lease of the process is over"
            await asyncio.to_thread(gate.unlink)
            await elsewhere.join()
            assert list(spoken(elsewhere.events).values()) == [GREETING, "".join(WORDS)]
            assert terminal(elsewhere.events) == ["RUN_FINISHED"]
            past = await client.post(f"{second.url}/agent/scripted/connect", json=run_input(thread=ending, run="c"))
            assert list(spoken(events_of(past.text)).values()) == ["slow"]
            assert len(terminal(events_of(past.text))) == 1
            with pytest.raises(httpx.HTTPError):
                await client.post(f"{first.url}/agent/graph/run", json=run_input(user("{}"), thread=refused))


async def _nodes_are(gate: Path, expected: dict[str, int]) -> bool:
    return await asyncio.to_thread(nodes, gate) == expected
