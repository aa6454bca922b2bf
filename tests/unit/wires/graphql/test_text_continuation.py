"""A text's continuation is written as the general way writes it, byte for byte, whatever comes and is asked for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import TypeAlias
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from copilotkit_runtime import AgentDescriptor, AgentProvider, RunContext, RunInput, RuntimeConfig, events
from copilotkit_runtime.runtime.service import RuntimeService
from copilotkit_runtime.runtime.stores.memory import MemoryStore
from copilotkit_runtime.wires.graphql import text_continuation
from copilotkit_runtime.wires.graphql.context import GraphQLContext
from copilotkit_runtime.wires.graphql.documents import Document
from copilotkit_runtime.wires.graphql.execution import GraphQLRequest
from copilotkit_runtime.wires.graphql.incremental_result import IncrementalAnswer
from copilotkit_runtime.wires.graphql.response import Channel
from copilotkit_runtime.wires.graphql.text_continuation import DROPPED_PIECES, TextContinuation
from copilotkit_runtime.wires.http.client import ClientRequest
from tests.support.request_bodies import generate, text_message
from tests.unit.wires.graphql.test_incremental import DOCUMENT, DOCUMENTS, EXECUTION, runs, text_events

Groups: TypeAlias = list[list[events.Event]]

_MADE_UP = re.compile(rb"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[0-9:.]+Z")
"""What differs between any two answers: ids that are made up, and the time."""

ASKED = {
    "as clients ask": DOCUMENT,
    **{
        name: DOCUMENTS.get(
            "mutation ($data: GenerateCopilotResponseInput!) { generateCopilotResponse(data: $data)"
            f" {{ threadId messages @stream {{ id ...on TextMessageOutput {{ {selection} }} }} }} }}"
        )
        for name, selection in {
            "with a label": 'content @stream(label: "piece")',
            "under another name": "said: content @stream",
            "twice": "content @stream again: content @stream",
            "with first pieces": "content @stream(initialCount: 2)",
            "whole": "content",
            "once more with the status": "content @stream ...@defer { status { __typename } whole: content }",
            "with the status, as clients do": "content @stream ...@defer { status { __typename } }",
        }.items()
    },
    "in another list, where it is whole": DOCUMENTS.get(
        "mutation ($data: GenerateCopilotResponseInput!) { generateCopilotResponse(data: $data) { messages @stream {"
        " ...on TextMessageOutput { content @stream } } whole: messages @stream { ...on TextMessageOutput { content }"
        " } } }"
    ),
    "once more at the end": DOCUMENTS.get(
        "mutation ($data: GenerateCopilotResponseInput!) { generateCopilotResponse(data: $data) { messages @stream {"
        " ...on TextMessageOutput { content @stream } } ...@defer { status { __typename } whole: messages {"
        " ...on TextMessageOutput { content } } } } }"
    ),
}


class Paced(AgentProvider):
    """Plays groups of events, each in one turn of the loop."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="paced")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        for group in self._groups:
            for event in group:
                yield event
            for _ in range(3):
                await asyncio.sleep(0)


@contextmanager
def general_way() -> Iterator[None]:
    """Take the short way never."""
    with patch.object(TextContinuation, "part", return_value=None):
        yield


async def written(groups: Groups, document: Document) -> list[bytes]:
    service = RuntimeService(RuntimeConfig(), MemoryStore(), None)
    service.add_provider(Paced(groups))
    asked = generate(text_message("hi"), agent="paced", threadId="thread")["variables"]
    context = GraphQLContext(service=service, client=ClientRequest(headers={}))
    answer = await EXECUTION.incremental(GraphQLRequest(document, asked, None), context)
    assert isinstance(answer, IncrementalAnswer)
    parts = [answer.first]
    while not answer.finished:
        await answer.arrival()
        part = answer.take()
        parts += [] if part is None else [part]
    return [_MADE_UP.sub(b"", part) for part in parts]


@st.composite
def groups(draw: st.DrawFn) -> Groups:
    """The events of a run, cut into groups, most of one event."""
    steps = draw(runs())
    taken: Groups = []
    while steps:
        size = draw(st.sampled_from([1, 1, 1, 2, 4]))
        taken.append(steps[:size])
        steps = steps[size:]
    return taken


ODD = text_events("m", ['"', "\\", "\n\x00", "", "é", "\U0001f600", "\ud83d", "\ude00", "</script>", "a" * 300])


@given(groups(), st.sampled_from(list(ASKED)))
@example([[event] for event in ODD], "as clients ask")
@example([[event] for event in ODD], "with a label")
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_a_continued_text_is_written_as_the_general_way_writes_it(steps: Groups, asked: str) -> None:
    with patch.object(text_continuation, "DROPPED_PIECES", 2):
        short = await written(steps, ASKED[asked])
    with general_way():
        assert short == await written(steps, ASKED[asked])


async def test_clients_tokens_go_the_short_way() -> None:
    taken = 0
    part = TextContinuation.part

    def counted(self: TextContinuation, batch: list[events.Event]) -> bytes | None:
        nonlocal taken
        found = part(self, batch)
        taken += found is not None
        return found

    with patch.object(TextContinuation, "part", counted):
        await written([[event] for event in text_events("m", ["one", "two", "three", "four"])], DOCUMENT)
    assert taken == 3


@pytest.mark.parametrize("asked", list(ASKED))
async def test_a_long_text_is_written_alike_though_its_pieces_are_let_go_of(asked: str) -> None:
    steps = [[event] for event in text_events("m", [f"{number} " for number in range(2 * DROPPED_PIECES + 10)])]
    with patch.object(Channel, "drop", autospec=True, side_effect=Channel.drop) as drop:
        parts = await written(steps, ASKED[asked])
    keeps = "once more" in asked or asked in {"in another list, where it is whole", "whole", "twice"}
    assert drop.call_count == (0 if keeps or "first pieces" in asked else 2)
    with general_way():
        assert parts == await written(steps, ASKED[asked])
