"""The delivery format: for any legal run and any way of asking, the parts fold into the whole answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from copilotkit_runtime import AgentDescriptor, AgentProvider, RunContext, RunInput, RuntimeConfig, events
from copilotkit_runtime.resolvers import build_schema
from copilotkit_runtime.runtime.service import RuntimeService
from copilotkit_runtime.runtime.stores.memory import MemoryStore
from copilotkit_runtime.wires.graphql.context import GraphQLContext
from copilotkit_runtime.wires.graphql.documents import Document, DocumentCache
from copilotkit_runtime.wires.graphql.execution import Execution, GraphQLRequest
from copilotkit_runtime.wires.graphql.incremental_result import IncrementalAnswer
from copilotkit_runtime.wires.http.client import ClientRequest
from tests.parity.fold import fold, shrinks, states
from tests.support.request_bodies import generate, text_message

SCHEMA = build_schema()
EXECUTION = Execution(SCHEMA)
DOCUMENTS = DocumentCache(SCHEMA)
DOCUMENT = DOCUMENTS.get(generate()["query"])

Steps = list[events.Event]


class Player(AgentProvider):
    """Plays given events."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="player")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        for step in self._steps:
            yield step


async def parts_of(steps: Steps, document: Document = DOCUMENT, **variables: Any) -> list[dict[str, Any]]:
    service = RuntimeService(RuntimeConfig(), MemoryStore(), None)
    service.add_provider(Player(steps))
    asked = generate(text_message("hi"), agent="player")["variables"]
    context = GraphQLContext(service=service, client=ClientRequest(headers={}))
    request = GraphQLRequest(document, {**asked, **variables}, None)
    answer = await EXECUTION.incremental(request, context)
    assert isinstance(answer, IncrementalAnswer)
    parts = [answer.first]
    while not answer.finished:
        await answer.arrival()
        part = answer.take()
        parts += [] if part is None else [part]
    return [msgspec.json.decode(part) for part in parts]


def text_events(id_: str, deltas: list[str]) -> Steps:
    return [
        events.TextMessageStart(message_id=id_),
        *(events.TextMessageContent(message_id=id_, delta=delta) for delta in deltas),
        events.TextMessageEnd(message_id=id_),
    ]


def tool_events(id_: str, deltas: list[str]) -> Steps:
    return [
        events.ToolCallStart(tool_call_id=id_, tool_call_name="f"),
        *(events.ToolCallArgs(tool_call_id=id_, delta=delta) for delta in deltas),
        events.ToolCallEnd(tool_call_id=id_),
        events.ToolCallResult(tool_call_id=id_, content="ok"),
    ]


def step_events(name: str, deltas: list[str]) -> Steps:
    return [
        events.StepStarted(step_name=name),
        *(events.StateSnapshot(snapshot={"text": delta}) for delta in deltas),
        events.StepFinished(step_name=name),
    ]


@st.composite
def runs(draw: st.DrawFn) -> Steps:
    """Interleaved texts, tool calls and steps, of which the last may be left open."""
    kinds = draw(st.lists(st.sampled_from([text_events, tool_events, step_events]), max_size=5))
    deltas = st.lists(st.text(max_size=5), max_size=4)
    lanes = [kind(f"id-{number}", draw(deltas)) for number, kind in enumerate(kinds)]
    steps: Steps = []
    while any(lanes):
        lane = draw(st.sampled_from([lane for lane in lanes if lane]))
        steps.append(lane.pop(0))
    return steps[: draw(st.integers(0, len(steps)))] if draw(st.booleans()) else steps


@given(runs())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_any_legal_run_folds_into_its_messages(steps: Steps) -> None:
    parts = await parts_of(steps)
    assert [part["hasNext"] for part in parts] == [True] * (len(parts) - 1) + [False]
    before: dict[str, Any] = {"messages": []}
    for state in states(parts):
        assert not shrinks(before, state)
        before = state
    answer = fold(parts)
    assert answer["status"]["code"] == "Success"
    assert [m["status"]["code"] for m in answer["messages"]] == ["Success"] * len(answer["messages"])
    said = {m["id"]: "".join(m["content"]) for m in answer["messages"] if m["__typename"] == "TextMessageOutput"}
    assert said == {
        start.message_id: "".join(
            s.delta for s in steps if isinstance(s, events.TextMessageContent) and s.message_id == start.message_id
        )
        for start in steps
        if isinstance(start, events.TextMessageStart)
    }


