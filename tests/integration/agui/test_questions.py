"""Questions of AG-UI agents in the standard form, and the answers of clients of all ages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from copilotkit_runtime import CopilotRuntime, RuntimeConfig
from copilotkit_runtime.providers.agui import AGUIProvider
from tests.support.agui_client import connect, run, run_input
from tests.support.local_server import client_of, served

COLOUR = {"id": "i-1", "reason": "input", "message": "Which colour?"}
SIZE = {"id": "i-2", "reason": "input", "message": "Which size?"}
BOTH = [COLOUR, SIZE]


class Asker:
    """An agent that asks, and keeps what it is answered."""

    def __init__(self, *asked: dict[str, Any]) -> None:
        self._outcome = {"type": "interrupt", "interrupts": list(asked)}
        self.answers: Any = None
        self.command: Any = None

    async def answer(self, request: Request) -> Response:
        given = await request.json()
        self.answers = given.get("resume")
        self.command = given["forwardedProps"].get("command")
        ids = {"threadId": given["threadId"], "runId": given["runId"]}
        outcome = {} if self.answers else {"outcome": self._outcome}
        events = [{"type": "RUN_STARTED", **ids}, {"type": "RUN_FINISHED", **ids, **outcome}]
        return Response("".join(f"data: {json.dumps(event)}\n\n" for event in events), media_type="text/event-stream")

    @asynccontextmanager
    async def client(self, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
        async with served(Starlette(routes=[Route("/", self.answer, methods=["POST"])])) as origin:
            runtime = CopilotRuntime(providers=[AGUIProvider({"asker": origin})], config=RuntimeConfig(**settings))
            async with client_of(runtime) as client:
                yield client


def resolved(**payloads: Any) -> list[dict[str, Any]]:
    ids = {"colour": "i-1", "size": "i-2"}
    return [{"interruptId": ids[name], "status": "resolved", "payload": value} for name, value in payloads.items()]


def legacy(answer: Any, **more: Any) -> dict[str, Any]:
    """What pages send with the default setting; those before 1.54 do not repeat the question."""
    return {"forwardedProps": {"command": {"resume": answer, **more}}}


REST_CANCELLED = [*resolved(colour="red"), {"interruptId": "i-2", "status": "cancelled"}]
TWO = [
    (legacy(["red", 7], interruptEvent=BOTH), resolved(colour="red", size=7)),
    (legacy(["red", 7]), resolved(colour="red", size=7)),
    (legacy("red"), REST_CANCELLED),
    ({"resume": resolved(size=7, colour="red")}, resolved(size=7, colour="red")),
    (
        {"resume": [{**each, "interruptId": "?"} for each in resolved(colour="red", size=7)]},
        resolved(colour="red", size=7),
    ),
    ({"resume": REST_CANCELLED}, REST_CANCELLED),
]


async def test_each_of_two_questions_gets_its_answer() -> None:
    asker = Asker(*BOTH)
    async with asker.client() as client:
        for place, (answer, received) in enumerate(TWO):
            thread = f"t{place}"
            for shown in (await run(client, "asker", run_input(thread=thread)), await connect(client, "asker", thread)):
                assert [event["value"] for event in shown if event["type"] == "CUSTOM"] == [BOTH]
            await run(client, "asker", run_input(thread=thread, **answer))
            assert asker.answers == received


async def test_the_answer_of_a_client_of_any_age_names_the_question() -> None:
    asker = Asker(COLOUR)
    async with asker.client() as client:
        for place, answer in enumerate([False, None, "", "true", {"ok": 1}, ["a", "b"]]):
            for more in (legacy(answer), legacy(answer, interruptEvent=COLOUR)):
                body = run_input(thread=f"t{place}")
                await run(client, "asker", body)
                await run(client, "asker", {**body, **more})
                assert asker.answers == resolved(colour=answer)


@pytest.mark.parametrize("question", [{"a": 1}, [1, "b"], "sure?", '{"tool": "t"}', 0, False, None, ""])
async def test_an_answer_returns_the_question_to_the_agent_as_it_was_asked(question: Any) -> None:
    asker = Asker()
    async with asker.client() as client:
        await run(client, "asker", run_input(**legacy("yes", interruptEvent=question)))
    assert asker.command == {"resume": "yes", "interruptEvent": question}


async def test_the_end_of_a_run_names_the_questions_as_the_agent_did() -> None:
    asker = Asker(*BOTH)
    async with asker.client(interrupt_outcome=True) as client:
        asked = await run(client, "asker", run_input())
    assert asked[-1]["outcome"] == {"type": "interrupt", "interrupts": BOTH}
