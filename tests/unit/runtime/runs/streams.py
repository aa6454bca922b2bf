"""Random valid event streams, and what a client makes of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jsonpatch
from hypothesis import strategies as st

from copilotkit_runtime import events
from copilotkit_runtime.runtime.runs.transcript import Transcript
from copilotkit_runtime.runtime.runs.verifier import EventVerifier

Events = list[events.Event]

_TEXTS = ("m1", "m2", "m3")
_CALLS = ("c1", "c2")
_DELTAS = st.text("ab\u00e9", max_size=3)


@st.composite
def streams(draw: st.DrawFn, *, ended: bool = True) -> Events:
    """Events of one run that keep the verifier's rules, with much of it open at once."""
    stream: Events = [events.RunStarted(thread_id="t", run_id="r")]
    writer = _Writer(draw)
    for _ in range(draw(st.integers(0, 25))):
        stream += writer.step()
    if ended:
        stream += writer.close()
        stream.append(events.RunFinished(thread_id="t", run_id="r"))
    return stream


class _Writer:
    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self._verifier = EventVerifier()
        self._open: dict[str, dict[str, None]] = {"text": {}, "call": {}, "thought": {}, "step": {}}
        self._state: dict[str, Any] = {}
        self._shows_activity = False

    def step(self) -> Events:
        kinds = (
            "text",
            "text",
            "call",
            "thought",
            "node",
            "snapshot",
            "delta",
            "result",
            "thread",
            "custom",
            "raw",
            "activity",
        )
        written: Events = getattr(self, f"_{self._draw(st.sampled_from(kinds))}")()
        for event in written:
            self._verifier.check(event)
        return written

    def close(self) -> Events:
        return self._verifier.closing()

    def _text(self) -> Events:
        id_ = self._draw(st.sampled_from(_TEXTS))
        if id_ not in self._open["text"]:
            self._open["text"][id_] = None
            return [events.TextMessageStart(message_id=id_)]
        if self._draw(st.integers(0, 3)):
            return [events.TextMessageContent(message_id=id_, delta=self._draw(_DELTAS))]
        del self._open["text"][id_]
        return [events.TextMessageEnd(message_id=id_)]

    def _call(self) -> Events:
        id_ = self._draw(st.sampled_from(_CALLS))
        if id_ not in self._open["call"]:
            self._open["call"][id_] = None
            return [events.ToolCallStart(tool_call_id=id_, tool_call_name="tool")]
        if self._draw(st.integers(0, 3)):
            return [events.ToolCallArgs(tool_call_id=id_, delta=self._draw(_DELTAS))]
        del self._open["call"][id_]
        return [events.ToolCallEnd(tool_call_id=id_)]

    def _thought(self) -> Events:
        if "r1" not in self._open["thought"]:
            self._open["thought"]["r1"] = None
            return [events.ReasoningMessageStart(message_id="r1")]
        if self._draw(st.booleans()):
            return [events.ReasoningMessageContent(message_id="r1", delta=self._draw(_DELTAS))]
        del self._open["thought"]["r1"]
        return [events.ReasoningMessageEnd(message_id="r1")]

    def _node(self) -> Events:
        name = self._draw(st.sampled_from(("plan", "act")))
        if name not in self._open["step"]:
            self._open["step"][name] = None
            return [events.StepStarted(step_name=name)]
        del self._open["step"][name]
        return [events.StepFinished(step_name=name)]

    def _snapshot(self) -> Events:
        self._state = {"list": [self._draw(st.integers(0, 9))]}
        return [events.StateSnapshot(snapshot=self._state)]

    def _delta(self) -> Events:
        value = self._draw(st.integers(0, 9))
        if "list" in self._state:
            return [events.StateDelta(delta=[{"op": "add", "path": "/list/-", "value": value}])]
        return [events.StateDelta(delta=[{"op": "add", "path": "/n", "value": {"v": value}}])]

    def _result(self) -> Events:
        return [events.ToolCallResult(tool_call_id=self._draw(st.sampled_from(_CALLS)), content=self._draw(_DELTAS))]

    def _thread(self) -> Events:
        message = {"id": self._draw(st.sampled_from(_TEXTS)), "role": "assistant", "content": self._draw(_DELTAS)}
        return [events.MessagesSnapshot(messages=[message])]

    def _activity(self) -> Events:
        value = self._draw(st.integers(0, 9))
        if not self._shows_activity or self._draw(st.booleans()):
            self._shows_activity = True
            replace = self._draw(st.booleans())
            content = {"steps": [value]}
            return [events.ActivitySnapshot(message_id="a", activity_type="plan", content=content, replace=replace)]
        patch = [{"op": "add", "path": "/steps/-", "value": value}]
        return [events.ActivityDelta(message_id="a", activity_type="plan", patch=patch)]

    def _custom(self) -> Events:
        return [events.Custom(name="on_interrupt", value=self._draw(st.integers(0, 9)))]

    def _raw(self) -> Events:
        return [events.Raw(event={"token": 1})]


def kept(stream: Sequence[events.Event]) -> dict[str, Any]:
    """What the runtime keeps of a stream."""
    transcript = Transcript()
    for event in stream:
        transcript.record(event)
    messages = [(type(message), message.id, message) for message in transcript.messages()]
    return {
        "messages": [(kind, id_, _said(message)) for kind, id_, message in messages],
        "state": transcript.state,
        "thread": [(message.id, _said(message)) for message in transcript.thread or ()],
        "activities": activities(stream),
        "custom": [event for event in stream if isinstance(event, events.Custom)],
    }


def activities(stream: Sequence[events.Event]) -> dict[str, Any]:
    """What an AG-UI client shows of activities."""
    shown: dict[str, Any] = {}
    for event in stream:
        if isinstance(event, events.ActivitySnapshot) and (event.replace or event.message_id not in shown):
            shown[event.message_id] = event.content
        elif isinstance(event, events.ActivityDelta):
            shown[event.message_id] = jsonpatch.apply_patch(shown[event.message_id], event.patch)
    return shown


def shown(stream: Sequence[events.Event]) -> dict[str, str]:
    """What an AG-UI client shows: texts by id, where a snapshot replaces all and later text is added to it."""
    texts: dict[str, str] = {}
    for event in stream:
        if isinstance(event, (events.TextMessageStart, events.ReasoningMessageStart)):
            texts.setdefault(event.message_id, "")
        elif isinstance(event, (events.TextMessageContent, events.ReasoningMessageContent)):
            texts[event.message_id] = texts.get(event.message_id, "") + event.delta
        elif isinstance(event, events.ToolCallArgs):
            texts[event.tool_call_id] = texts.get(event.tool_call_id, "") + event.delta
        elif isinstance(event, events.ToolCallResult):
            texts[f"result-{event.tool_call_id}"] = event.content
        elif isinstance(event, events.MessagesSnapshot):
            texts = {message["id"]: message["content"] for message in event.messages}
    return {id_: text for id_, text in texts.items() if text}


def verified(stream: Sequence[events.Event]) -> EventVerifier:
    """Check the rules of a stream; returns what knows what is still open."""
    verifier = EventVerifier()
    for event in stream:
        verifier.check(event)
    return verifier


def _said(message: Any) -> tuple[Any, ...]:
    return tuple(getattr(message, name, None) for name in ("content", "name", "arguments", "result", "tool_call_id"))
