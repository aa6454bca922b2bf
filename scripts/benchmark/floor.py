"""The least that a server can do: an ASGI application that writes the same parts as the runtime, without a runtime.

What it costs is what uvicorn, the event loop and the system cost. ``parts`` are made once for a script of a length.
"""

from __future__ import annotations

import asyncio
import json
from functools import cache
from typing import Any

from starlette.types import Message, Receive, Scope, Send

CONTENT_TYPES = {"graphql": b'multipart/mixed; boundary="-"', "agui": b"text/event-stream"}
RESPONSE = "generateCopilotResponse"
MESSAGE = [RESPONSE, "messages", 0]


@cache
def events(tokens: int) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Return the events before the tokens of a benchmark's answer, one for each token, and those behind them."""
    ids = {"threadId": "bench", "runId": "bench"}
    message = {"messageId": "answer"}
    before = [{"type": "RUN_STARTED", **ids}, {"type": "TEXT_MESSAGE_START", **message, "role": "assistant"}]
    texts = [{"type": "TEXT_MESSAGE_CONTENT", **message, "delta": f" token{n}"} for n in range(tokens)]
    after = [{"type": "TEXT_MESSAGE_END", **message}, {"type": "RUN_FINISHED", **ids}]
    return list(map(_event, before)), list(map(_event, texts)), list(map(_event, after))


@cache
def parts(tokens: int) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Return the parts before the tokens of a benchmark's answer, one for each token, and those behind them."""
    message = {"__typename": "TextMessageOutput", "id": "answer", "createdAt": "2026-01-01T00:00:00.000Z"}
    opening = {"threadId": "bench", "runId": None, "extensions": None, "__typename": "CopilotResponse"}
    before: list[dict[str, Any]] = [
        {"data": {RESPONSE: {**opening, "messages": [], "metaEvents": []}}, "hasNext": True},
        _following({"items": [{**message, "content": [], "role": "assistant"}], "path": MESSAGE}),
    ]
    texts = [_following({"items": [f" token{n}"], "path": [*MESSAGE, "content", n]}) for n in range(tokens)]
    done = {"status": {"code": "Success", "__typename": "SuccessMessageStatus"}}
    ended = {"status": {"code": "Success", "__typename": "SuccessResponseStatus"}, "__typename": "CopilotResponse"}
    after = [
        _following({"data": done, "path": MESSAGE}),
        {"incremental": [{"data": ended, "path": [RESPONSE]}], "hasNext": False},
    ]
    opened, *more = map(_framed, before)
    return [b"\r\n---" + opened, *more], [_framed(text) for text in texts], [*map(_framed, after), b"--\r\n"]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the benchmark's request, at its pace."""
    if scope["type"] != "http":
        await _live(receive, send)
        return
    asked = json.loads(await _body(receive))
    wire, texts = texts_asked(asked)
    before, tokens, after = answer_parts(wire, len(texts))
    headers = [(b"content-type", CONTENT_TYPES[wire])]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part in before:
        await send(_chunk(part))
    for step, part in zip(texts, tokens, strict=True):
        if "after" in step:
            await asyncio.sleep(step["after"])
        await send(_chunk(part))
    for part in after:
        await send(_chunk(part))
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def texts_asked(asked: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """Return the wire of a request, and the steps of its script that are pieces of text."""
    script = json.loads(_script(asked))
    wire = "graphql" if "query" in asked else "agui"
    return wire, [step for step in script if step["event"]["type"] == "TEXT_MESSAGE_CONTENT"]


def answer_parts(wire: str, tokens: int) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Return what is written on a wire before so many tokens, for each of them, and behind them."""
    return parts(tokens) if wire == "graphql" else events(tokens)


def _script(asked: dict[str, Any]) -> str:
    variables = asked.get("variables")
    if variables is None:
        return str(asked["messages"][-1]["content"])
    return str(variables["data"]["messages"][-1]["textMessage"]["content"])


def _event(event: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps(event, separators=(",", ":")).encode()


def _following(entry: dict[str, Any]) -> dict[str, Any]:
    return {"incremental": [entry], "hasNext": True}


def _framed(payload: dict[str, Any]) -> bytes:
    body = json.dumps(payload, separators=(",", ":")).encode()
    head = b"\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body + b"\r\n---"


def _chunk(part: bytes) -> Message:
    return {"type": "http.response.body", "body": part, "more_body": True}


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _live(receive: Receive, send: Send) -> None:
    ended = False
    while not ended:
        phase = (await receive())["type"]
        await send({"type": f"{phase}.complete"})
        ended = phase.endswith("shutdown")
