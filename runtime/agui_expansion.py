"""Expansion of AG-UI's events: chunks into start, content and end; older and newer forms into the runtime's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple
from uuid import uuid4

import msgspec

from . import agui_events, events
from .agui_messages import without_nulls
from .agui_usage import usage_of
from .errors import ProtocolError
from .events import Event


class _Open(NamedTuple):
    """What the chunks of one agent or subagent have opened."""

    kind: type
    id: str
    end: Event


class EventExpander:
    """Expands chunk events, translates forms of other protocol versions, and adds the interrupts of an outcome."""

    def __init__(self) -> None:
        self._opened: dict[str | None, _Open] = {}
        self._thinking = ""
        self._thought = ""
        self._interrupted = False

    def expand(self, event: agui_events.WireEvent | Event) -> list[Event]:
        """Return the runtime's events for ``event``, with the ends of what it closes.

        Raises:
            ProtocolError: If a chunk lacks what the first one of its kind must have.
        """
        if isinstance(event, events.Raw):
            return [event]
        chunk = self._CHUNKS.get(type(event))
        if chunk is not None:
            return chunk(self, event)
        translate = self._TRANSLATIONS.get(type(event))
        return [*self.close(), *([event] if translate is None else translate(self, event))]

    def close(self) -> list[Event]:
        """Return the ends of all that chunks have opened."""
        closing = [opened.end for opened in self._opened.values()]
        self._opened.clear()
        return closing

    def _open(self, lane: str | None, opened: _Open, start: Event) -> list[Event]:
        before = self._opened.pop(lane, None)
        self._opened[lane] = opened
        return [start] if before is None else [before.end, start]

    def _is_new(self, lane: str | None, kind: type, key: str | None) -> bool:
        opened = self._opened.get(lane)
        return opened is None or opened.kind is not kind or (key is not None and key != opened.id)

    def _text(self, chunk: agui_events.TextMessageChunk) -> list[Event]:
        out: list[Event] = []
        lane, id_ = chunk.subagent_run_id, chunk.message_id
        if self._is_new(lane, type(chunk), id_):
            if id_ is None:
                raise ProtocolError("First TEXT_MESSAGE_CHUNK must have a messageId")
            opened = _Open(type(chunk), id_, events.TextMessageEnd(message_id=id_))
            out = self._open(lane, opened, events.TextMessageStart(message_id=id_, role=chunk.role))
        if chunk.delta:
            out.append(events.TextMessageContent(message_id=self._opened[lane].id, delta=chunk.delta))
        return out

    def _tool_call(self, chunk: agui_events.ToolCallChunk) -> list[Event]:
        out: list[Event] = []
        lane, id_ = chunk.subagent_run_id, chunk.tool_call_id
        if self._is_new(lane, type(chunk), id_):
            if id_ is None:
                raise ProtocolError("First TOOL_CALL_CHUNK must have a toolCallId")
            if chunk.tool_call_name is None:
                raise ProtocolError("First TOOL_CALL_CHUNK must have a toolCallName")
            start = events.ToolCallStart(
                tool_call_id=id_, tool_call_name=chunk.tool_call_name, parent_message_id=chunk.parent_message_id
            )
            out = self._open(lane, _Open(type(chunk), id_, events.ToolCallEnd(tool_call_id=id_)), start)
        if chunk.delta:
            out.append(events.ToolCallArgs(tool_call_id=self._opened[lane].id, delta=chunk.delta))
        return out

    def _reasoning(self, chunk: agui_events.ReasoningMessageChunk) -> list[Event]:
        out: list[Event] = []
        lane, id_ = chunk.subagent_run_id, chunk.message_id
        if self._is_new(lane, type(chunk), id_):
            if id_ is None:
                raise ProtocolError("First REASONING_MESSAGE_CHUNK must have a messageId")
            opened = _Open(type(chunk), id_, events.ReasoningMessageEnd(message_id=id_))
            out = self._open(lane, opened, events.ReasoningMessageStart(message_id=id_))
        if chunk.delta:
            out.append(events.ReasoningMessageContent(message_id=self._opened[lane].id, delta=chunk.delta))
        return out

    def _thinking_start(self, _event: agui_events.ThinkingStart) -> list[Event]:
        self._thinking = str(uuid4())
        return [events.ReasoningStart(message_id=self._thinking)]

    def _thinking_end(self, _event: agui_events.ThinkingEnd) -> list[Event]:
        return [events.ReasoningEnd(message_id=self._thinking)]

    def _thought_start(self, _event: agui_events.ThinkingTextMessageStart) -> list[Event]:
        self._thought = str(uuid4())
        return [events.ReasoningMessageStart(message_id=self._thought)]

    def _thought_content(self, event: agui_events.ThinkingTextMessageContent) -> list[Event]:
        return [events.ReasoningMessageContent(message_id=self._thought, delta=event.delta)]

    def _thought_end(self, _event: agui_events.ThinkingTextMessageEnd) -> list[Event]:
        return [events.ReasoningMessageEnd(message_id=self._thought)]

    def _custom(self, event: events.Custom) -> list[Event]:
        self._interrupted = self._interrupted or event.name == events.INTERRUPT
        return [event]

    def _messages_snapshot(self, event: events.MessagesSnapshot) -> list[Event]:
        return [events.MessagesSnapshot(messages=[without_nulls(message) for message in event.messages])]

    def _tool_call_result(self, event: agui_events.ToolCallAnswer) -> list[Event]:
        return [
            events.ToolCallResult(
                tool_call_id=event.tool_call_id,
                content=_text_of(event.content),
                message_id=event.message_id,
                tool_call_name=event.tool_call_name,
            )
        ]

    def _attributed(self, event: agui_events.Attributed) -> list[Event]:
        # A run has one state and one current step, which are those of its own agent.
        if event.subagent_run_id is not None:
            return [events.Raw(event=msgspec.to_builtins(event), source=agui_events.SOURCE)]
        return [agui_events.without_attribution(event)]

    def _finish(self, event: agui_events.RunOutcome) -> list[Event]:
        outcome = event.outcome or {}
        interrupts = outcome.get("interrupts", []) if outcome.get("type") == "interrupt" else []
        questions: list[Event] = []
        if not self._interrupted:
            questions = [events.Custom(name=events.INTERRUPT, value=interrupt) for interrupt in interrupts]
        self._interrupted = False
        return [
            *questions,
            *usage_of(event.usage),
            events.RunFinished(thread_id=event.thread_id, run_id=event.run_id, result=event.result),
        ]

    def _fail(self, event: agui_events.RunFailure) -> list[Event]:
        error = events.RunError(message=event.message, code=event.code, details=event.details)
        return [*usage_of(event.usage), error]

    _CHUNKS: ClassVar[dict[type, Callable[[Any, Any], list[Event]]]] = {
        agui_events.TextMessageChunk: _text,
        agui_events.ToolCallChunk: _tool_call,
        agui_events.ReasoningMessageChunk: _reasoning,
    }
    _TRANSLATIONS: ClassVar[dict[type, Callable[[Any, Any], list[Event]]]] = {
        agui_events.ThinkingStart: _thinking_start,
        agui_events.ThinkingEnd: _thinking_end,
        agui_events.ThinkingTextMessageStart: _thought_start,
        agui_events.ThinkingTextMessageContent: _thought_content,
        agui_events.ThinkingTextMessageEnd: _thought_end,
        agui_events.AttributedStateSnapshot: _attributed,
        agui_events.AttributedStateDelta: _attributed,
        agui_events.AttributedStepStarted: _attributed,
        agui_events.AttributedStepFinished: _attributed,
        agui_events.ToolCallAnswer: _tool_call_result,
        agui_events.RunOutcome: _finish,
        agui_events.RunFailure: _fail,
        events.Custom: _custom,
        events.MessagesSnapshot: _messages_snapshot,
    }


def _text_of(content: str | list[dict[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    if all(part.get("type") == "text" for part in content):
        return "".join(str(part.get("text", "")) for part in content)
    return msgspec.json.encode(content).decode()