SHAPES = {
    "all at once": "threadId messages { id ...on TextMessageOutput { content } } status { ...S }",
    "messages streamed, content whole": "messages @stream { id status { ...M } ...on TextMessageOutput { content } }",
    "content streamed, messages whole": "messages { id ...on TextMessageOutput { content @stream } }",
    "switched by variables": "messages @stream(if: $on) { id ...on TextMessageOutput { content @stream(if: $off) } }",
    "with aliases": "m: messages @stream { i: id ...on TextMessageOutput { c: content @stream } } s: status { ...S }",
    "nested defers": "...on CopilotResponse @defer { threadId ...on CopilotResponse @defer { status { ...S } } }",
    "with labels": '...on CopilotResponse @defer(label: "d") { status { ...S } } messages @stream(label: "s") { id }',
    "with first elements": "messages @stream(initialCount: 1) { id ...on TextMessageOutput { content @stream } }",
}
FRAGMENTS = """
fragment S on ResponseStatus { ... on BaseResponseStatus { code } }
fragment M on MessageStatus { ... on SuccessMessageStatus { code } }
"""


@pytest.mark.parametrize("shape", SHAPES)
async def test_any_way_of_asking_gets_the_same_answer(shape: str) -> None:
    selection = SHAPES[shape]
    switches = "$on: Boolean!, $off: Boolean!" if "$on" in selection else ""
    fragments = "".join(line + "\n" for line in FRAGMENTS.strip().splitlines() if f"...{line[9]}" in selection)
    document = DOCUMENTS.get(
        f"mutation ($data: GenerateCopilotResponseInput!, {switches})"
        f"{{ generateCopilotResponse(data: $data) {{ {selection} }} }} {fragments}"
    )
    steps = [*text_events("a", ["one", "two"]), *text_events("b", ["three"])]
    parts = await parts_of(steps, document, on=True, off=False)
    assert parts[-1]["hasNext"] is False
    answer = fold(parts)
    messages = answer.get("messages", answer.get("m"))
    if messages is not None:
        assert [m.get("id", m.get("i")) for m in messages] == ["a", "b"]
        contents = [m.get("content", m.get("c")) for m in messages]
        assert contents in ([["one", "two"], ["three"]], [None, None])
    status = answer.get("status", answer.get("s"))
    assert status in ({"code": "Success"}, None)


async def test_labels_travel_with_their_parts() -> None:
    document = DOCUMENTS.get(
        "mutation ($data: GenerateCopilotResponseInput!) { generateCopilotResponse(data: $data) {"
        ' messages @stream(label: "s") { id } ...on CopilotResponse @defer(label: "d") { threadId } } }'
    )
    parts = await parts_of(text_events("a", []), document)
    labels = {entry["label"] for part in parts for entry in part.get("incremental", ())}
    assert labels == {"s", "d"}


async def test_neighbouring_tokens_share_an_entry() -> None:
    parts = await parts_of(text_events("a", ["one", "two", "three"]))
    entries = [entry for part in parts for entry in part.get("incremental", ())]
    tokens = [entry for entry in entries if entry["path"][-2:] == ["content", 0]]
    assert [entry["items"] for entry in tokens] == [["one", "two", "three"]]


async def test_two_runs_of_one_request_are_both_answered() -> None:
    document = DOCUMENTS.get(
        "mutation ($data: GenerateCopilotResponseInput!) {"
        " a: generateCopilotResponse(data: $data) { messages @stream { id } }"
        " b: generateCopilotResponse(data: $data) { messages @stream { id } } }"
    )
    parts = await parts_of(text_events("m", ["x"]), document)
    paths = [entry["path"] for part in parts for entry in part.get("incremental", ())]
    assert paths == [["a", "messages", 0], ["b", "messages", 0]]
    assert parts[-1]["hasNext"] is False
