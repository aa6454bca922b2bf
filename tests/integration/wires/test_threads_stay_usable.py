"""One message that a run cannot take does not make the thread unusable: clients send it again with every turn."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx
import pytest

from copilotkit_runtime import (
    AgentDescriptor,
    AgentProvider,
    CopilotRuntime,
    RunContext,
    RunInput,
    RuntimeConfig,
    events,
)
from copilotkit_runtime.runtime.messages import ImageMessage, Message, TextMessage, ToolCallMessage, ToolResultMessage
from tests.parity.wire import ask
from tests.support.agui_client import PATH, connect, run, run_input, types_of, user
from tests.support.local_server import client_of
from tests.support.request_bodies import CREATED_AT, generate, text_message

LIMIT = 5000
CONFIG = RuntimeConfig(max_message_bytes=LIMIT, max_body_bytes=12_000, max_messages=20)
LONG = "é" * 6000
CUT = f"[The rest is left out: this has {len(LONG.encode())} bytes, and the limit is {LIMIT} bytes.]"
AUDIO = {"type": "audio", "source": {"type": "data", "value": "UklGRg==", "mimeType": "audio/wav"}}


class Listener(AgentProvider):
    """Keeps what it was given, and answers."""

    name = "listener"

    def __init__(self) -> None:
        self.given: list[Message] = []

    async def list_agents(self) -> list[AgentDescriptor]:
        """The one agent."""
        return [AgentDescriptor(name="listener")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Listens."""
        self.given = list(run.messages)
        yield events.TextMessageStart(message_id=f"said-{run.run_id}")
        yield events.TextMessageContent(message_id=f"said-{run.run_id}", delta="ok")
        yield events.TextMessageEnd(message_id=f"said-{run.run_id}")

    def texts(self) -> list[str]:
        """All that was given, as texts."""
        return [text for message in self.given if (text := _text(message)) is not None]


def _text(message: Message) -> str | None:
    match message:
        case TextMessage():
            return message.content
        case ToolResultMessage():
            return message.result
        case ToolCallMessage():
            return str(message.arguments)
    return None


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
async def client(listener: Listener) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(CopilotRuntime(providers=[listener], model=listener, config=CONFIG)) as client:
        yield client


def called(arguments: str = "{}") -> dict[str, Any]:
    """An assistant's message with a call of a tool of the client's."""
    call = {"id": "c", "type": "function", "function": {"name": "read_page", "arguments": arguments}}
    return {"id": "a", "role": "assistant", "toolCalls": [call]}


def result(text: str) -> dict[str, Any]:
    return {"id": "r", "role": "tool", "toolCallId": "c", "content": text}


async def test_a_long_result_of_a_client_s_tool_reaches_the_agent_cut(
    client: httpx.AsyncClient, listener: Listener
) -> None:
    thread = [user("read", "u1"), called(), result(LONG)]
    answered = await run(client, "listener", run_input(*thread, run="r1"))
    assert types_of(answered)[-1] == "RUN_FINISHED"
    cut = listener.texts()[2]
    assert cut.endswith(CUT)
    assert cut.startswith("é" * 1000)
    assert len(cut.encode()) <= LIMIT
    await run(client, "listener", run_input(*thread, user("and now?", "u2"), run="r2"))
    assert listener.texts()[2] == cut
    assert listener.texts()[-1] == "and now?"
    past = await connect(client, "listener")
    assert LONG not in str(past)
    assert CUT in str(past)


async def test_a_long_result_reaches_an_agent_of_graphql_s_clients_cut(
    client: httpx.AsyncClient, listener: Listener
) -> None:
    call = {"name": "read_page", "arguments": "{}"}
    answer = {"actionExecutionId": "c", "actionName": "read_page", "result": LONG}
    thread = [
        text_message("read", id_="u1"),
        {"id": "c", "createdAt": CREATED_AT, "actionExecutionMessage": call},
        {"id": "r", "createdAt": CREATED_AT, "resultMessage": answer},
    ]
    for agent in ("listener", None):
        for more in ([], [text_message("and now?", id_="u2")]):
            await ask(client, PATH, generate(*thread, *more, agent=agent))
            assert any(text.endswith(CUT) for text in listener.texts())
            assert LONG not in listener.texts()


async def test_what_a_person_has_just_sent_is_refused_and_not_cut(
    client: httpx.AsyncClient, listener: Listener
) -> None:
    thread = [user(LONG, "u1")]
    refused = await client.post(f"{PATH}/agent/listener/run", json=run_input(*thread))
    assert (refused.status_code, refused.json()["error"]) == (413, "payload_too_large")
    by_graphql = await client.post(PATH, json=generate(text_message(LONG), agent="listener"))
    assert by_graphql.status_code == 413
    assert listener.given == []
    await run(client, "listener", run_input(*thread, user("shorter", "u2")))
    assert listener.texts()[-1] == "shorter"
    assert listener.texts()[0].endswith(CUT)
    await ask(client, PATH, generate(text_message(LONG), text_message("shorter", id_="m-2"), agent="listener"))
    assert listener.texts()[-1] == "shorter"


