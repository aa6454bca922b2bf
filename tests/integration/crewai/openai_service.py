"""A stand-in for OpenAI's chat completions, as far as frameworks read it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from copilotkit_runtime.testing import Request, ScriptedService, head


@dataclass(frozen=True)
class Reply:
    """What the model says to one request.

    Args:
        tokens: The text, token by token.
        calls: Tool calls as (id, name, arguments), streamed after the text.
        hang: Whether to stay silent after that, instead of ending.
        status: An HTTP status other than 200 refuses the request.
    """

    tokens: tuple[str, ...] = ()
    calls: tuple[tuple[str, str, str], ...] = ()
    hang: bool = False
    status: int = 200


def says(text: str) -> Reply:
    """A reply of plain words, one token each."""
    return Reply(tokens=tuple(f"{word} " for word in text.split())[:-1] + tuple(text.split()[-1:]))


Model: TypeAlias = Callable[[dict[str, Any]], Reply]


@dataclass
class OpenAIService:
    """Serves ``model`` on a free port while its ``async with`` block lasts."""

    model: Model
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def __aenter__(self) -> OpenAIService:
        self._service = await ScriptedService(self._answer).__aenter__()
        return self

    async def __aexit__(self, *args: object) -> None:
        await self._service.__aexit__(*args)

    @property
    def base_url(self) -> str:
        """What to give a client."""
        return f"{self._service.url}/v1"

    @property
    def service(self) -> ScriptedService:
        """The service underneath."""
        return self._service

    async def _answer(self, request: Request) -> AsyncIterator[bytes]:
        asked = request.json
        self.asked.append(asked)
        reply = self.model(asked)
        if reply.status != 200:
            body = b'{"error":{"message":"no","type":"server_error"}}'
            yield head("application/json", status=reply.status, length=len(body)) + body
        elif asked.get("stream"):
            yield head("text/event-stream")
            for batch in _batches(_chunks(reply)):
                yield batch
            if reply.hang:
                await asyncio.Event().wait()
            yield b"data: [DONE]\n\n"
        else:
            body = json.dumps(_whole(reply)).encode()
            yield head("application/json", length=len(body)) + body


def _batches(chunks: list[bytes], size: int = 50) -> list[bytes]:
    return [b"".join(chunks[at : at + size]) for at in range(0, len(chunks), size)]


_BASE = {"id": "chatcmpl-1", "created": 1, "model": "gpt-4o"}


def _chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {**_BASE, "object": "chat.completion.chunk", "choices": [choice]}
    return f"data: {json.dumps(body)}\n\n".encode()


def _chunks(reply: Reply) -> list[bytes]:
    chunks = [_chunk({"role": "assistant", "content": token}) for token in reply.tokens]
    for index, (call_id, name, arguments) in enumerate(reply.calls):
        function = {"name": name, "arguments": ""}
        opening = {"index": index, "id": call_id, "type": "function", "function": function}
        chunks.append(_chunk({"tool_calls": [opening]}))
        half = len(arguments) // 2
        parts = [{"index": index, "function": {"arguments": part}} for part in (arguments[:half], arguments[half:])]
        chunks.extend(_chunk({"tool_calls": [part]}) for part in parts)
    if not reply.hang:
        chunks.append(_chunk({}, "tool_calls" if reply.calls else "stop"))
    return chunks


def _whole(reply: Reply) -> dict[str, Any]:
    calls = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for call_id, name, arguments in reply.calls
    ]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(reply.tokens)}
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {**_BASE, "object": "chat.completion", "choices": [choice], "usage": usage}
