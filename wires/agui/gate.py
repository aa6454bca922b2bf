"""The gate: the one place that every event passes on its way to a client.

A client that meets an event it cannot read swallows its own error and drops all that follows, so what comes out here
fits the schemas and the rules of every published client, whatever comes in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import msgspec

from ...runtime import events
from ...runtime.runs.usage import UsageByModel
from .down_level import Reasoning, reasoning_writer
from .interrupts import Interrupts, is_question
from .state_view import StateView
from .text_continuation import TextContinuation
from .token_usage import usage_entries
from .unseen_messages import UnseenMessages

Json: TypeAlias = dict[str, Any]

_ROLES = frozenset({"assistant", "developer", "system", "user"})
_INTERNAL = frozenset({events.EXIT, events.EXTENSIONS, events.AGENT_ENTERED, events.AGENT_LEFT, events.PREDICT_STATE})
_STATE_ERROR = "State cannot be shown: "
STOPPED = '{"status":"stopped"}'
FAILED = '{"status":"failed"}'
RUN_FAILED = "run_failed"


class GateOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What clients of this server get.

    Args:
        reasoning: How reasoning is shown.
        interrupt_outcome: Whether open questions are in the outcome of RUN_FINISHED too.
        raw: Whether frameworks' own events are passed on.
        encrypted_reasoning: Whether the agent needs a model's sealed reasoning back.
        history: Whether a failed run ends like any other, because another one may follow in the stream.
        quiet: Whether a failed run ends like any other, and nobody is to know.
    """

    reasoning: Reasoning = "on"
    interrupt_outcome: bool = False
    raw: bool = False
    encrypted_reasoning: bool = False
    history: bool = False
    quiet: bool = False


