"""What hooks, guardrails and actions cost per token: switched off, nothing.

    .venv/bin/python -m scripts.benchmark.features

Asks a runtime in this process for a short and a long answer, and divides the difference by the tokens that the long one
has more. Function calls come out alike on every machine; the processor's time stands beside them.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import uuid4

from starlette.types import Message, Send

import copilotkit_runtime
from copilotkit_runtime import (
    AgentDescriptor,
    AgentProvider,
    CopilotRuntime,
    Hooks,
    Observability,
    RunContext,
    RunInput,
    RuntimeConfig,
    TopicGuardrail,
    events,
)
from copilotkit_runtime.runtime.messages import TextMessage
from copilotkit_runtime.wires.http.connection import EXTENSION, Connection
from tests.support.local_server import PATH
from tests.support.request_bodies import generate, text_message

SHORT, LONG = 500, 2_500
ROUNDS = 5
FEATURES = ("hooks", "guardrails", "actions")
HEAD = ("features", *FEATURES, "all", "us/token")
ROW = "{:<12} {:>10} {:>10} {:>10} {:>10} {:>10}"

_ROOT = Path(copilotkit_runtime.__file__).parent / "runtime"
_FOLDERS = {str(_ROOT / feature): feature for feature in FEATURES}


class Counting(AgentProvider):
    """Counts as far as it is asked to, a token at each turn of the loop."""

    name = "counting"

    async def list_agents(self) -> list[AgentDescriptor]:
        """Return the one agent."""
        return [AgentDescriptor(name="counting")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        """Count."""
        asked = next(message for message in reversed(run.messages) if isinstance(message, TextMessage))
        yield events.TextMessageStart(message_id="count")
        for number in range(int(asked.content)):
            await asyncio.sleep(0)
            yield events.TextMessageContent(message_id="count", delta=f" {number}")
        yield events.TextMessageEnd(message_id="count")


def double(number: int) -> int:
    """Double a number."""
    return 2 * number


def runtimes() -> dict[str, CopilotRuntime]:
    """One without features, and one with all that have to do with each token."""
    switched_on: dict[str, Any] = {
        "hooks": Hooks(observability=Observability(on_response=_ignore, progressive=True)),
        "guardrails": [TopicGuardrail(deny_output=["weather"])],
        "actions": [double],
    }
    config = RuntimeConfig(log_level="error")
    return {
        name: CopilotRuntime(providers=[Counting()], store="memory://", config=config, **features)
        for name, features in {"off": {}, "on": switched_on}.items()
    }


async def _ignore(_hook_input: object) -> None:
    pass


def _graphql(tokens: int) -> tuple[str, bytes, dict[str, Any], str]:
    return PATH, b"multipart/mixed", generate(text_message(str(tokens)), agent="counting"), f'" {tokens - 1}"'


def _agui(tokens: int) -> tuple[str, bytes, dict[str, Any], str]:
    message = {"id": "asked", "role": "user", "content": str(tokens)}
    ids = {"threadId": uuid4().hex, "runId": uuid4().hex}
    body = {**ids, "messages": [message], "tools": [], "context": [], "state": {}, "forwardedProps": {}}
    return f"{PATH}/agent/counting/run", b"text/event-stream", body, f'"delta":" {tokens - 1}"'


class _Connection(Connection):
    """Keeps what is written, as this runtime's own server would send it."""

    def __init__(self, send: Send, written: list[bytes]) -> None:
        super().__init__(send)
        self._written = written

    @property
    def lost(self) -> bool:
        return False

    def on_lost(self, report: Callable[[], None] | None) -> None:
        """Report nothing: nobody leaves."""

    def end(self) -> None:
        pass

    def write(self, body: bytes) -> bool:
        self._written.append(body)
        return True


REQUESTS = {"graphql": _graphql, "agui": _agui}


async def answer(app: Any, tokens: int, wire: str = "graphql") -> None:
    """Request an answer of so many tokens on a wire, and read it to its end."""
    path, accept, request, last = REQUESTS[wire](tokens)
    written = await ask(app, path, accept, request)
    if last.encode() not in written:
        raise RuntimeError(f"the answer is not whole: {written[-500:]!r}")


async def ask(app: Any, path: str, accept: bytes, request: dict[str, Any], written: list[bytes] | None = None) -> bytes:
    """Send a request to an application as this runtime's own server does; return the answer's body.

    Args:
        app: The application.
        path: Where the request goes.
        accept: The formats that are accepted.
        request: The request's body.
        written: Gets the parts of the answer as they are written.
    """
    waiting = [{"type": "http.request", "body": json.dumps(request).encode(), "more_body": False}]
    written = [] if written is None else written

    async def receive() -> dict[str, Any]:
        return waiting.pop() if waiting else await asyncio.get_running_loop().create_future()

    async def send(message: Message) -> None:
        written.append(message.get("body", b""))

    headers = [(b"host", b"bench"), (b"content-type", b"application/json"), (b"accept", accept)]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers, "root_path": ""}
    place = {"scheme": "http", "server": ("bench", 80), "client": ("bench", 1)}
    await app({**scope, **place, "extensions": {EXTENSION: _Connection(send, written)}}, receive, send)
    return b"".join(written)


async def calls(app: Any, tokens: int) -> Counter[str]:
    """How often Python functions are called for an answer: those of each feature, and ``all``."""
    counted: Counter[str] = Counter()
    known: dict[str, str | None] = {}

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            file = frame.f_code.co_filename
            if file not in known:
                known[file] = next((name for folder, name in _FOLDERS.items() if file.startswith(folder)), None)
            counted["all"] += 1
            counted[known[file] or "other"] += 1

    with without_collections():
        sys.setprofile(count)
        try:
            await answer(app, tokens)
        finally:
            sys.setprofile(None)
    return counted


@contextmanager
def without_collections() -> Iterator[None]:
    """Collect garbage now and not in the block: finalizers of what others left behind would be counted."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def calls_per_token(app: Any) -> dict[str, float]:
    """Return the calls that one more token takes."""
    short, long = await calls(app, SHORT), await calls(app, LONG)
    return {name: (long[name] - short[name]) / (LONG - SHORT) for name in (*FEATURES, "all")}


async def _seconds(app: Any, tokens: int) -> float:
    before = time.process_time()
    await answer(app, tokens)
    return time.process_time() - before


async def _seconds_per_token(app: Any) -> float:
    differences = [await _seconds(app, LONG) - await _seconds(app, SHORT) for _ in range(ROUNDS)]
    return min(differences) / (LONG - SHORT)


async def rows() -> list[tuple[str, ...]]:
    """Measure both, and return a row of each."""
    measured = []
    for name, runtime in runtimes().items():
        app = runtime.create_app()
        async with runtime:
            await answer(app, SHORT)
            used = await _seconds_per_token(app)
            counted = await calls_per_token(app)
        measured.append((name, *(f"{count:.2f}" for count in counted.values()), f"{used * 1e6:.1f}"))
    return measured


def main() -> None:
    """Print a row for each."""
    print("calls per token")
    for row in (HEAD, *asyncio.run(rows())):
        print(ROW.format(*row))


if __name__ == "__main__":
    main()
