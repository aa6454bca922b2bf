"""A stand-in for OpenAI's chat completions: it answers by what was asked, a piece at a time."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import StreamingResponse

ANSWER = "Every word of this was said by a guest, one after the other."
ENDLESS = re.compile(r"Go on: ([0-9a-f-]{36})")
HALTING = re.compile(r"Halt: ([0-9a-f-]{36})")
BEGINNING = 4
"""How many words of a halting answer are sent before the rest is waited for."""
PAINT_TOOLS = frozenset({"changeBackground", "change_background"})
"""The page's action, and what CrewAI tells its models that it is called."""
PLAN_TOOL = "show_plan"
SECONDS_PER_PIECE = 0.02
HALT_SECONDS = 60.0

released: defaultdict[str, threading.Event] = defaultdict(threading.Event)
"""Lets halting answers go on, by the id in the question."""
stopped_at: dict[str, float] = {}
"""When endless answers were hung up on: Unix time in milliseconds, by the id in the question."""


class Call(NamedTuple):
    """A tool call to answer with."""

    name: str
    arguments: dict[str, Any]


Answer: TypeAlias = "Iterable[str] | Call"


def answer(messages: list[dict[str, Any]], tools: frozenset[str]) -> Answer:
    """What the model says: it shows its plan if it can, paints when asked to, and tells what came of it."""
    asked = max(index for index, message in enumerate(messages) if message["role"] == "user")
    question = str(messages[asked]["content"])
    results = [str(message["content"]) for message in messages[asked:] if message["role"] == "tool"]
    if PLAN_TOOL in tools and not results:
        return Call(PLAN_TOOL, {})
    painted = [result for result in results if "background" in result]
    if painted:
        return words(f"Done: {painted[-1]}")
    if "background" in question and tools & PAINT_TOOLS:
        return Call(min(tools & PAINT_TOOLS), {"color": "teal"})
    return itertools.repeat("on and on ") if ENDLESS.search(question) else words(ANSWER)


def words(text: str) -> list[str]:
    """The pieces of a text."""
    return re.findall(r"\S+\s*", text)


async def complete(request: Request) -> StreamingResponse:
    """Serves ``POST /chat/completions``, streamed whether asked for or not."""
    asked = await request.json()
    return StreamingResponse(_sent(asked), media_type="text/event-stream")


async def _sent(asked: dict[str, Any]) -> AsyncIterator[str]:
    tools = frozenset(tool["function"]["name"] for tool in asked.get("tools") or ())
    question = ENDLESS.search(json.dumps(asked["messages"]))
    halt = HALTING.search(json.dumps(asked["messages"]))
    try:
        for sent, delta in enumerate(_deltas(answer(asked["messages"], tools))):
            await asyncio.sleep(SECONDS_PER_PIECE)
            if halt is not None and sent == BEGINNING and "content" in delta:
                await asyncio.to_thread(released[halt[1]].wait, HALT_SECONDS)
            yield _chunk(delta)
        yield "data: [DONE]\n\n"
    except asyncio.CancelledError:
        if question is not None:
            stopped_at[question[1]] = time.time() * 1000
        raise


def _deltas(said: Answer) -> Iterator[dict[str, Any] | str]:
    """The changes that a stream tells of; the last one is why it ended."""
    if not isinstance(said, Call):
        yield from ({"role": "assistant", "content": piece} for piece in said)
        yield "stop"
        return
    function = {"name": said.name, "arguments": ""}
    opening: dict[str, Any] = {"id": f"call-{uuid4()}", "type": "function", "function": function}
    pieces = re.findall(r".{1,4}", json.dumps(said.arguments))
    for call in (opening, *({"function": {"arguments": piece}} for piece in pieces)):
        yield {"tool_calls": [{"index": 0, **call}]}
    yield "tool_calls"


def _chunk(delta: dict[str, Any] | str) -> str:
    ended = isinstance(delta, str)
    choice = {"index": 0, "delta": {} if ended else delta, "finish_reason": delta if ended else None}
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    return f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\n"
