"""Compaction makes a run's events shorter and changes nothing that a reader ends up with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilotkit_runtime import errors, events
from copilotkit_runtime.runtime.runs.compaction import Compactor, compact
from tests.support.executed_lines import lines_of
from tests.unit.runtime.runs.streams import Events, kept, shown, streams, verified


def text(id_: str, *deltas: str) -> Events:
    contents = [events.TextMessageContent(message_id=id_, delta=delta) for delta in deltas]
    return [events.TextMessageStart(message_id=id_), *contents, events.TextMessageEnd(message_id=id_)]


def run(*inner: events.Event, id_: str = "r") -> Events:
    started = events.RunStarted(thread_id="t", run_id=id_)
    return [started, *inner, events.RunFinished(thread_id="t", run_id=id_)]


@given(streams(), st.data())
def test_a_compacted_beginning_and_the_rest_end_as_the_whole_does(stream: Events, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(stream)))
    before = deepcopy(stream)

    joined = [*compact(stream[:cut]), *stream[cut:]]

    verified(joined)
    assert kept(joined) == kept(stream)
    assert shown(joined) == shown(stream)
    assert stream == before, "compaction must not change the events that it is given"


@given(streams(), st.data())
def test_an_early_result_stays_as_it_was_and_compacting_again_loses_nothing(
    stream: Events, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(stream)))
    compactor = Compactor()
    for event in stream[:cut]:
        compactor.add(event)
    early = compactor.compacted()
    copy = deepcopy(early)
    for event in stream[cut:]:
        compactor.add(event)

    assert early == copy
    assert compactor.compacted() == compact(stream)
    again = compact([*early, *stream[cut:]])
    verified(again)
    assert (kept(again), shown(again)) == (kept(stream), shown(stream))


@given(streams(ended=False))
def test_what_is_open_stays_open_and_can_be_closed(stream: Events) -> None:
    closing = verified(stream).closing()
    assert verified(compact(stream)).closing() == closing
    verified([*compact(stream), *closing, events.RunFinished(thread_id="t", run_id="r")])


@given(streams())
def test_there_is_one_entry_for_each_message_call_and_state(stream: Events) -> None:
    compacted = compact(stream)

    began = Counter(type(event) for event in stream)
    count = Counter(type(event) for event in compacted)
    for start, content in (
        (events.TextMessageStart, events.TextMessageContent),
        (events.ToolCallStart, events.ToolCallArgs),
        (events.ReasoningMessageStart, events.ReasoningMessageContent),
    ):
        # A text that goes on behind the snapshot of the thread has a second part there.
        assert count[content] <= began[start] + 3 * count[events.MessagesSnapshot]
    assert max(count[events.StateSnapshot], count[events.MessagesSnapshot]) <= 1
    assert (count[events.StateDelta], count[events.Raw]) == (0, 0)


def test_interleaved_texts_and_calls_keep_the_order_in_which_they_began() -> None:
    first, call = text("m", "a", "b"), events.ToolCallStart(tool_call_id="c", tool_call_name="tool")
    arguments = [events.ToolCallArgs(tool_call_id="c", delta=delta) for delta in ("{", "}")]
    ended = events.ToolCallEnd(tool_call_id="c")

    stream = run(first[0], first[1], call, arguments[0], first[2], arguments[1], ended, first[3])

    joined = events.ToolCallArgs(tool_call_id="c", delta="{}")
    assert compact(stream) == run(*text("m", "ab"), call, joined, ended)


def test_nothing_crosses_the_border_of_a_run() -> None:
    first, second = run(*text("m", "a"), id_="same"), run(*text("m", "b"), id_="same")
    assert compact([*first, *second]) == [*first, *second]


def test_a_text_that_goes_on_behind_the_snapshot_of_the_thread_is_not_shown_short() -> None:
    snapshot = events.MessagesSnapshot(messages=[{"id": "m", "role": "assistant", "content": "ab"}])
    start, a, b, c, end = text("m", "a", "b", "c")

    stream = run(start, a, b, snapshot, c, end)

    assert shown(compact(stream)) == {"m": "abc"}
    assert kept(compact(stream)) == kept(stream)


def test_the_states_of_an_agent_within_the_run_do_not_become_its_own() -> None:
    outer, inner = events.StateSnapshot(snapshot={"outer": 1}), events.StateSnapshot(snapshot={"inner": 1})
    entered, left = (events.Custom(name=name, value={}) for name in (events.AGENT_ENTERED, events.AGENT_LEFT))
    changes = [events.StateDelta(delta=[{"op": "add", "path": f"/{key}", "value": 1}]) for key in "ab"]

    both = [change for event in changes for change in event.delta]
    assert compact(run(outer, entered, inner, left, *changes)) == run(
        outer, entered, inner, left, events.StateDelta(delta=both)
    )


def test_a_step_that_is_entered_again_and_again_takes_up_one_place() -> None:
    step = [events.StepStarted(step_name="loop"), events.StepFinished(step_name="loop")]
    assert compact(run(*step * 100)) == run(*step)


def test_a_delta_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(errors.ProtocolError, match="does not fit"):
        compact(run(events.StateDelta(delta=[{"op": "remove", "path": "/missing"}])))


def test_the_work_per_event_does_not_grow_with_what_came_before() -> None:
    compactor = Compactor()
    for event in (events.TextMessageStart(message_id="m"), events.StateSnapshot(snapshot={"list": []})):
        compactor.add(event)
    for _ in range(20_000):
        compactor.add(events.TextMessageContent(message_id="m", delta="a"))
        compactor.add(events.StateDelta(delta=[{"op": "add", "path": "/list/-", "value": 1}]))
    (_, content, state) = compactor.compacted()
    assert content == events.TextMessageContent(message_id="m", delta="a" * 20_000)
    assert isinstance(state, events.StateSnapshot)
    assert len(state.snapshot["list"]) == 20_000


def _open_beside_snapshots(number: int) -> Events:
    """Texts that are all open while the agent sends its thread again and again."""
    texts = [events.TextMessageStart(message_id=str(each)) for each in range(number)]
    snapshot = events.MessagesSnapshot(messages=[])
    return [*texts, *(each for text in texts for each in (snapshot, content(text.message_id)))]


def _open_one_after_another(number: int) -> Events:
    """Texts of which none ends."""
    starts = [events.TextMessageStart(message_id=str(each)) for each in range(number)]
    return [each for start in starts for each in (start, content(start.message_id))]


def content(id_: str) -> events.Event:
    return events.TextMessageContent(message_id=id_, delta="x")


@pytest.mark.parametrize("stream_of", [_open_beside_snapshots, _open_one_after_another])
def test_twice_the_open_texts_cost_twice_the_work(stream_of: Callable[[int], Events]) -> None:
    small, large = (lines_of(partial(_compact_in_portions, stream_of(number))) for number in (100, 200))
    assert large <= 2.2 * small


def _compact_in_portions(stream: Events) -> None:
    compactor = Compactor()
    for start in range(0, len(stream), 4):
        compactor.add_all(stream[start : start + 4])
    compactor.compacted()
