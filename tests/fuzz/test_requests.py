"""Requests of any shape, on both wires: each gets an answer in words, and none an error of the server's own.

The corpus (``corpus/``) has inputs that once went wrong, and seeds; what Hypothesis adds is the same in every run.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from copilotkit_runtime import AgentDescriptor, AgentProvider, CopilotRuntime, RunContext, RunInput, events
from copilotkit_runtime.providers.event_stream import EventStreamReader
from tests.support.random_runs import random_run

PATH = "/api/copilotkit"
CORPUS = Path(__file__).parent / "corpus"
BUDGET = settings(
    max_examples=50, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
QUERY = (
    "mutation($data: GenerateCopilotResponseInput!) {generateCopilotResponse(data: $data) {threadId messages {"
    " ... on TextMessageOutput {content} ... on AgentStateMessageOutput {state}}"
    " status {... on BaseResponseStatus {code}}}}"
)

TEXTS = st.one_of(st.text(max_size=20), st.sampled_from(["", "user", "assistant", "tool", "\ud83d", "{", "[]", "null"]))
KEYS = st.sampled_from(
    [
        "id",
        "role",
        "content",
        "toolCalls",
        "toolCallId",
        "function",
        "name",
        "arguments",
        "type",
        "text",
        "textMessage",
        "actionExecutionMessage",
        "resultMessage",
        "agentStateMessage",
        "createdAt",
        "state",
        "config",
        "threadId",
        "runId",
        "messages",
        "tools",
        "context",
        "forwardedProps",
        "resume",
        "interruptId",
        "agentName",
        "description",
        "value",
        "frontend",
        "actions",
        "jsonSchema",
        "metaEvents",
        "response",
    ]
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.one_of(KEYS, TEXTS), inner, max_size=5)),
    max_leaves=15,
)
RUN_KEYS = ("threadId", "runId", "messages", "tools", "context", "state", "forwardedProps", "resume", "parentRunId")
WHOLE = {"threadId": "t", "runId": "r", "messages": [], "tools": [], "context": [], "state": {}, "forwardedProps": {}}
DATA_KEYS = ("frontend", "metadata", "messages", "threadId", "agentSession", "agentStates", "metaEvents", "context")
DATA: dict[str, Any] = {
    "frontend": {"actions": []},
    "metadata": {},
    "messages": [],
    "agentSession": {"agentName": "random"},
}


class RandomAgent(AgentProvider):
    """Yields a run from the seed that it is asked for; without one, nothing."""

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="random")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        seed = run.state.get("seed")
        for event in random_run(seed) if isinstance(seed, int) else ():
            yield event


@asynccontextmanager
async def opened() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a runtime of its own: what one input leaves behind must not change what the next one does."""
    runtime = CopilotRuntime(providers=[RandomAgent()])
    transport = httpx.ASGITransport(runtime.create_app())
    async with runtime, httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def seeds(kind: str) -> list[Path]:
    return sorted((CORPUS / kind).iterdir())


def check(response: httpx.Response) -> None:
    assert response.status_code < 500, response.text
    assert "Traceback" not in response.text


async def run_over_agui(client: httpx.AsyncClient, body: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json", "accept": "text/event-stream"}
    return await client.post(f"{PATH}/agent/random/run", content=content, headers=headers)


async def run_over_graphql(client: httpx.AsyncClient, body: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await client.post(PATH, content=content, headers={"content-type": "application/json"})


@BUDGET
@given(parts=st.dictionaries(st.sampled_from(RUN_KEYS), JSON, max_size=4))
async def test_any_run_over_agui_is_answered(parts: dict[str, Any]) -> None:
    async with opened() as client:
        check(await run_over_agui(client, {**WHOLE, **parts}))


@BUDGET
@given(parts=st.dictionaries(st.sampled_from(DATA_KEYS), JSON, max_size=4))
async def test_any_run_over_graphql_is_answered(parts: dict[str, Any]) -> None:
    async with opened() as client:
        check(await run_over_graphql(client, {"query": QUERY, "variables": {"data": {**DATA, **parts}}}))


@BUDGET
@given(body=st.one_of(st.binary(max_size=200), JSON.map(lambda value: json.dumps(value).encode())))
async def test_any_body_is_answered_on_both_wires(body: bytes) -> None:
    async with opened() as client:
        check(await run_over_agui(client, body))
        check(await run_over_graphql(client, body))


@BUDGET
@given(parts=st.lists(st.binary(max_size=60), max_size=4), boundary=st.sampled_from([b"x", b"--", b"x y"]))
async def test_any_recording_is_answered(parts: list[bytes], boundary: bytes) -> None:
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"
    headers = {"content-type": f"multipart/form-data; boundary={boundary.decode()}"}
    async with opened() as client:
        response = await client.post(f"{PATH}/transcribe", content=body, headers=headers)
    assert "Traceback" not in response.text
    assert response.status_code != 500


@BUDGET
@given(seed=st.integers(0, 1 << 32))
async def test_any_events_end_both_wires_answers_once(seed: int) -> None:
    async with opened() as client:
        told = await run_over_agui(client, {**WHOLE, "state": {"seed": seed}})
        assert told.text.count('"RUN_FINISHED"') + told.text.count('"RUN_ERROR"') == 1
        data = {**DATA, "threadId": "g", "agentStates": [{"agentName": "random", "state": json.dumps({"seed": seed})}]}
        answer = (await run_over_graphql(client, {"query": QUERY, "variables": {"data": data}})).json()
    assert answer["data"]["generateCopilotResponse"]["status"]["code"] in ("Success", "Failed")


@BUDGET
@given(stream=st.binary(max_size=200), cuts=st.lists(st.integers(0, 200), max_size=6))
def test_an_event_stream_may_be_cut_anywhere(stream: bytes, cuts: list[int]) -> None:
    _compare_cuts(stream, cuts)


LINES = st.sampled_from([b"data: a", b"data:", b"data: {}", b":", b"event: x", b"id: 1", b"\xef\xbb\xbfdata: b", b""])
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


@BUDGET
@given(lines=st.lists(st.tuples(LINES, ENDS), max_size=12), cuts=st.lists(st.integers(0, 120), max_size=8))
def test_the_lines_of_an_event_stream_may_be_cut_anywhere(lines: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    _compare_cuts(b"".join(line + end for line, end in lines), cuts)


def _compare_cuts(stream: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    whole, cut = EventStreamReader(), EventStreamReader()
    expected = [*whole.feed(stream), *whole.close()]
    pieces = [stream[start:end] for start, end in itertools.pairwise(places)]
    found = [data for piece in pieces for data in cut.feed(piece)]
    assert [*found, *cut.close()] == expected


@pytest.mark.parametrize("content", [file.read_bytes() for file in seeds("agui")])
async def test_the_corpus_of_agui_is_answered(content: bytes) -> None:
    async with opened() as client:
        check(await run_over_agui(client, content))


@pytest.mark.parametrize("content", [file.read_bytes() for file in seeds("graphql")])
async def test_the_corpus_of_graphql_is_answered(content: bytes) -> None:
    async with opened() as client:
        check(await run_over_graphql(client, content))


@pytest.mark.parametrize("file", seeds("sse"), ids=lambda file: file.name)
def test_the_corpus_of_event_streams_may_be_cut_anywhere(file: Path) -> None:
    stream = base64.b64decode(file.read_text())
    for cut in range(len(stream)):
        _compare_cuts(stream, [cut])
