"""``ag-ui-validate`` finds no fault in what clients get, whether they run an agent or connect to its thread."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from ag_ui_validate.pytest_plugin import assert_valid_agui

from copilotkit_runtime import CopilotRuntime
from tests.support.agui_client import connect, run, run_input, say, script, types_of, user
from tests.support.local_server import client_of
from tests.support.scripted_agent import AGENT, ScriptedProvider


def sent(*events: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of an agent that sends events."""
    return [{"event": event} for event in events]


def call(id_: str = "c", args: str = '{"city": "Rome"}') -> list[dict[str, Any]]:
    """The steps of an agent that calls a tool."""
    return sent(
        {"type": "TOOL_CALL_START", "toolCallId": id_, "toolCallName": "weather"},
        {"type": "TOOL_CALL_ARGS", "toolCallId": id_, "delta": args[:5]},
        {"type": "TOOL_CALL_ARGS", "toolCallId": id_, "delta": args[5:]},
        {"type": "TOOL_CALL_END", "toolCallId": id_},
    )


RESULT = sent({"type": "TOOL_CALL_RESULT", "messageId": "t", "toolCallId": "c", "content": "sunny"})
STATE = sent(
    {"type": "STATE_SNAPSHOT", "snapshot": {"n": 1}},
    {"type": "STATE_DELTA", "delta": [{"op": "replace", "path": "/n", "value": 2}]},
)
REASONING = sent(
    {"type": "REASONING_START", "messageId": "r"},
    {"type": "REASONING_MESSAGE_START", "messageId": "r", "role": "reasoning"},
    {"type": "REASONING_MESSAGE_CONTENT", "messageId": "r", "delta": "Well."},
    {"type": "REASONING_MESSAGE_END", "messageId": "r"},
    {"type": "REASONING_END", "messageId": "r"},
)
ACTIVITY = sent(
    {"type": "ACTIVITY_SNAPSHOT", "messageId": "p", "activityType": "plan", "content": {"steps": []}},
    {
        "type": "ACTIVITY_DELTA",
        "messageId": "p",
        "activityType": "plan",
        "patch": [{"op": "add", "path": "/steps/-", "value": "go"}],
    },
)
STEP = sent({"type": "STEP_STARTED", "stepName": "look"}), sent({"type": "STEP_FINISHED", "stepName": "look"})
QUESTION = sent({"type": "CUSTOM", "name": "on_interrupt", "value": "Go on?"})
CHUNKS = sent(
    {"type": "TEXT_MESSAGE_CHUNK", "messageId": "a", "role": "assistant", "delta": "so "},
    {"type": "TEXT_MESSAGE_CHUNK", "delta": "far"},
    {"type": "TOOL_CALL_CHUNK", "toolCallId": "c", "toolCallName": "weather", "delta": "{}"},
)
RUNS: dict[str, list[dict[str, Any]]] = {
    "text": say("Hello."),
    "tool call": [*say("Let me look."), *call(), *RESULT, *say("Sunny.", "b")],
    "call of the client's": call(),
    "parallel calls": [*call("c"), *call("d"), *RESULT],
    "interleaved calls": [call("c")[0], call("d")[0], *call("c")[1:], *call("d")[1:]],
    "state": [*STATE, *say("Done.")],
    "reasoning": [*REASONING, *say("So.")],
    "activity": ACTIVITY,
    "steps": [*STEP[0], *say("Hello."), *STEP[1]],
    "question": [*say("Wait."), *QUESTION],
    "chunks": CHUNKS,
    "nothing": [],
    "open text": say("so far")[:-1],
    "open call": call()[:-1],
    "open step": STEP[0],
    "open reasoning": REASONING[:3],
    "failure": [{"raise": "secret"}],
    "failure in a text": [*say("so far")[:-1], {"raise": "secret"}],
    "failure in a call": [*call()[:-1], {"raise": "secret"}],
    "result of an open call": [*call()[:-1], *RESULT],
    "content of nothing": say("lost")[1:],
    "end of nothing": call()[3:],
    "text twice": [*say("one"), *say("two")],
    "second start": [say("")[0], *say("one")],
    "messages": sent(
        {"type": "MESSAGES_SNAPSHOT", "messages": [user("hi"), {"id": "m", "role": "assistant", "content": "Hello."}]}
    ),
}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(CopilotRuntime([ScriptedProvider()])) as client:
        yield client


@pytest.mark.parametrize("steps", RUNS.values(), ids=RUNS)
async def test_the_published_rules_are_kept(client: httpx.AsyncClient, steps: list[dict[str, Any]]) -> None:
    answered = await run(client, AGENT, run_input(script(*steps)))
    assert types_of(answered)[-1] in ("RUN_FINISHED", "RUN_ERROR")
    assert_valid_agui(answered, max_warnings=0)
    assert_valid_agui(await connect(client, AGENT), max_warnings=0)