class Gate:
    """Passes one run's events.

    Args:
        thread_id: The thread.
        run_id: The client's id of the run.
        options: What clients of this server get.
        known: The ids of the messages that the client has.
        answered: The calls whose results the client has.
        started: What RUN_STARTED has besides the ids.
        sent_state: Whether the client has the state that the run was given.
    """

    __slots__ = (
        "_calls",
        "_delegated",
        "_ids",
        "_interrupts",
        "_open",
        "_options",
        "_out",
        "_reasoned",
        "_reasoning",
        "_sent_state",
        "_started",
        "_state",
        "_texts",
        "_unseen",
        "_usage",
        "_used",
        "ended",
    )

    def __init__(
        self,
        thread_id: str,
        run_id: str,
        options: GateOptions | None = None,
        *,
        known: Iterable[str] = (),
        answered: Iterable[str] = (),
        started: Mapping[str, Any] | None = None,
        sent_state: bool = False,
    ) -> None:
        self.ended = False
        """Whether the terminal event has passed."""
        self._ids = {"threadId": thread_id, "runId": run_id}
        self._options = options or GateOptions()
        self._started: Mapping[str, Any] | None = started or {}
        self._out: list[Any] = []
        self._open: dict[tuple[str, str], None] = {}
        """All that is open, in the order in which it was opened: kind and id."""
        self._texts: dict[str, str] = {}
        """The open texts by the ids that the run gives them, with those that the client gets."""
        self._calls: dict[str, str] = {}
        self._used: dict[str, int] = {}
        self._reasoning = reasoning_writer(self._options.reasoning, self._out.append)
        self._state = StateView()
        self._sent_state = sent_state
        self._unseen = UnseenMessages(known, answered)
        self._interrupts = Interrupts(run_id)
        self._usage = UsageByModel()
        self._delegated = 0
        self._reasoned = False

    def pass_(self, batch: Iterable[events.Event]) -> Sequence[Any]:
        """Return what the client gets of these events: objects that encode to its JSON."""
        self._out.clear()
        for event in batch:
            if self.ended:
                break
            if type(event) is events.TextMessageContent:  # nearly all there is
                self._text_content(event)
                continue
            passer = self._PASSERS.get(type(event))
            if passer is not None:
                if self._started is not None and type(event) is not events.RunStarted:
                    self._begin()
                passer(self, event)
        return self._out

    def continued(self, last: events.Event) -> TextContinuation | None:
        """Return what writes the text that ``last`` continued, whose next pieces need not pass the gate."""
        if self.ended or type(last) is not events.TextMessageContent:
            return None
        shown = self._texts.get(last.message_id)
        return (
            None if shown is None else TextContinuation(last.message_id, shown, self._unseen.growing(last.message_id))
        )

    @property
    def sent_ids(self) -> set[str]:
        """The ids of the messages and calls that the client has got."""
        return self._unseen.sent_ids

    def finish(self) -> Sequence[Any]:
        """Return what ends the run if it has not ended: its log has."""
        if self.ended:
            return ()
        return self.pass_([events.RunFinished(thread_id=self._ids["threadId"], run_id=self._ids["runId"])])

    def _begin(self) -> None:
        started, self._started = self._started, None
        if started is not None:
            self._out.append({"type": "RUN_STARTED", **self._ids, **started})

    def _run_started(self, _event: events.RunStarted) -> None:
        self._begin()

    def _run_finished(self, event: events.RunFinished) -> None:
        self._close_all(STOPPED)
        self._out += self._unseen.at_end(self._fresh_id)
        if not self._reasoned and not any(count > 1 for count in self._used.values()):
            self._out += self._unseen.corrected()
        self._out += self._interrupts.legacy()
        self._end({} if event.result is None else {"result": event.result})

    def _run_error(self, event: events.RunError) -> None:
        self._close_all(FAILED)
        code = {} if event.code is None else {"code": str(event.code)}
        if self._options.history or self._options.quiet:
            failure = {"type": "CUSTOM", "name": RUN_FAILED, "value": {"message": event.message, **code}}
            self._out += [] if self._options.quiet else [failure]
            self._end({})
            return
        details = {"details": event.details} if event.details else {}
        self._out.append({"type": "RUN_ERROR", "message": event.message, **code, **details, **self._cost()})
        self.ended = True

    def _end(self, extra: Json) -> None:
        outcome = self._interrupts.outcome() if self._options.interrupt_outcome else None
        if outcome is not None:
            extra = {**extra, "outcome": outcome}
        self._out.append({"type": "RUN_FINISHED", **self._ids, **extra, **self._cost()})
        self.ended = True

    def _run_usage(self, event: events.RunUsage) -> None:
        self._usage.add(event)

    def _cost(self) -> Json:
        return {"usage": usage_entries(self._usage.models)} if self._usage.models else {}

    def _close_all(self, cut_off: str) -> None:
        """Close all that is open, innermost first. A call that was cut off has an answer, so that nobody runs it."""
        for kind, id_ in reversed(self._open):
            if kind == "text":
                self._out.append({"type": "TEXT_MESSAGE_END", "messageId": id_})
            elif kind == "call":
                self._out.append({"type": "TOOL_CALL_END", "toolCallId": id_})
                self._out.append(_result(id_, f"result-{id_}", cut_off))
            elif kind == "step":
                self._out.append({"type": "STEP_FINISHED", "stepName": id_})
            else:
                self._reasoning.close(kind, id_)
        self._open.clear()

    def _fresh_id(self, id_: str) -> str:
        """Return ``id_``, or another one if it has been used: clients would show what is opened twice twice."""
        while count := self._used.get(id_, 0):
            self._used[id_] = count + 1
            id_ = f"{id_}-{count + 1}"
        self._used[id_] = 1
        return id_

    def _text_start(self, event: events.TextMessageStart) -> None:
        if event.message_id not in self._texts:
            self._open_text(event.message_id, event.role, event.name)

    def _open_text(self, id_: str, role: str = "assistant", name: str | None = None) -> str:
        shown = self._texts[id_] = self._fresh_id(id_)
        self._open["text", shown] = None
        self._unseen.streamed(id_)
        start = {"type": "TEXT_MESSAGE_START", "messageId": shown, "role": role if role in _ROLES else "assistant"}
        self._out.append(start if name is None else {**start, "name": name})
        return shown

    def _text_content(self, event: events.TextMessageContent) -> None:
        if not event.delta:
            return
        if self._started is not None:
            self._begin()
        shown = self._texts.get(event.message_id)
        if shown is None:
            shown = self._open_text(event.message_id)
        self._unseen.growing(event.message_id).add((event.delta,))
        if shown != event.message_id:
            event = events.TextMessageContent(message_id=shown, delta=event.delta)
        self._out.append(event)

    def _text_end(self, event: events.TextMessageEnd) -> None:
        shown = self._texts.pop(event.message_id, None)
        if shown is not None:
            del self._open["text", shown]
            self._out.append({"type": "TEXT_MESSAGE_END", "messageId": shown})

    def _call_start(self, event: events.ToolCallStart) -> None:
        if event.tool_call_id in self._calls:
            return
        shown = self._calls[event.tool_call_id] = self._fresh_id(event.tool_call_id)
        self._open["call", shown] = None
        self._unseen.streamed(event.tool_call_id)
        self._unseen.streamed(event.parent_message_id or event.tool_call_id)
        parent = {} if event.parent_message_id is None else {"parentMessageId": event.parent_message_id}
        self._out.append(
            {"type": "TOOL_CALL_START", "toolCallId": shown, "toolCallName": event.tool_call_name, **parent}
        )
        self._state.call_started(event)

    def _call_args(self, event: events.ToolCallArgs) -> None:
        shown = self._calls.get(event.tool_call_id)
        if shown is None or not event.delta:
            return
        renamed = shown != event.tool_call_id
        self._out.append(events.ToolCallArgs(tool_call_id=shown, delta=event.delta) if renamed else event)
        self._out += self._state.call_arguments(event)

    def _call_end(self, event: events.ToolCallEnd) -> None:
        shown = self._calls.pop(event.tool_call_id, None)
        if shown is not None:
            del self._open["call", shown]
            self._out.append({"type": "TOOL_CALL_END", "toolCallId": shown})
            self._out += self._state.call_ended(event)
            if event.broken:
                self._out.append(_result(shown, f"result-{shown}", STOPPED))

    def _call_result(self, event: events.ToolCallResult) -> None:
        self._call_end(events.ToolCallEnd(tool_call_id=event.tool_call_id))  # which its agent may have left open
        message_id = event.message_id or f"result-{event.tool_call_id}"
        self._unseen.answered(event.tool_call_id, message_id)
        self._out.append(_result(event.tool_call_id, message_id, _content_text(event.content)))

    def _step_started(self, event: events.StepStarted) -> None:
        if ("step", event.step_name) not in self._open:
            self._open["step", event.step_name] = None
            self._out.append(event)

    def _step_finished(self, event: events.StepFinished) -> None:
        if ("step", event.step_name) in self._open:
            del self._open["step", event.step_name]
            self._out += self._state.step_finished()
            self._out.append(event)

    def _state_snapshot(self, event: events.StateSnapshot) -> None:
        if not self._delegated:
            shown = self._state.snapshot(event.snapshot)
            self._out += [] if event.given and self._sent_state else shown

    def _state_delta(self, event: events.StateDelta) -> None:
        if not self._delegated:
            self._out += self._state.delta(event.delta)

    def _messages_snapshot(self, event: events.MessagesSnapshot) -> None:
        if not self._delegated:
            self._out += self._unseen.snapshot(event.messages, self._fresh_id)

    def _activity_snapshot(self, event: events.ActivitySnapshot) -> None:
        self._out.append(event)

    def _activity_delta(self, event: events.ActivityDelta) -> None:
        if event.patch:
            self._out.append(event)

    def _custom(self, event: events.Custom) -> None:
        if is_question(event):
            self._interrupts.add(event)
        elif event.name == events.PREDICT_STATE:
            self._state.predict(event)
        elif event.name in (events.AGENT_ENTERED, events.AGENT_LEFT):
            self._delegated = max(0, self._delegated + (1 if event.name == events.AGENT_ENTERED else -1))
        elif event.name not in _INTERNAL and not _reports_state(event):
            self._out.append({"type": "CUSTOM", "name": event.name, "value": event.value})

    def _raw(self, event: events.Raw) -> None:
        if self._options.raw:
            self._out.append(event)

    def _reasoning_start(self, event: events.ReasoningStart) -> None:
        self._reasoned = True
        if ("reasoning", event.message_id) not in self._open:
            self._open["reasoning", event.message_id] = None
            self._reasoning.open("reasoning", event.message_id)

    def _thought_start(self, event: events.ReasoningMessageStart) -> None:
        self._reasoned = True
        if ("thought", event.message_id) not in self._open:
            self._open["thought", event.message_id] = None
            self._reasoning.open("thought", event.message_id)

    def _thought(self, event: events.ReasoningMessageContent) -> None:
        if not event.delta:
            return
        if ("thought", event.message_id) not in self._open:
            self._thought_start(events.ReasoningMessageStart(message_id=event.message_id))
        self._reasoning.content(event)

    def _thought_end(self, event: events.ReasoningMessageEnd) -> None:
        if ("thought", event.message_id) in self._open:
            del self._open["thought", event.message_id]
            self._reasoning.close("thought", event.message_id)

    def _reasoning_end(self, event: events.ReasoningEnd) -> None:
        if ("reasoning", event.message_id) in self._open:
            del self._open["reasoning", event.message_id]
            self._reasoning.close("reasoning", event.message_id)

    def _encrypted(self, event: events.ReasoningEncryptedValue) -> None:
        if self._options.encrypted_reasoning and self._options.reasoning == "on":
            self._out.append(event)

    _PASSERS: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        events.RunStarted: _run_started,
        events.RunFinished: _run_finished,
        events.RunError: _run_error,
        events.StepStarted: _step_started,
        events.StepFinished: _step_finished,
        events.TextMessageStart: _text_start,
        events.TextMessageEnd: _text_end,
        events.ToolCallStart: _call_start,
        events.ToolCallArgs: _call_args,
        events.ToolCallEnd: _call_end,
        events.ToolCallResult: _call_result,
        events.StateSnapshot: _state_snapshot,
        events.StateDelta: _state_delta,
        events.MessagesSnapshot: _messages_snapshot,
        events.ActivitySnapshot: _activity_snapshot,
        events.ActivityDelta: _activity_delta,
        events.Custom: _custom,
        events.Raw: _raw,
        events.ReasoningStart: _reasoning_start,
        events.ReasoningMessageStart: _thought_start,
        events.ReasoningMessageContent: _thought,
        events.ReasoningMessageEnd: _thought_end,
        events.ReasoningEnd: _reasoning_end,
        events.ReasoningEncryptedValue: _encrypted,
        events.RunUsage: _run_usage,
    }


def _result(call_id: str, message_id: str, content: str) -> Json:
    return {
        "type": "TOOL_CALL_RESULT",
        "messageId": message_id,
        "toolCallId": call_id,
        "content": content,
        "role": "tool",
    }


def _content_text(content: Any) -> str:
    return content if isinstance(content, str) else msgspec.json.encode(content).decode()


def _reports_state(event: events.Custom) -> bool:
    """Return whether a LangGraph agent's state could not be encoded: for the server's log, not for clients."""
    message = event.value.get("message") if event.name == "error" and isinstance(event.value, dict) else None
    return isinstance(message, str) and message.startswith(_STATE_ERROR)
