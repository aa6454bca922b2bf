"""A published agent in small: an AG-UI server that obeys the vendor's orders itself. ``/bad`` does it wrongly."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

_ORDER = re.compile(r"<<(say|call|recall|go on)\s*(.*?)>>", re.DOTALL)
_ENDLESS = 1000

Event = dict[str, Any]


async def good(request: Request) -> StreamingResponse:
    """Do what the orders ask for."""
    return StreamingResponse(_sent(await request.json(), bad=False), media_type="text/event-stream")


async def bad(request: Request) -> StreamingResponse:
    """Forget, repeat, and call nothing."""
    return StreamingResponse(_sent(await request.json(), bad=True), media_type="text/event-stream")


async def _sent(asked: dict[str, Any], *, bad: bool) -> AsyncIterator[str]:
    ids = {"threadId": asked["threadId"], "runId": asked["runId"]}
    yield _frame({"type": "RUN_STARTED", **ids})
    async for event in _repeated() if bad else _obeyed(asked):
        yield _frame(event)
        await asyncio.sleep(0.01)
    yield _frame({"type": "RUN_FINISHED", **ids})


async def _repeated() -> AsyncIterator[Event]:
    for message_id in ("1", "2"):
        yield {"type": "TEXT_MESSAGE_CHUNK", "messageId": message_id, "role": "assistant", "delta": "Always this."}


async def _obeyed(asked: dict[str, Any]) -> AsyncIterator[Event]:
    messages = asked["messages"]
    users = [index for index, message in enumerate(messages) if message["role"] == "user"]
    results = [message["content"] for message in messages[users[-1] :] if message["role"] == "tool"]
    resumed = asked["forwardedProps"].get("command", {}).get("resume")
    order = _ORDER.search(resumed or messages[users[-1]]["content"])
    if results and resumed is None:
        pieces = ["Result: ", results[-1]]
    elif order is not None and order[1] == "call":
        for event in _called(*order[2].split(" ", 1)):
            yield event
        return
    else:
        pieces = _pieces(order, json.dumps(messages))
    for piece in pieces:
        yield {"type": "TEXT_MESSAGE_CHUNK", "messageId": f"a{len(messages)}", "role": "assistant", "delta": piece}


def _pieces(order: re.Match[str] | None, thread: str) -> list[str]:
    match order and order[1]:
        case "say":
            return re.findall(r"\S+\s*", order[2]) if order else []
        case "recall":
            return [word[1] for word in [re.search(r"My word is (\w+)", thread)] if word]
        case "go on":
            return ["on and on "] * _ENDLESS
        case _:
            return ["What?"]


def _called(name: str, arguments: str) -> list[Event]:
    match name:
        case "note":
            return [{"type": "STATE_SNAPSHOT", "snapshot": json.loads(arguments)}]
        case "ask":
            return [{"type": "CUSTOM", "name": "on_interrupt", "value": "Sure?"}]
        case _:
            return [{"type": "TOOL_CALL_CHUNK", "toolCallId": arguments, "toolCallName": name, "delta": arguments}]


def _frame(event: Event) -> str:
    return f"data: {json.dumps(event)}\n\n"


app = Starlette(routes=[Route("/good", good, methods=["POST"]), Route("/bad", bad, methods=["POST"])])