async def test_instructions_that_are_too_long_are_refused(client: httpx.AsyncClient) -> None:
    instructions = {"id": "s", "role": "system", "content": LONG}
    refused = await client.post(f"{PATH}/agent/listener/run", json=run_input(instructions, user("hi")))
    assert refused.status_code == 413
    asked = generate(text_message(LONG, "system", "s"), text_message("hi"), agent="listener")
    assert (await client.post(PATH, json=asked)).status_code == 413


async def test_long_arguments_of_a_call_are_left_out_of_later_turns(
    client: httpx.AsyncClient, listener: Listener
) -> None:
    thread = [user("write", "u1"), called(f'{{"text":"{LONG}"}}'), result("done"), user("more", "u2")]
    answered = await run(client, "listener", run_input(*thread))
    assert types_of(answered)[-1] == "RUN_FINISHED"
    assert "left_out" in listener.texts()[1]
    assert LONG not in listener.texts()[1]


async def test_a_client_with_a_long_message_may_connect(client: httpx.AsyncClient) -> None:
    body = run_input(user(LONG, "u1"), thread="new")
    answer = await client.post(f"{PATH}/agent/listener/connect", json=body)
    assert (answer.status_code, answer.text) == (200, "")


async def test_a_thread_may_grow_beyond_what_one_request_may_bring(
    client: httpx.AsyncClient, listener: Listener
) -> None:
    for turn in range(CONFIG.max_messages):
        answered = await run(client, "listener", run_input(user(f"turn {turn}", f"u{turn}"), run=f"r{turn}"))
        assert types_of(answered)[-1] == "RUN_FINISHED"
    assert len(listener.given) <= CONFIG.max_messages
    assert listener.texts()[-1] == f"turn {CONFIG.max_messages - 1}"
    assert listener.texts()[0].startswith("turn")


async def test_an_attachment_that_was_refused_does_not_refuse_the_next_message(
    client: httpx.AsyncClient, listener: Listener
) -> None:
    attached = {"id": "u1", "role": "user", "content": [{"type": "text", "text": "hear this"}, AUDIO]}
    refused = await run(client, "listener", run_input(attached, run="r1"))
    assert refused[-1]["type"] == "RUN_ERROR"
    assert "audio/wav" in refused[-1]["message"]
    answered = await run(client, "listener", run_input(attached, user("never mind", "u2"), run="r2"))
    assert types_of(answered)[-1] == "RUN_FINISHED"
    assert listener.texts() == ["hear this", "[audio of type audio/wav: left out, as it cannot be read]", "never mind"]
    await run(client, "listener", run_input(user("after a reload", "u3"), run="r3"))
    assert listener.texts()[-1] == "after a reload"


class Looker(Listener):
    """Takes pictures."""

    takes = frozenset({"image"})


@pytest.mark.parametrize("whole", [False, True])
async def test_a_thread_may_grow_beyond_what_is_kept_of_it(*, whole: bool) -> None:
    looker, config = Looker(), RuntimeConfig(store_max_bytes=10_000)
    thread: list[dict[str, Any]] = []
    async with client_of(CopilotRuntime(providers=[looker], config=config)) as client:
        for turn in range(8):
            picture = {"type": "image", "source": {"type": "data", "value": str(turn) * 4000, "mimeType": "image/png"}}
            said = {"id": f"u{turn}", "role": "user", "content": [{"type": "text", "text": f"turn {turn}"}, picture]}
            thread.append(said)
            answered = await run(client, "listener", run_input(*(thread if whole else [said]), run=f"r{turn}"))
            assert types_of(answered)[-1] == "RUN_FINISHED"
            assert f"turn {turn}" in looker.texts()
            assert isinstance(looker.given[-1], ImageMessage)
            thread.append({"id": f"said-r{turn}", "role": "assistant", "content": "ok"})
    assert {"turn 0", "turn 6"} <= set(looker.texts())
    assert whole or "[image of type image/png: no longer kept]" in looker.texts()


async def test_a_thread_of_texts_may_grow_beyond_what_is_kept_of_it() -> None:
    listener, config = Listener(), RuntimeConfig(store_max_bytes=10_000)
    async with client_of(CopilotRuntime(providers=[listener], config=config)) as client:
        for turn in range(8):
            said = user(f"turn {turn} " + "x" * 2000, f"u{turn}")
            assert types_of(await run(client, "listener", run_input(said, run=f"r{turn}")))[-1] == "RUN_FINISHED"
    kept = [text.split()[1] for text in listener.texts() if text.startswith("turn")]
    assert kept == [str(number) for number in range(int(kept[0]), 8)]
    assert 3 <= len(kept) < 8


async def test_a_message_that_does_not_fit_into_what_is_kept_is_an_error_and_the_thread_goes_on() -> None:
    listener, config = Listener(), RuntimeConfig(store_max_bytes=10_000)
    async with client_of(CopilotRuntime(providers=[listener], config=config)) as client:
        await run(client, "listener", run_input(user("hi", "u1"), run="r1"))
        refused = await run(client, "listener", run_input(user("x" * 11_000, "u2"), run="r2"))
        assert refused[-1]["type"] == "RUN_ERROR"
        assert "the limit is 10000 bytes" in refused[-1]["message"]
        answered = await run(client, "listener", run_input(user("shorter", "u3"), run="r3"))
    assert types_of(answered)[-1] == "RUN_FINISHED"
