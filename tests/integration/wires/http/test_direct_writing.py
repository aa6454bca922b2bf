"""What the runtime's own server lets it write at once reads as what takes a task, and takes nothing from others."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.wires.http.connection import EXTENSION, Connection
from tests.parity.fold import fold
from tests.parity.wire import PartReader
from tests.support.local_server import PATH
from tests.support.request_bodies import generate, text_message

_MADE_UP = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[0-9:.]+Z")
PIECES = ["one", " two", "", " é", ' "three"', "\u2028"]


class Storyteller(AgentProvider):
    """Sends some pieces of text, one at each turn of the loop, or all of them in one."""

    name = "storyteller"

    def __init__(self, pieces: list[str], *, waits: bool = True) -> None:
        self._pieces = pieces
        self._waits = waits

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="storyteller")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        yield events.TextMessageStart(message_id="story")
        for piece in self._pieces:
            for _ in range(3 if self._waits else 0):
                await asyncio.sleep(0)
            yield events.TextMessageContent(message_id="story", delta=piece)
        yield events.TextMessageEnd(message_id="story")


class FakeConnection(Connection):
    """Keeps what is written to it, for as long as its client reads."""

    def __init__(self, send: Send, written: list[bytes], reads: Callable[[int], bool]) -> None:
        super().__init__(send)
        self.count = 0
        self._written = written
        self._reads = reads

    @property
    def lost(self) -> bool:
        return False

    def on_lost(self, report: Callable[[], None] | None) -> None:
        pass

    def end(self) -> None:
        pass

    def write(self, body: bytes) -> bool:
        if not self._reads(self.count):
            return False
        self.count += 1
        self._written.append(body)
        return True


def _graphql() -> tuple[str, str, dict[str, Any]]:
    return PATH, "multipart/mixed", generate(text_message("hi"), agent="storyteller", threadId="thread")


def _agui() -> tuple[str, str, dict[str, Any]]:
    message = {"id": "asked", "role": "user", "content": "hi"}
    ids = {"threadId": "thread", "runId": "run"}
    body = {**ids, "messages": [message], "tools": [], "context": [], "state": {}, "forwardedProps": {}}
    return f"{PATH}/agent/storyteller/run", "text/event-stream", body


WIRES = {"graphql": _graphql, "agui": _agui}


async def ask(
    app: ASGIApp, wire: str, reads: Callable[[int], bool] | None, parts: list[bytes] | None = None
) -> tuple[str, int]:
    """Return an answer as its client reads it, and how many of its parts were written at once.

    Args:
        app: The application.
        wire: The wire.
        reads: Whether the client reads, given how much was written at once; None on a server of another kind.
        parts: Where the answer's parts are left.
    """
    path, accept, asked = WIRES[wire]()
    waiting: list[Message] = [{"type": "http.request", "body": json.dumps(asked).encode(), "more_body": False}]
    written: list[bytes] = [] if parts is None else parts

    async def receive() -> Message:
        return waiting.pop() if waiting else await asyncio.get_running_loop().create_future()

    async def send(message: Message) -> None:
        written.append(message.get("body", b""))

    connection = FakeConnection(send, written, reads or (lambda _count: False))
    headers = [(b"host", b"test"), (b"content-type", b"application/json"), (b"accept", accept.encode())]
    scope: Scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    place: dict[str, Any] = {"root_path": "", "scheme": "http", "server": ("test", 80), "client": ("test", 1)}
    await app({**scope, **place, "extensions": {EXTENSION: connection} if reads is not None else {}}, receive, send)
    body = b"".join(written)
    answer = fold(PartReader().feed(body)) if wire == "graphql" else body.decode()
    return _MADE_UP.sub("", str(answer)), connection.count


async def told(app_of: Callable[[CopilotRuntime], ASGIApp], wire: str, reads: Callable[[int], bool] | None) -> Any:
    runtime = CopilotRuntime(providers=[Storyteller(PIECES)], store="memory://")
    app = app_of(runtime)
    async with runtime:
        return await ask(app, wire, reads)


def _own(runtime: CopilotRuntime) -> ASGIApp:
    return runtime.create_app()


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stops", [False, True])
async def test_what_is_written_at_once_reads_the_same(wire: str, stops: bool) -> None:
    plain, _ = await told(_own, wire, None)
    direct, count = await told(_own, wire, (lambda count: count != 2) if stops else (lambda _count: True))
    assert direct == plain
    assert count == 2 if stops else count > 2


class Passing:
    """A middleware that could change what is sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def passing(message: Message) -> None:
            await send(message)

        await self._app(scope, receive, passing)


def _behind_own_middleware(runtime: CopilotRuntime) -> ASGIApp:
    app = runtime.create_app()
    app.add_middleware(Passing)
    return app


def _behind_other_middleware(runtime: CopilotRuntime) -> ASGIApp:
    return Passing(runtime.create_app())


def _mounted(runtime: CopilotRuntime) -> ASGIApp:
    app = Starlette()
    runtime.mount(app, PATH)
    return app


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("app_of", [_behind_own_middleware, _behind_other_middleware, _mounted])
async def test_middleware_sees_all_that_is_sent(app_of: Callable[[CopilotRuntime], ASGIApp], wire: str) -> None:
    plain, _ = await told(_own, wire, None)
    seen, count = await told(app_of, wire, lambda _count: True)
    assert count == 0
    assert seen == plain


@pytest.mark.parametrize("wire", WIRES)
async def test_an_agent_that_never_waits_leaves_turns_to_others(wire: str) -> None:
    runtime = CopilotRuntime(providers=[Storyteller(["word "] * 5_000, waits=False)], store="memory://")
    app = runtime.create_app()
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with runtime:
        taking = asyncio.create_task(take_turns())
        before = turns
        body, _ = await ask(app, wire, lambda _count: True)
        taking.cancel()
    assert body.count("word ") == 5_000
    assert turns - before > 5_000 / 600, "others got no turn for a long part of the answer"
