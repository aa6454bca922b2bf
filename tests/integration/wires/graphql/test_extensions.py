"""The contract's ``extensions``: what clients send reaches the provider, and what it reports reaches the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from tests.parity.fold import fold
from tests.parity.wire import ask
from tests.support.local_server import PATH, client_of
from tests.support.request_bodies import generate, text_message

WHOLE = """mutation ($data: GenerateCopilotResponseInput!) {
  generateCopilotResponse(data: $data) { threadId extensions { openaiAssistantAPI { threadId runId } } }
}"""


class Counting(AgentProvider):
    """Keeps a count with the page: each run sends the next number."""

    name = "counting"
    reports_extensions = True

    def __init__(self, told: Any = None, *, silent: bool = False, fails: bool = False) -> None:
        self._told = told
        self._silent = silent
        self._fails = fails

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="counter")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        known = run.extensions.get("openaiAssistantAPI", {}).get("runId") or "0"
        await asyncio.sleep(0)
        if self._fails:
            raise ValueError("nothing to count")
        if not self._silent:
            yield events.Custom(name=events.EXTENSIONS, value=self._told or counted(str(int(known) + 1)))
        yield events.TextMessageStart(message_id="answer")
        yield events.TextMessageContent(message_id="answer", delta=known)
        yield events.TextMessageEnd(message_id="answer")


class Second(Counting):
    """Reports its extensions behind something else, at once or some turns of the loop later."""

    def __init__(self, turns: int) -> None:
        super().__init__()
        self._turns = turns

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        yield events.StepStarted(step_name="count")
        for _ in range(self._turns):
            await asyncio.sleep(0)
        yield events.Custom(name=events.EXTENSIONS, value=counted("1"))
        yield events.StepFinished(step_name="count")


class Late(Counting):
    """Reports its extensions without having said that it would."""

    reports_extensions = False


def counted(number: str) -> dict[str, Any]:
    return {"openaiAssistantAPI": {"threadId": "count", "runId": number}}


async def answer_of(provider: AgentProvider, **more: Any) -> Any:
    async with client_of(CopilotRuntime(providers=[provider], store="memory://")) as client:
        answer = await ask(client, PATH, generate(text_message("hi"), agent="counter", **more))
    assert answer.complete
    return fold(answer.parts)


def told_by(answer: Any) -> Any:
    """What an answer has for the next request, which does not take type names."""
    assistant = answer["extensions"]["openaiAssistantAPI"]
    return {"openaiAssistantAPI": {key: value for key, value in assistant.items() if key != "__typename"}}


async def test_what_a_provider_reports_comes_back_with_the_next_request() -> None:
    first = await answer_of(Counting())
    assert told_by(first) == counted("1")
    second = await answer_of(Counting(), extensions=told_by(first))
    assert told_by(second) == counted("2")
    assert second["messages"][0]["content"] == ["1"]


async def test_they_are_in_the_first_part_of_the_answer() -> None:
    async with client_of(CopilotRuntime(providers=[Counting()], store="memory://")) as client:
        answer = await ask(client, PATH, generate(text_message("hi"), agent="counter"))
    assert told_by(answer.parts[0]["data"]["generateCopilotResponse"]) == counted("1")


async def test_an_answer_in_one_piece_has_them_too() -> None:
    async with client_of(CopilotRuntime(providers=[Counting()], store="memory://")) as client:
        body = generate(text_message("hi"), agent="counter") | {"query": WHOLE, "operationName": None}
        response = await client.post(PATH, json=body)
    assert response.json() == {
        "data": {"generateCopilotResponse": {"threadId": "t-1", "extensions": counted("1")}},
    }


@pytest.mark.parametrize("told", [{"other": {}}, {"openaiAssistantAPI": "x"}, ["x"], "x"])
async def test_what_the_contract_has_no_place_for_is_left_out(told: Any) -> None:
    answer = await answer_of(Counting(told))
    assert answer["extensions"] is None
    assert answer["status"]["code"] == "Success"


async def test_ids_of_another_type_are_sent_as_text() -> None:
    answer = await answer_of(Counting({"openaiAssistantAPI": {"threadId": {"id": 1}, "runId": 2}}))
    assert told_by(answer) == {"openaiAssistantAPI": {"threadId": '{"id":1}', "runId": "2"}}


async def test_a_provider_may_have_nothing_to_report() -> None:
    assert (await answer_of(Counting(silent=True)))["extensions"] is None


async def test_a_run_that_fails_first_is_answered_without_them() -> None:
    answer = await answer_of(Counting(fails=True))
    assert answer["extensions"] is None
    assert answer["status"]["code"] == "Failed"


@pytest.mark.parametrize("turns", [0, 20])
async def test_those_that_do_not_come_first_are_left_out(turns: int) -> None:
    answer = await answer_of(Second(turns))
    assert answer["extensions"] is None
    assert answer["status"]["code"] == "Success"


async def test_a_provider_that_did_not_declare_it_is_not_waited_for() -> None:
    answer = await answer_of(Late())
    assert answer["extensions"] is None
    assert answer["messages"][0]["content"] == ["0"]
