"""What leaves a provider is fit for JSON and UTF-8 before anybody keeps or sends it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from copilotkit_runtime import AgentDescriptor, AgentProvider, RunContext, RunInput, events
from copilotkit_runtime.runtime.runs.run import Run, RunStatus

HALF = "half \ud83d"


class Scripted(AgentProvider):
    """Yields what it is given."""

    def __init__(self, *script: Any) -> None:
        self.script = script

    async def list_agents(self) -> list[AgentDescriptor]:
        return [AgentDescriptor(name="a")]

    async def execute_run(
        self, agent_name: str, run: RunInput, context: RunContext
    ) -> AsyncGenerator[events.Event, None]:
        for event in self.script:
            yield event


async def ended(_run: Run) -> None:
    pass


async def events_of(*script: Any) -> list[Any]:
    run = Run(Scripted(*script), "a", RunInput(thread_id="t", run_id="r"), RunContext(), timeout=30, on_end=ended)
    reader = run.log.subscribe()
    run.start()
    seen: list[Any] = []
    while batch := await reader.read():
        seen += batch
    assert run.status is RunStatus.FINISHED, run.error
    for event in seen:
        msgspec.json.encode(event)
    return seen


def texts(seen: list[Any]) -> str:
    return "".join(event.delta for event in seen if hasattr(event, "delta") and isinstance(event.delta, str))


class Opaque:
    """Something that JSON lacks."""


@dataclass
class Point:
    """Something that JSON can have."""

    x: int


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["a\ud83d", "\ude80b"], "a\U0001f680b"),
        (["\ud83d", "", "\ude80"], "\U0001f680"),
        (["\ud83d", "x"], "\ufffdx"),
        (["x", "\ude80"], "x\ufffd"),
        (["x\ud83d"], "x\ufffd"),
        (["é", "日本"], "é日本"),
    ],
)
async def test_half_a_character_waits_for_its_other_half(pieces: list[str], shown: str) -> None:
    content = [events.TextMessageContent(message_id="m", delta=piece) for piece in pieces]
    said = await events_of(events.TextMessageStart(message_id="m"), *content, events.TextMessageEnd(message_id="m"))
    assert texts(said) == shown
    arguments = [events.ToolCallArgs(tool_call_id="c", delta=piece) for piece in pieces]
    called = await events_of(
        events.ToolCallStart(tool_call_id="c", tool_call_name="look"), *arguments, events.ToolCallEnd(tool_call_id="c")
    )
    assert texts(called) == shown


async def test_an_id_stays_the_same_id_when_it_is_cleaned() -> None:
    seen = await events_of(
        events.TextMessageStart(message_id=HALF),
        events.TextMessageContent(message_id=HALF, delta="x"),
        events.TextMessageContent(message_id=HALF, delta="é"),
        events.TextMessageEnd(message_id=HALF),
    )
    assert {event.message_id for event in seen if hasattr(event, "message_id")} == {"half \ufffd"}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (HALF, "half \ufffd"),
        ({HALF: [HALF]}, {"half \ufffd": ["half \ufffd"]}),
        ({"good": 1, "bad": Opaque()}, {"good": 1}),
        ([1, Opaque(), 2], [1, 2]),
        ({"bad": Opaque(), "when": datetime(2026, 1, 2, tzinfo=UTC)}, {"when": "2026-01-02T00:00:00Z"}),
        ({"bad": Opaque(), "much": Decimal("1.5"), "at": Point(3)}, {"much": "1.5", "at": {"x": 3}}),
        ({"large": 2**70, "bad": Opaque()}, {"large": 2**70}),
    ],
)
async def test_values_that_json_lacks_are_left_out(value: Any, kept: Any) -> None:
    seen = await events_of(
        events.StateSnapshot(snapshot={"value": value}),
        events.Custom(name="custom", value=value),
        events.ActivitySnapshot(message_id="m", activity_type="a", content={"value": value}),
    )
    [state, custom, activity] = seen[1:-1]
    assert (state.snapshot, custom.value, activity.content) == ({"value": kept}, kept, {"value": kept})


async def test_a_value_that_contains_itself_ends_no_run() -> None:
    ring: dict[str, Any] = {"n": 1}
    ring["self"] = ring
    seen = await events_of(events.StateSnapshot(snapshot=ring))
    assert seen[1].snapshot["n"] == 1
