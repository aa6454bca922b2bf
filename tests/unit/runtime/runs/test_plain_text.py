"""The short way of a run's text leaves in the log and the transcript what the general way leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from itertools import count
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from copilotkit_runtime import AgentDescriptor, AgentProvider, RunContext, RunInput, events
from copilotkit_runtime.runtime.runs import message_ids
from copilotkit_runtime.runtime.runs.plain_text import PlainText
from copilotkit_runtime.runtime.runs.run import PreparedRun, Run
from copilotkit_runtime.runtime.runs.stages import Stage

PIECES = ["a", "", "é", "\U0001f600", "\ud83d", "\ude00", "b\x00"]


class Player(AgentProvider):
    name = "player"

    def __init__(self, steps: list[Any]) -> None:
        self._steps = steps

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="player")]

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[events.Event]:
        for step in self._steps:
            await asyncio.sleep(0)
            yield step


class Louder(Stage):
    """Changes all text."""

    async def feed(self, event: events.Event) -> None:
        if isinstance(event, events.TextMessageContent):
            event = events.TextMessageContent(message_id=event.message_id, delta=event.delta.upper())
        await self.emit(event)


class Transparent(Stage):
    """Changes nothing."""

    async def feed(self, event: events.Event) -> None:
        await self.emit(event)

    def passes_text(self, message_id: str) -> bool:
        return True


STAGES: dict[str, list[type[Stage]]] = {
    "none": [],
    "a transparent one": [Transparent],
    "one that changes text": [Louder],
    "both": [Transparent, Louder],
}


async def left(steps: list[Any], stages: list[type[Stage]]) -> tuple[list[events.Event], list[Any], str]:
    async def prepare() -> PreparedRun:
        return PreparedRun(input=given_input, stages=stages)

    async def kept(_run: Run) -> None:
        pass

    given_input = RunInput(thread_id="t", run_id="r", messages=[])
    run = Run(Player(steps), "player", given_input, RunContext(), timeout=30, on_end=kept, prepare=prepare)
    reader = run.subscribe()
    run.start()
    told: list[events.Event] = []
    while batch := await reader.read():
        told += batch
    messages = [(message.id, getattr(message, "content", None)) for message in run.transcript.messages()]
    return told, messages, run.status.value


@st.composite
def streams(draw: st.DrawFn) -> list[Any]:
    """Events of two texts and a tool call, of which some break the rules."""
    id_ = st.sampled_from(["m", "n", "é", None])
    content = st.builds(events.TextMessageContent, message_id=id_, delta=st.sampled_from(PIECES))
    event = st.one_of(
        content,
        content,
        content,
        st.builds(events.TextMessageEnd, message_id=id_),
        st.builds(events.TextMessageStart, message_id=id_),
        st.just(events.RunFinished(thread_id="t", run_id="r")),
        st.just(events.ToolCallStart(tool_call_id="c", tool_call_name="f")),
        st.just(events.ToolCallArgs(tool_call_id="c", delta="{}")),
    )
    starts = [events.TextMessageStart(message_id=draw(id_))]
    return [*starts, *draw(st.lists(event, max_size=12))]


ODD = [
    events.TextMessageStart(message_id="m"),
    *(events.TextMessageContent(message_id="m", delta=piece) for piece in PIECES),
    events.TextMessageEnd(message_id="m"),
]


@given(streams(), st.sampled_from(list(STAGES)))
@example(ODD, "none")
@example(ODD, "both")
@example([events.TextMessageStart(message_id="m"), events.TextMessageContent(message_id=None, delta="a")], "none")  # type: ignore[arg-type]
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_a_run_leaves_the_same_on_either_way(steps: list[Any], stages: str) -> None:
    short = await left_of(steps, stages)
    with patch.object(PlainText, "follow"):
        assert short == await left_of(steps, stages)


async def left_of(steps: list[Any], stages: str) -> object:
    with patch.object(message_ids, "uuid4", side_effect=count()):
        return await left(steps, STAGES[stages])
