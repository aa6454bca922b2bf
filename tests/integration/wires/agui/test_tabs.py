"""What becomes of a run when its client's connection is cut, its turn is sent twice, or tabs share it or sleep."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.runtime.runs.log import TAIL_EVENTS
from tests.parity.wire import ask
from tests.support.agui_client import events_of, run_input, types_of, user
from tests.support.local_server import PATH, client_of
from tests.support.polling import until
from tests.support.request_bodies import generate, text_message

SLEPT_TOKENS = 1_800
"""A minute at 30 tokens a second: more than the log keeps one by one."""
PATIENCE = 60.0


class Talker(AgentProvider):
    """Sends as many words as it is asked for: some at once, the others when the test lets it."""

    name = "talker"

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.paused = asyncio.Event()
        self.runs: Counter[str] = Counter()
        self.at_once = 0
        self.names_each_anew = False
        self.given: list[str] = []

    async def list_agents(self) -> list[AgentDescriptor]:
        """Return the one agent."""
        return [AgentDescriptor(name="talker")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncIterator[events.Event]:
        """Say the words; count how many runs go on at once."""
        self.runs[run.run_id] += 1
        self.given = [message.id for message in run.messages]
        self.at_once += 1
        try:
            id_ = f"answer-to-{run.messages[-1].id}"
            if self.names_each_anew:
                id_ += f"-{self.runs.total()}"
            yield events.TextMessageStart(message_id=id_)
            yield events.TextMessageContent(message_id=id_, delta="so far ")
            self.paused.set()
            await self.go_on.wait()
            for number in range(SLEPT_TOKENS):
                yield events.TextMessageContent(message_id=id_, delta=f"{number} ")
            yield events.TextMessageEnd(message_id=id_)
        finally:
            self.at_once -= 1


WHOLE = "so far " + "".join(f"{number} " for number in range(SLEPT_TOKENS))


async def until_two_runs(runtime: CopilotRuntime) -> None:
    """Wait until a second run waits for the first."""

    async def both() -> bool:
        return runtime.service.active_runs == 2

    await until(both, PATIENCE)


@pytest.fixture
def talker() -> Talker:
    return Talker()


@pytest.fixture
async def client(talker: Talker) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(CopilotRuntime(providers=[talker])) as client:
        client.timeout = httpx.Timeout(PATIENCE)
        yield client


def body(run: str = "r", message: str = "u1", text: str = "Go on.") -> dict[str, Any]:
    return run_input(user(text, message), thread="t", run=run)


def texts(seen: list[dict[str, Any]]) -> dict[str, str]:
    """The texts of a stream; one that begins twice is an error."""
    found: dict[str, str] = {}
    for event in seen:
        if event["type"] == "TEXT_MESSAGE_START":
            assert event["messageId"] not in found, "shown twice"
            found[event["messageId"]] = ""
        elif event["type"] == "TEXT_MESSAGE_CONTENT":
            found[event["messageId"]] += event["delta"]
    return found


async def run(client: httpx.AsyncClient, **given: str) -> list[dict[str, Any]]:
    return events_of((await client.post(f"{PATH}/agent/talker/run", json=body(**given))).text)


async def connect(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    response = await client.post(f"{PATH}/agent/talker/connect", json=run_input(thread="t", run="c"))
    return events_of(response.text)


@asynccontextmanager
async def proxy(origin: str) -> AsyncIterator[tuple[str, list[asyncio.StreamWriter]]]:
    """A proxy for bytes; gives its origin, and its connections with clients, which the test may cut."""
    host, _, port = origin.removeprefix("http://").partition(":")
    connections: list[asyncio.StreamWriter] = []
    tasks: set[asyncio.Task[None]] = set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        to_server, from_server = await asyncio.open_connection(host, int(port))
        for one, other in ((reader, from_server), (to_server, writer)):
            task = asyncio.create_task(pass_on(one, other))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections
    finally:
        server.close()
        for writer in connections:
            writer.transport.abort()
        if tasks:
            await asyncio.wait(tasks, timeout=PATIENCE)


async def run_until_cut(through: httpx.AsyncClient, origin: str, connections: list[asyncio.StreamWriter]) -> None:
    """Run the agent, and cut the connection once it has sent something."""
    async with through.stream("POST", f"{origin}{PATH}/agent/talker/run", json=body(), timeout=PATIENCE) as cut:
        async for piece in cut.aiter_text():
            if "so far" in piece:
                for writer in connections:
                    writer.transport.abort()


async def test_a_run_outlives_a_connection_that_a_proxy_cuts_and_is_joined_again(
    client: httpx.AsyncClient, talker: Talker
) -> None:
    async with proxy(str(client.base_url).rstrip("/")) as (origin, connections), httpx.AsyncClient() as through:
        with pytest.raises(httpx.HTTPError):
            await run_until_cut(through, origin, connections)
    joined = asyncio.create_task(connect(client))
    talker.go_on.set()
    seen = await joined
    assert texts(seen) == {"answer-to-u1": WHOLE}
    assert types_of(seen)[-1] == "RUN_FINISHED"
    assert talker.runs == {"r": 1}


async def test_a_turn_that_is_submitted_twice_at_once_is_kept_once(client: httpx.AsyncClient, talker: Talker) -> None:
    talker.go_on.set()
    both = await asyncio.gather(run(client), run(client))
    assert [types_of(seen)[-1] for seen in both] == ["RUN_FINISHED"] * 2
    kept = await connect(client)
    assert texts(kept) == {"answer-to-u1": WHOLE}
    assert json.dumps(kept).count('"Go on."') == 1, "the user's message is there once"


async def test_a_turn_that_is_submitted_twice_has_the_second_answer_where_each_has_an_id_of_its_own(
    talker: Talker,
) -> None:
    talker.names_each_anew = True
    runtime = CopilotRuntime(providers=[talker])
    async with client_of(runtime) as client:
        client.timeout = httpx.Timeout(PATIENCE)
        both = [asyncio.create_task(run(client)) for _ in range(2)]
        await talker.paused.wait()

        await until_two_runs(runtime)
        talker.go_on.set()
        await asyncio.gather(*both)
        assert texts(await connect(client)) == {"answer-to-u1-2": WHOLE}
        kept = await runtime.load_agent_state(thread_id="t", agent_name="talker")
        assert kept is not None
        assert [message.id for message in kept.messages] == ["u1", "answer-to-u1-2"]


async def test_a_follow_up_that_is_sent_while_an_answer_is_written_leaves_it_whole(talker: Talker) -> None:
    runtime = CopilotRuntime(providers=[talker])
    async with client_of(runtime) as client:
        client.timeout = httpx.Timeout(PATIENCE)
        first = asyncio.create_task(run(client))
        await talker.paused.wait()
        so_far = {"id": "answer-to-u1", "role": "assistant", "content": "so far "}
        asked = run_input(user("Go on.", "u1"), so_far, user("And then?", "u2"), thread="t", run="r2")
        second = asyncio.create_task(client.post(f"{PATH}/agent/talker/run", json=asked))
        await until_two_runs(runtime)
        talker.go_on.set()
        await asyncio.gather(first, second)
        kept = await runtime.load_agent_state(thread_id="t", agent_name="talker")
    assert kept is not None
    contents = [message.content for message in kept.messages if isinstance(message, TextMessage)]
    assert contents == ["Go on.", WHOLE, "And then?", WHOLE]


async def test_two_tabs_of_one_thread_take_turns_and_both_find_all_of_it(
    client: httpx.AsyncClient, talker: Talker
) -> None:
    first = asyncio.create_task(run(client, run="r1", message="u1"))
    await talker.paused.wait()
    second = asyncio.create_task(run(client, run="r2", message="u2"))
    watching = asyncio.create_task(connect(client))
    await asyncio.wait([second], timeout=0.3)
    assert talker.at_once == 1
    talker.go_on.set()
    seen = await asyncio.gather(first, second)
    assert [texts(each)[f"answer-to-u{number}"] for number, each in enumerate(seen, start=1)] == [WHOLE] * 2
    await watching
    kept = texts(await connect(client))
    assert {id_: kept[id_] for id_ in ("answer-to-u1", "answer-to-u2")} == {
        "answer-to-u1": WHOLE,
        "answer-to-u2": WHOLE,
    }


async def test_a_tab_that_sends_while_another_is_answered_takes_nothing_back(talker: Talker) -> None:
    runtime = CopilotRuntime(providers=[talker])
    async with client_of(runtime) as client:
        client.timeout = httpx.Timeout(PATIENCE)
        talker.go_on.set()
        await run(client, run="r0", message="u0")
        talker.go_on.clear()
        talker.paused.clear()
        first = asyncio.create_task(run(client, run="r1", message="u1"))
        await talker.paused.wait()
        second = asyncio.create_task(run(client, run="r2", message="u2"))
        await until_two_runs(runtime)
        talker.go_on.set()
        await asyncio.gather(first, second)
        earlier = ["u0", "answer-to-u0", "u1", "answer-to-u1", "u2"]
        assert talker.given == earlier
        kept = await runtime.load_agent_state(thread_id="t", agent_name="talker")
    assert kept is not None
    assert [message.id for message in kept.messages] == [*earlier, "answer-to-u2"]


@pytest.mark.parametrize("store", ["memory://", "sqlite"])
async def test_a_tab_of_graphql_that_sends_while_another_is_answered_takes_nothing_back(
    talker: Talker, store: str, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'kept.db'}" if store == "sqlite" else store
    runtime = CopilotRuntime(providers=[talker], store=url)
    async with client_of(runtime) as client:
        client.timeout = httpx.Timeout(PATIENCE)
        talker.go_on.set()
        known = [text_message("Hello.", id_="u0"), text_message(WHOLE, role="assistant", id_="answer-to-u0")]
        await ask(client, PATH, _asked(known[0]))
        talker.go_on.clear()
        talker.paused.clear()
        first = asyncio.create_task(ask(client, PATH, _asked(*known, text_message("One.", id_="u1"))))
        await asyncio.wait_for(talker.paused.wait(), PATIENCE)
        second = asyncio.create_task(ask(client, PATH, _asked(*known, text_message("Two.", id_="u2"))))
        await until_two_runs(runtime)
        talker.go_on.set()
        await asyncio.wait_for(asyncio.gather(first, second), PATIENCE)
        kept = await runtime.load_agent_state(thread_id="t", agent_name="talker")
    ids = ["u0", "answer-to-u0", "u1", "answer-to-u1", "u2", "answer-to-u2"]
    assert kept is not None
    assert [message.id for message in kept.messages] == ids


def _asked(*messages: dict[str, Any]) -> dict[str, Any]:
    return generate(*messages, agent="talker", threadId="t")


async def test_a_tab_that_was_asleep_for_a_minute_finds_what_it_missed(
    client: httpx.AsyncClient, talker: Talker
) -> None:
    assert SLEPT_TOKENS > 2 * TAIL_EVENTS
    running = asyncio.create_task(run(client))
    await talker.paused.wait()
    address = f"{PATH}/agent/talker/connect"
    async with client.stream("POST", address, json=run_input(thread="t", run="c")) as asleep:
        pieces = asleep.aiter_text()
        text = ""
        while "so far" not in text:
            text += await anext(pieces)
        talker.go_on.set()
        assert types_of(await running)[-1] == "RUN_FINISHED"
        text += "".join([piece async for piece in pieces])
    seen = events_of(text)
    assert texts(seen) == {"answer-to-u1": WHOLE}
    assert types_of(seen)[-1] == "RUN_FINISHED"
