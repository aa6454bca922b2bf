"""AG-UI agents that behave as the conformance suite wants: in this process, and behind a URL."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from ag_ui.encoder import EventEncoder

from copilotkit_runtime.providers.agui import AGUIProvider
from copilotkit_runtime.testing import AGENT, Behaviour, Guest, Request, ScriptedService, head

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from ag_ui.core import RunAgentInput

BATCH = 100


async def behave(behaviour: Behaviour, thread_id: str, run_id: str, text: str, flood: int) -> AsyncGenerator[Any]:
    """The AG-UI events of an agent that behaves like that."""
    ids = {"threadId": thread_id, "runId": run_id}
    yield {"type": "RUN_STARTED", **ids}
    yield {"type": "TEXT_MESSAGE_START", "messageId": "m", "role": "assistant"}
    pieces = {Behaviour.ECHO: text.partition(" "), Behaviour.FLOOD: ("x",) * flood}.get(behaviour, ("begun",))
    for piece in pieces:
        yield {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": piece}
    if behaviour is Behaviour.HANG:
        await asyncio.Event().wait()
    if behaviour is Behaviour.RAISE:
        raise ValueError("secret-detail")
    if behaviour is Behaviour.GARBAGE:
        yield {"type": "TEXT_MESSAGE_CONTENT", "messageId": 5}
    yield {"type": "TEXT_MESSAGE_END", "messageId": "m"}
    yield {"type": "STATE_SNAPSHOT", "snapshot": {"echo": text}}
    yield {"type": "RUN_FINISHED", **ids}


class InProcessGuest(Guest):
    name = "agui-in-process"
    working = 0

    @asynccontextmanager
    async def serve(self, behaviour: Behaviour) -> AsyncIterator[AGUIProvider]:
        async def run(asked: RunAgentInput) -> AsyncGenerator[Any]:
            text = str(asked.messages[-1].content)
            self.working += 1
            try:
                async with aclosing(behave(behaviour, asked.thread_id, asked.run_id, text, self.flood_tokens)) as seen:
                    async for event in seen:
                        yield event
            finally:
                self.working -= 1

        yield AGUIProvider({AGENT: run})


class HttpGuest(Guest):
    name = "agui-http"
    service: ScriptedService | None = None

    @property
    def working(self) -> int:
        return 0 if self.service is None else self.service.running

    @asynccontextmanager
    async def serve(self, behaviour: Behaviour) -> AsyncIterator[AGUIProvider]:
        async def script(request: Request) -> AsyncGenerator[bytes]:
            asked = request.json
            text = asked["messages"][-1]["content"]
            yield head(EventEncoder().get_content_type())
            batch: list[str] = []
            try:
                async for event in behave(behaviour, asked["threadId"], asked["runId"], text, self.flood_tokens):
                    batch.append(f"data: {json.dumps(event)}\n\n")
                    if len(batch) == BATCH or behaviour is not Behaviour.FLOOD:
                        yield "".join(batch).encode()
                        batch.clear()
            except ValueError as error:
                failure = {"type": "RUN_ERROR", "message": "It failed.", "rawEvent": str(error)}
                batch.append(f"data: {json.dumps(failure)}\n\n")
            yield "".join(batch).encode()

        async with ScriptedService(script) as self.service:
            yield AGUIProvider({AGENT: self.service.url})
