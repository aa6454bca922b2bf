"""A reader that has fallen behind gets what it has not read, and nothing twice."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilotkit_runtime.runtime import events
from copilotkit_runtime.runtime.runs import log
from copilotkit_runtime.runtime.runs.catch_up import ReadEvents
from copilotkit_runtime.runtime.runs.compaction import compact
from copilotkit_runtime.runtime.runs.handle import RunHandle
from copilotkit_runtime.runtime.runs.log import Lagged, RunLog
from copilotkit_runtime.runtime.runs.run import Run
from copilotkit_runtime.wires.agui.gate import Gate
from copilotkit_runtime.wires.agui.joined_run import JoinedRun

RUN: list[events.Event] = [
    events.RunStarted(thread_id="t", run_id="r"),
    events.StepStarted(step_name="s"),
    events.TextMessageStart(message_id="a"),
    *[events.TextMessageContent(message_id="a", delta=str(n)) for n in range(5)],
    events.ToolCallStart(tool_call_id="c", tool_call_name="f", parent_message_id="a"),
    events.ToolCallArgs(tool_call_id="c", delta='{"a":'),
    events.ToolCallArgs(tool_call_id="c", delta="1}"),
    events.TextMessageEnd(message_id="a"),
    events.ToolCallEnd(tool_call_id="c"),
    events.Custom(name="one"),
    events.ToolCallResult(tool_call_id="c", content="ok"),
    events.Custom(name="two"),
    events.TextMessageStart(message_id="b"),
    events.TextMessageContent(message_id="b", delta="end"),
    events.TextMessageEnd(message_id="b"),
    events.StepFinished(step_name="s"),
    events.RunFinished(thread_id="t", run_id="r"),
]


def said(passed: list[object]) -> tuple[str, str, str, list[str]]:
    """All text, all arguments, and how often what was told, whatever pieces it came in."""
    texts = "".join(e.delta for e in passed if isinstance(e, events.TextMessageContent))
    arguments = "".join(e.delta for e in passed if isinstance(e, events.ToolCallArgs))
    shapes = [event for event in passed if isinstance(event, dict)]
    kinds = ("TEXT_MESSAGE_START", "TEXT_MESSAGE_END", "TOOL_CALL_START", "TOOL_CALL_END", "TOOL_CALL_RESULT")
    told = sorted(f"{shape['type']} {shape.get('messageId')}" for shape in shapes if shape["type"] in kinds)
    customs = [str(shape["name"]) for shape in shapes if shape["type"] == "CUSTOM"]
    return texts, arguments, " ".join(told), customs


PLACES = st.integers(0, len(RUN))


@given(st.tuples(PLACES, PLACES, PLACES))
def test_what_was_missed_is_read_once(places: tuple[int, int, int]) -> None:
    read, compacted, written = sorted(places)
    gate, ledger = Gate("t", "r"), ReadEvents()
    passed = list(gate.pass_(RUN[:read]))
    ledger.note(RUN[:read])
    passed += gate.pass_(ledger.rest_of([*compact(RUN[:compacted]), *RUN[compacted:written]]))
    passed += gate.pass_(RUN[written:])
    assert said(passed) == said(list(Gate("t", "r").pass_(RUN)))


async def read(joined: JoinedRun) -> list[events.Event]:
    """All that there is to take now."""
    await joined.arrival()
    try:
        return list(joined.take())
    except Lagged:
        await joined.catch_up()
        return list(joined.take())


async def test_a_reader_that_falls_behind_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "TAIL_EVENTS", 4)
    written = RunLog(1000)
    pieces: list[events.Event] = [events.TextMessageContent(message_id="a", delta=f"{n} ") for n in range(40)]

    def handle() -> RunHandle:
        return RunHandle(Mock(spec=Run), written.subscribe(attached=False))

    async def reopen() -> RunHandle:
        return handle()

    joined = JoinedRun(handle(), reopen)
    for event in (RUN[0], RUN[2], pieces[0]):
        written.force(event)
    gate = Gate("t", "r")
    passed = list(gate.pass_(await read(joined)))
    for event in pieces[1:]:
        written.force(event)
    written.close()
    passed += gate.pass_(await read(joined))
    assert said(passed)[0] == "".join(f"{n} " for n in range(40))
    assert await read(joined) == []
