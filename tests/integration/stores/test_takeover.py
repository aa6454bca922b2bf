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
from tests.parity.servers import Server, Target, ours, serving
from tests.parity.wire import PartReader, ask
from tests.support.agui_client import events_of, run_input, types_of, user
from tests.support.polling import until
from tests.support.request_bodies import generate, text_message

SHARED = ("sqlite", "redis", "postgres")
LEASE = 4.0
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
    """While this file is there, the agents wait in the middle of what they say."""
    file = tmp_path / "gate"
    file.touch()
    return file


@pytest.fixture
def thread() -> str:
    return f"thread-{uuid4()}"


def script(gate: Path, say: Sequence[Any] = WORDS, before: int = 5) -> str:
    return json.dumps({"say": list(say), "gate": str(gate), "before": before})


def kill(server: Server, gate: Path) -> None:
    """Kill a process in the middle of what its agents say; they say the rest elsewhere."""
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


@pytest.mark.timeout(180)
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


@pytest.mark.timeout(180)
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


@pytest.mark.timeout(180)
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
