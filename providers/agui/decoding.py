"""What an AG-UI agent yields, in whatever form, as the runtime's events."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from ...runtime import events
from ...runtime.errors import CopilotKitError, ErrorCode, ProtocolError
from ...runtime import agui_events as wire
from .sse import SSEReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ...runtime.events import Event


class EventDecoder:
    """Reads the events of one run.

    An item may be one of the runtime's own events, a model of ``ag_ui.core``, a mapping, the JSON of one
    event, or any piece of an SSE stream, as text or bytes. Chunk events are expanded as AG-UI's clients do.
    """

    def __init__(self) -> None:
        self._reader = SSEReader()
        self._expander = _Expander()

    def decode(self, item: Any) -> list[Event]:
        """The events that ``item`` completes.

        Raises:
            ProtocolError: If ``item`` is neither an event nor part of a stream of events.
        """
        if isinstance(item, str | bytes):
            return self._decode_encoded(item)
        if isinstance(item, events.BaseEvent):
            return self._expander.expand(item)  # type: ignore[arg-type]
        if hasattr(item, "model_dump"):
            return self._expander.expand(wire.parse_model(item))
        return self._expander.expand(wire.parse_mapping(item))

    def close(self) -> list[Event]:
        """The events that the end of the stream completes."""
        last = [event for data in self._reader.close() for event in self._decode_json(data)]
        return [*last, *self._expander.close()]

    def _decode_encoded(self, item: str | bytes) -> list[Event]:
        if self._reader.between_events and item[:1] in ("{", b"{"):
            return self._decode_json(item)
        complete = self._reader.feed_text(item) if isinstance(item, str) else self._reader.feed(item)
        return [event for data in complete for event in self._decode_json(data)]

    def _decode_json(self, data: str | bytes) -> list[Event]:
        return self._expander.expand(wire.parse_json(data))


async def decode_stream(items: AsyncGenerator[Any]) -> AsyncGenerator[Event]:
    """The events of one run, from the items its agent yields; ``items`` is closed at the end.

    Raises:
        CopilotKitError: If the agent reports that its run failed. Its text is the agent's own, which AG-UI
            means to be shown.
    """
    decoder = EventDecoder()
    async with aclosing(items) as source:
        async for item in source:
            for event in decoder.decode(item):
                yield _unless_failed(event)
    for event in decoder.close():
        yield _unless_failed(event)


def _unless_failed(event: Event) -> Event:
    if type(event) is events.RunError:
        raise _failure(event)
    return event


def _failure(event: events.RunError) -> CopilotKitError:
    code = next((code for code in ErrorCode if code == event.code), None)
    return CopilotKitError(event.message, code=code, original_type=event.code)


class _Expander:
    def __init__(self) -> None:
        self._opened: tuple[type, str] | None = None
        self._closing: Event | None = None
        self._thinking = ""
        self._thought = ""
        self._interrupted = False

    def expand(self, event: wire.WireEvent | Event) -> list[Event]:
        match event:
            case wire.TextMessageChunk():
                return self._text(event)
            case wire.ToolCallChunk():
                return self._tool_call(event)
            case wire.ReasoningMessageChunk():
                return self._reasoning(event)
            case events.Raw():
                return [event]
            case wire.ToolCallAnswer():
                return [*self.close(), _tool_call_result(event)]
            case wire.RunOutcome():
                return [*self.close(), *self._finish(event)]
            case _:
                return [*self.close(), self._modern(event)]

    def close(self) -> list[Event]:
        closing, self._closing, self._opened = self._closing, None, None
        return [] if closing is None else [closing]

    def _open(self, kind: type, key: str, start: Event, end: Event) -> list[Event]:
        opening = [*self.close(), start]
        self._opened = (kind, key)
        self._closing = end
        return opening

    def _is_new(self, kind: type, key: str | None) -> bool:
        return self._opened is None or self._opened[0] is not kind or (key is not None and key != self._opened[1])

    def _open_id(self) -> str:
        return "" if self._opened is None else self._opened[1]

    def _text(self, chunk: wire.TextMessageChunk) -> list[Event]:
        out: list[Event] = []
        if self._is_new(wire.TextMessageChunk, chunk.message_id):
            if chunk.message_id is None:
                raise ProtocolError("First TEXT_MESSAGE_CHUNK must have a messageId")
            start = events.TextMessageStart(message_id=chunk.message_id, role=chunk.role)
            end = events.TextMessageEnd(message_id=chunk.message_id)
            out = self._open(wire.TextMessageChunk, chunk.message_id, start, end)
        if chunk.delta:
            out.append(events.TextMessageContent(message_id=self._open_id(), delta=chunk.delta))
        return out

    def _tool_call(self, chunk: wire.ToolCallChunk) -> list[Event]:
        out: list[Event] = []
        if self._is_new(wire.ToolCallChunk, chunk.tool_call_id):
            if chunk.tool_call_id is None:
                raise ProtocolError("First TOOL_CALL_CHUNK must have a toolCallId")
            if chunk.tool_call_name is None:
                raise ProtocolError("First TOOL_CALL_CHUNK must have a toolCallName")
            start = events.ToolCallStart(
                tool_call_id=chunk.tool_call_id,
                tool_call_name=chunk.tool_call_name,
                parent_message_id=chunk.parent_message_id,
            )
            end = events.ToolCallEnd(tool_call_id=chunk.tool_call_id)
            out = self._open(wire.ToolCallChunk, chunk.tool_call_id, start, end)
        if chunk.delta:
            out.append(events.ToolCallArgs(tool_call_id=self._open_id(), delta=chunk.delta))
        return out

    def _reasoning(self, chunk: wire.ReasoningMessageChunk) -> list[Event]:
        out: list[Event] = []
        if self._is_new(wire.ReasoningMessageChunk, chunk.message_id):
            if chunk.message_id is None:
                raise ProtocolError("First REASONING_MESSAGE_CHUNK must have a messageId")
            start = events.ReasoningMessageStart(message_id=chunk.message_id)
            end = events.ReasoningMessageEnd(message_id=chunk.message_id)
            out = self._open(wire.ReasoningMessageChunk, chunk.message_id, start, end)
        if chunk.delta:
            out.append(events.ReasoningMessageContent(message_id=self._open_id(), delta=chunk.delta))
        return out

    def _modern(self, event: Any) -> Event:
        """The event under its present name; the elder ones carried no ids."""
        match event:
            case wire.ThinkingStart():
                self._thinking = str(uuid4())
                return events.ReasoningStart(message_id=self._thinking)
            case wire.ThinkingEnd():
                return events.ReasoningEnd(message_id=self._thinking)
            case wire.ThinkingTextMessageStart():
                self._thought = str(uuid4())
                return events.ReasoningMessageStart(message_id=self._thought)
            case wire.ThinkingTextMessageContent():
                return events.ReasoningMessageContent(message_id=self._thought, delta=event.delta)
            case wire.ThinkingTextMessageEnd():
                return events.ReasoningMessageEnd(message_id=self._thought)
            case events.Custom(name=events.INTERRUPT):
                self._interrupted = True
        return event  # type: ignore[no-any-return]

    def _finish(self, event: wire.RunOutcome) -> list[Event]:
        outcome = event.outcome or {}
        interrupts = outcome.get("interrupts", []) if outcome.get("type") == "interrupt" else []
        asked: list[Event] = []
        if not self._interrupted:
            asked = [events.Custom(name=events.INTERRUPT, value=interrupt) for interrupt in interrupts]
        return [
            *asked,
            events.RunFinished(thread_id=event.thread_id, run_id=event.run_id, result=event.result),
        ]


def _tool_call_result(event: wire.ToolCallAnswer) -> events.ToolCallResult:
    return events.ToolCallResult(
        tool_call_id=event.tool_call_id,
        content=_text_of(event.content),
        message_id=event.message_id,
        tool_call_name=event.tool_call_name,
    )


def _text_of(content: str | list[dict[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    if all(part.get("type") == "text" for part in content):
        return "".join(str(part.get("text", "")) for part in content)
    return msgspec.json.encode(content).decode()
