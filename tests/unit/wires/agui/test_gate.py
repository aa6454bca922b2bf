"""The gate: whatever a provider yields, every client can read what comes out."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilotkit_runtime.runtime import events
from copilotkit_runtime.wires.agui.frames import frame
from copilotkit_runtime.wires.agui.gate import Gate, GateOptions
from tests.support.executed_lines import lines_of

FINISHED = events.RunFinished(thread_id="t", run_id="r")


def passed(*given_: events.Event, options: GateOptions | None = None, known: tuple[str, ...] = ()) -> list[Any]:
    """The JSON objects that a client gets of a run."""
    gate = Gate("t", "r", options, known=known)
    shown = [json.loads(frame(event).removeprefix(b"data: ")) for event in given_ for event in gate.pass_([event])]
    return [*shown, *(json.loads(frame(event).removeprefix(b"data: ")) for event in gate.finish())]


def types_of(shown: list[Any]) -> list[str]:
    return [event["type"] for event in shown]


def body_of(*given_: events.Event, **options: Any) -> list[Any]:
    """What is between the first and the last event of the run."""
    shown = passed(*given_, **options)
    assert shown[0] == {"type": "RUN_STARTED", "threadId": "t", "runId": "r"}
    assert shown[-1]["type"] == "RUN_FINISHED"
    return shown[1:-1]


def test_a_run_begins_and_ends_without_events_for_it() -> None:
    assert body_of() == []


def test_a_run_keeps_the_ids_that_the_client_gave_it() -> None:
    assert body_of(events.RunStarted(thread_id="other", run_id="other")) == []


def test_nothing_follows_the_end() -> None:
    late = events.TextMessageContent(message_id="a", delta="late")
    assert types_of(passed(FINISHED, late, FINISHED)) == ["RUN_STARTED", "RUN_FINISHED"]


def test_what_is_open_is_closed_from_the_inside_out() -> None:
    shown = body_of(
        events.StepStarted(step_name="outer"),
        events.ReasoningStart(message_id="r"),
        events.ReasoningMessageStart(message_id="r1"),
        events.TextMessageStart(message_id="a"),
        events.ToolCallStart(tool_call_id="c", tool_call_name="f"),
    )
    assert types_of(shown)[5:] == [
        "TOOL_CALL_END",
        "TOOL_CALL_RESULT",
        "TEXT_MESSAGE_END",
        "REASONING_MESSAGE_END",
        "REASONING_END",
        "STEP_FINISHED",
    ]


def test_a_call_that_was_cut_off_is_answered() -> None:
    shown = body_of(events.ToolCallStart(tool_call_id="c", tool_call_name="f"))
    assert shown[-1]["content"] == '{"status":"stopped"}'


def test_a_failure_closes_what_is_open_before_it_is_reported() -> None:
    failure = events.RunError(message="no", code="X", details={"n": 1})
    shown = passed(events.TextMessageStart(message_id="a"), failure)
    assert types_of(shown)[-2:] == ["TEXT_MESSAGE_END", "RUN_ERROR"]
    assert shown[-1] == {"type": "RUN_ERROR", "message": "no", "code": "X", "details": {"n": 1}}


def test_a_failure_in_a_history_does_not_break_it() -> None:
    shown = passed(events.RunError(message="no", code="X"), options=GateOptions(history=True))
    assert shown[-2] == {"type": "CUSTOM", "name": "run_failed", "value": {"message": "no", "code": "X"}}
    assert shown[-1] == {"type": "RUN_FINISHED", "threadId": "t", "runId": "r"}


def test_empty_deltas_and_empty_changes_are_left_out() -> None:
    shown = body_of(
        events.TextMessageContent(message_id="a", delta=""),
        events.ToolCallArgs(tool_call_id="c", delta=""),
        events.StateDelta(delta=[]),
        events.ActivityDelta(message_id="x", activity_type="plan", patch=[]),
        events.ReasoningMessageContent(message_id="r", delta=""),
    )
    assert shown == []


def test_ids_and_roles_that_clients_need_are_filled_in() -> None:
    shown = body_of(
        events.ReasoningMessageStart(message_id="r"),
        events.ReasoningMessageEnd(message_id="r"),
        events.ToolCallResult(tool_call_id="c", content="ok"),
        events.TextMessageStart(message_id="a", role="narrator"),
        events.TextMessageEnd(message_id="a"),
    )
    assert shown[0]["role"] == "reasoning"
    assert shown[2]["messageId"] == "result-c"
    assert shown[3]["role"] == "assistant"


def test_an_id_that_is_used_again_becomes_another_message() -> None:
    text = [events.TextMessageStart(message_id="a"), events.TextMessageContent(message_id="a", delta="x")]
    shown = body_of(*text, events.TextMessageEnd(message_id="a"), *text)
    assert [event["messageId"] for event in shown] == ["a", "a", "a", "a-2", "a-2", "a-2"]


def test_several_questions_are_one_list() -> None:
    ask = [events.Custom(name=events.INTERRUPT, value=value) for value in ("one?", "two?")]
    assert body_of(*ask)[-1] == {"type": "CUSTOM", "name": "on_interrupt", "value": ["one?", "two?"]}


def test_the_sdk_s_question_is_sent_like_any_other() -> None:
    value = {"data": {"value": "sure?", "messages": []}}
    shown = body_of(events.Custom(name=events.COPILOTKIT_INTERRUPT, value=value))
    assert shown == [{"type": "CUSTOM", "name": "on_interrupt", "value": "sure?"}]


def test_the_outcome_has_interrupts_where_that_is_set() -> None:
    options = GateOptions(interrupt_outcome=True)
    shown = passed(events.Custom(name=events.INTERRUPT, value="sure?"), options=options)
    assert shown[-1]["outcome"]["type"] == "interrupt"
    [asked] = shown[-1]["outcome"]["interrupts"]
    assert (asked["message"], asked["metadata"]) == ("sure?", {"value": "sure?"})


def test_a_standard_interrupt_keeps_its_id() -> None:
    value = {"id": "i", "reason": "tool_call", "toolCallId": "c", "message": None, "more": 1}
    shown = passed(events.Custom(name=events.INTERRUPT, value=value), options=GateOptions(interrupt_outcome=True))
    assert shown[-1]["outcome"]["interrupts"] == [{"id": "i", "reason": "tool_call", "toolCallId": "c"}]


def test_what_is_between_the_runtime_and_its_providers_stays_there() -> None:
    internal = [events.EXIT, events.EXTENSIONS, events.AGENT_ENTERED, events.AGENT_LEFT, events.PREDICT_STATE]
    customs = [events.Custom(name=name, value={}) for name in internal]
    broken = events.Custom(name="error", value={"message": "State cannot be shown: x."})
    raw = events.Raw(event={"secret": 1})
    assert body_of(*customs, broken, raw, events.RunUsage(input_tokens=1)) == []


@pytest.mark.parametrize("failed", [False, True])
@pytest.mark.parametrize("history", [False, True])
def test_what_a_run_cost_is_reported_at_its_end_by_model(*, failed: bool, history: bool) -> None:
    calls = [
        events.RunUsage(input_tokens=5, output_tokens=2, cached_tokens=4, model="m"),
        events.RunUsage(input_tokens=1, output_tokens=1, reasoning_tokens=1, model="m"),
        events.RunUsage(output_tokens=3),
    ]
    end = events.RunError(message="no") if failed else events.RunFinished(thread_id="t", run_id="r")
    shown = passed(*calls, end, options=GateOptions(history=history))
    assert shown[-1]["usage"] == [
        {
            "model": "m",
            "inputTokens": 6,
            "outputTokens": 3,
            "totalTokens": 9,
            "cachedInputTokens": 4,
            "reasoningTokens": 1,
        },
        {"inputTokens": 0, "outputTokens": 3, "totalTokens": 3},
    ]


def test_an_applications_own_events_pass() -> None:
    shown = body_of(events.Custom(name="error", value={"message": "mine"}), events.Custom(name="x"))
    assert [event["value"] for event in shown] == [{"message": "mine"}, None]


def test_frameworks_events_pass_where_they_are_wanted() -> None:
    assert types_of(body_of(events.Raw(event={}), options=GateOptions(raw=True))) == ["RAW"]


def test_the_client_sees_the_agents_state_without_what_it_has_otherwise() -> None:
    shown = body_of(
        events.StateSnapshot(snapshot={"n": 1, "messages": [], "tools": [], "context": [], "copilotkit": {}}),
        events.StateSnapshot(snapshot={"n": 1, "messages": [1]}),
        events.StateSnapshot(snapshot=[1]),
        events.StateDelta(delta=[{"op": "replace", "path": "/messages/0", "value": 1}]),
        events.StateDelta(delta=[{"op": "replace", "path": "/n", "value": 1}]),
        events.StateDelta(delta=[{"op": "replace", "path": "/n", "value": 2}]),
    )
    assert shown == [
        {"type": "STATE_SNAPSHOT", "snapshot": {"n": 1}},
        {"type": "STATE_DELTA", "delta": [{"op": "replace", "path": "/n", "value": 2}]},
    ]


def test_another_agents_state_is_not_the_clients() -> None:
    shown = body_of(
        events.Custom(name=events.AGENT_ENTERED, value={}),
        events.StateSnapshot(snapshot={"n": 1}),
        events.Custom(name=events.AGENT_LEFT, value={}),
        events.StateSnapshot(snapshot={"n": 2}),
    )
    assert shown == [{"type": "STATE_SNAPSHOT", "snapshot": {"n": 2}}]


def test_state_grows_with_a_tools_arguments_and_becomes_the_true_one() -> None:
    rule = [{"state_key": "draft", "tool": "write", "tool_argument": "text"}]
    shown = body_of(
        events.StateSnapshot(snapshot={"draft": ""}),
        events.StepStarted(step_name="s"),
        events.Custom(name=events.PREDICT_STATE, value=rule),
        events.ToolCallStart(tool_call_id="c", tool_call_name="write"),
        events.ToolCallArgs(tool_call_id="c", delta='{"text": "once upon'),
        events.ToolCallArgs(tool_call_id="c", delta=' a time"}'),
        events.ToolCallEnd(tool_call_id="c"),
        events.StepFinished(step_name="s"),
    )
    states = [event for event in shown if event["type"].startswith("STATE")]
    assert states[1] == {"type": "STATE_DELTA", "delta": [{"op": "add", "path": "/draft", "value": "once upon"}]}
    assert states[2]["delta"][0]["value"] == "once upon a time"
    assert states[3] == {"type": "STATE_SNAPSHOT", "snapshot": {"draft": ""}}


THREAD = [
    {"id": "u", "role": "user", "content": "hi"},
    {"id": "a", "role": "assistant", "content": "streamed"},
    {
        "id": "b",
        "role": "assistant",
        "content": "not streamed",
        "toolCalls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    },
    {"id": "t", "role": "tool", "toolCallId": "c", "content": "ok"},
]


def test_messages_that_were_not_streamed_are_shown_once() -> None:
    streamed = [events.TextMessageStart(message_id="a"), events.TextMessageEnd(message_id="a")]
    snapshot = events.MessagesSnapshot(messages=THREAD)
    shown = body_of(*streamed, snapshot, snapshot, known=("u",))
    assert types_of(shown)[2:] == [
        "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_END",
        "TOOL_CALL_START",
        "TOOL_CALL_ARGS",
        "TOOL_CALL_END",
        "TOOL_CALL_RESULT",
    ]
    assert shown[2]["messageId"] == "b"


def test_a_copy_under_another_id_is_not_shown_again() -> None:
    answers = [{"id": id_, "role": "assistant", "content": "ok"} for id_ in ("x", "y")]
    asked = {"id": "u", "role": "user", "content": "hi"}
    once = events.MessagesSnapshot(messages=[asked, answers[0]])
    twice = events.MessagesSnapshot(messages=[asked, *answers])
    pieces = [events.TextMessageContent(message_id="a", delta=delta) for delta in "ok"]
    shown = body_of(*pieces, once, once, twice, twice, known=("u",))
    assert [event["messageId"] for event in shown if event["type"] == "TEXT_MESSAGE_START"] == ["a", "y"]


ASKED = {"id": "u", "role": "user", "content": "hi"}
CORRECTED = events.MessagesSnapshot(messages=[ASKED, {"id": "a", "role": "assistant", "content": "[hidden]"}])
SECRET = [events.TextMessageContent(message_id="a", delta=delta) for delta in ("sec", "ret")]


def test_a_text_that_the_agent_corrects_is_corrected_at_the_client() -> None:
    shown = body_of(*SECRET, events.TextMessageEnd(message_id="a"), CORRECTED, known=("u",))
    assert shown[-1] == {"type": "MESSAGES_SNAPSHOT", "messages": CORRECTED.messages}


@pytest.mark.parametrize(
    ("known", "before", "behind"),
    [
        (("u", "elsewhere"), [], []),
        (("u",), [events.TextMessageContent(message_id="b", delta="not in it")], []),
        (("u",), [events.ToolCallStart(tool_call_id="c", tool_call_name="f")], []),
        (("u",), [events.ToolCallResult(tool_call_id="c", content="ok")], []),
        (("u",), [events.ReasoningStart(message_id="r")], []),
        (("u",), [], [events.TextMessageContent(message_id="a", delta=" and more")]),
        (("u",), [], [events.TextMessageContent(message_id="b", delta="later")]),
    ],
)
def test_no_correction_takes_from_a_client_what_it_has(
    known: tuple[str, ...], before: list[events.Event], behind: list[events.Event]
) -> None:
    shown = body_of(*before, *SECRET, CORRECTED, *behind, known=known)
    assert "MESSAGES_SNAPSHOT" not in types_of(shown)


def test_twice_the_texts_and_snapshots_cost_twice_the_work() -> None:
    def show(number: int) -> None:
        gate = Gate("t", "r", known=("u",))
        for each in map(str, range(number)):
            thread = [{"id": "u", "role": "user", "content": "hi"}, {"id": f"copy-{each}", **text_of(each)}]
            gate.pass_([events.TextMessageContent(message_id=each, delta=each)])
            gate.pass_([events.MessagesSnapshot(messages=thread)])

    show(1)
    small, large = (lines_of(partial(show, number)) for number in (100, 200))
    assert large <= 2.2 * small


def text_of(content: str) -> dict[str, str]:
    return {"role": "assistant", "content": content}


def test_a_history_that_the_client_has_no_part_of_is_not_an_answer() -> None:
    old = events.MessagesSnapshot(messages=THREAD)
    assert types_of(body_of(old, events.TextMessageStart(message_id="z"), known=("u9",))) == [
        "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_END",
    ]


def test_an_agent_that_only_reports_its_thread_is_shown() -> None:
    shown = body_of(events.MessagesSnapshot(messages=THREAD[:2]), known=("other",))
    assert [event.get("delta") for event in shown] == [None, "streamed", None]


def reasoning(setting: Any) -> list[str]:
    return types_of(
        body_of(
            events.ReasoningStart(message_id="r"),
            events.ReasoningMessageStart(message_id="r1"),
            events.ReasoningMessageContent(message_id="r1", delta="hm"),
            events.ReasoningMessageEnd(message_id="r1"),
            events.ReasoningEncryptedValue(subtype="message", entity_id="r1", encrypted_value="x"),
            options=GateOptions(reasoning=setting),
        )
    )


def test_reasoning_is_shown_as_the_setting_chooses() -> None:
    kinds = ["START", "MESSAGE_START", "MESSAGE_CONTENT", "MESSAGE_END", "END"]
    assert reasoning("on") == [f"REASONING_{kind}" for kind in kinds]
    assert reasoning("thinking") == [
        "THINKING_START",
        "THINKING_TEXT_MESSAGE_START",
        "THINKING_TEXT_MESSAGE_CONTENT",
        "THINKING_TEXT_MESSAGE_END",
        "THINKING_END",
    ]
    assert reasoning("off") == []


def test_sealed_reasoning_goes_only_where_the_agent_needs_it_back() -> None:
    sealed = events.ReasoningEncryptedValue(subtype="message", entity_id="a", encrypted_value="x")
    assert body_of(sealed) == []
    assert types_of(body_of(sealed, options=GateOptions(encrypted_reasoning=True))) == ["REASONING_ENCRYPTED_VALUE"]


def test_halves_of_surrogate_pairs_do_not_break_the_stream() -> None:
    shown = body_of(events.TextMessageContent(message_id="a", delta="\ud83d"))
    assert shown[1]["delta"] == "\ufffd"


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "\u2028"])
def test_a_frame_is_one_line(text: str) -> None:
    data = frame({"delta": text})
    assert data.endswith(b"\n\n")
    assert b"\n" not in data[:-2]
    assert b"\r" not in data


IDS = st.sampled_from(["a", "b", "c"])
JSON = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4) | st.dictionaries(IDS, st.integers())
PATCH = st.lists(
    st.fixed_dictionaries({"op": st.sampled_from(["add", "replace", "remove"]), "path": st.just("/a"), "value": JSON}),
    max_size=2,
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "delta": st.text(max_size=3),
    "snapshot": JSON,
    "messages": st.lists(st.sampled_from(THREAD) | st.dictionaries(IDS, JSON), max_size=4),
    "content": st.text(max_size=3),
    "name": st.sampled_from([events.INTERRUPT, events.EXIT, events.COPILOTKIT_INTERRUPT, "x", events.AGENT_LEFT]),
    "value": JSON,
    "event": JSON,
    "result": JSON,
    "patch": PATCH,
    "subtype": st.sampled_from(["message", "tool-call"]),
    "role": st.sampled_from(["assistant", "user", "odd"]),
}


def instances(kind: type[events.BaseEvent]) -> st.SearchStrategy[Any]:
    """Events of a kind, with few ids, so that they meet."""
    fields = {name: FIELDS.get(name, IDS) for name in kind.__struct_fields__}
    if kind is events.StateDelta:
        fields["delta"] = PATCH
    if kind is events.ActivitySnapshot:
        fields |= {"content": st.dictionaries(IDS, JSON), "replace": st.booleans()}
    if kind is events.TextMessageStart:
        fields["name"] = st.none() | IDS
    if kind is events.RunUsage:
        fields = {}
    if kind is events.RunError:
        fields |= {"details": st.none() | st.dictionaries(IDS, JSON), "code": st.none() | IDS}
    return st.builds(kind, **fields)


ANYTHING = st.one_of([instances(kind) for kind in get_args(events.Event)])


@given(st.lists(ANYTHING, max_size=25), st.sampled_from(["on", "thinking", "off"]))
def test_whatever_is_yielded_the_rules_are_kept(run: list[events.Event], setting: Any) -> None:
    shown = passed(*run, options=GateOptions(reasoning=setting, raw=True, encrypted_reasoning=True))
    assert shown[0]["type"] == "RUN_STARTED"
    assert [event["type"] for event in shown if event["type"] in ("RUN_FINISHED", "RUN_ERROR")] == [shown[-1]["type"]]
    opened: set[tuple[str, str]] = set()
    for event in shown:
        assert None not in [value for key, value in event.items() if key not in ("value", "event", "result")]
        kind, _, moment = event["type"].rpartition("_")
        id_ = next((event[key] for key in ("messageId", "toolCallId", "stepName") if key in event), "")
        if moment in ("START", "STARTED") and kind != "RUN":
            assert (kind, id_) not in opened
            opened.add((kind, id_))
        elif moment in ("CONTENT", "ARGS"):
            assert (kind, id_) in opened
            assert event["delta"]
        elif moment in ("END", "FINISHED") and kind != "RUN":
            opened.remove((kind, id_))
    assert not opened


def test_ids_that_look_like_replacements_are_replaced_without_the_interpreters_stack() -> None:
    gate = Gate("t", "r")
    ids = ["a" + "-2" * number for number in range(1500)]
    shown = gate.pass_([events.StepStarted(step_name="s")])
    for id_ in (*ids, "a"):
        shown = gate.pass_([events.TextMessageStart(message_id=id_), events.TextMessageEnd(message_id=id_)])
    assert shown[0]["messageId"] == "a" + "-2" * 1500
