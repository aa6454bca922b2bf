"""Model calls and tool results, as they stream, told as the runtime's events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pydantic_core
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from msgspec import Struct, field

from ...runtime.events import (
    Event,
    ReasoningEnd,
    ReasoningMessageContent,
    ReasoningMessageEnd,
    ReasoningMessageStart,
    ReasoningStart,
    TextMessageContent,
    TextMessageEnd,
    TextMessageStart,
    ToolCallArgs,
    ToolCallEnd,
    ToolCallResult,
    ToolCallStart,
)
from ...runtime.messages import new_id
from .content import reasoning_of, text_of, text_of_result
from .policy import EmitPolicy, Prediction, policy_of
from .shown_state import ShownState

# A predicted value is shown again when its text grew by this share: what is sent stays linear in the text.
_GROWTH = 128


class _Call(Struct):
    id: str | None = None
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    length: int = 0
    shown_at: int = 0
    started: bool = False
    hidden: bool = False
    predictions: tuple[Prediction, ...] = ()


class _Message(Struct):
    id: str
    policy: EmitPolicy
    text: bool = False
    reasoning: bool = False
    calls: list[_Call] = field(default_factory=list)
    call_at: dict[Any, _Call] = field(default_factory=dict)


class ChatStream:
    """Translates one run's ``messages`` stream.

    Args:
        state: Where predicted state goes.
        call_names: The names of the thread's earlier tool calls, by id.
    """

    def __init__(self, state: ShownState, call_names: Mapping[str, str]) -> None:
        self._state = state
        self._call_names = dict(call_names)
        self._open: dict[str, _Message] = {}
        self._current: _Message | None = None
        self._metadata: Any = None
        self._policy = policy_of({})
        self._hidden_calls: set[str] = set()
        self._said: set[str] = set()

    def translate(self, message: BaseMessage, metadata: Mapping[str, Any]) -> list[Event]:
        """The events of one part of the stream."""
        if metadata is not self._metadata:
            self._metadata = metadata
            self._policy = policy_of(metadata)
        if isinstance(message, AIMessageChunk):
            return self._chunk(message)
        if isinstance(message, AIMessage):
            return self._whole(message)
        if isinstance(message, ToolMessage):
            return self._result(message)
        return []

    def say(self, message_id: str, text: str) -> list[Event]:
        """A message that the agent emitted by hand."""
        self._said.add(text)
        return _text_message(message_id, text)

    def call(self, call_id: str, name: str, arguments: str) -> list[Event]:
        """A tool call that the agent emitted by hand."""
        self._call_names[call_id] = name
        return [
            ToolCallStart(tool_call_id=call_id, tool_call_name=name, parent_message_id=call_id),
            ToolCallArgs(tool_call_id=call_id, delta=arguments),
            ToolCallEnd(tool_call_id=call_id),
        ]

    def close(self) -> list[Event]:
        """Closes what is still open."""
        return [event for message in list(self._open.values()) for event in self._end(message)]

    def _chunk(self, chunk: AIMessageChunk) -> list[Event]:
        message = self._current
        if message is None or message.id != chunk.id:
            message = self._current = self._message(chunk.id or new_id())
        events: list[Event] = []
        content = chunk.content
        if content or chunk.additional_kwargs:
            self._content(message, chunk, events)
        if chunk.tool_call_chunks:
            for part in chunk.tool_call_chunks:
                self._call_part(message, part, events)
        if chunk.chunk_position == "last":
            events.extend(self._end(message))
        return events

    def _message(self, id_: str) -> _Message:
        return self._open.setdefault(id_, _Message(id_, self._policy))

    def _content(self, message: _Message, chunk: AIMessageChunk, events: list[Event]) -> None:
        if not message.policy.messages:
            return
        content = chunk.content
        if content.__class__ is not str or chunk.additional_kwargs:
            self._reason(message, reasoning_of(chunk), events)
            content = text_of(content)
        if content:
            self._write(message, content, events)

    def _write(self, message: _Message, text: Any, events: list[Event]) -> None:
        if not message.text:
            message.text = True
            events.extend(_end_reasoning(message))
            events.append(TextMessageStart(message_id=message.id))
        events.append(TextMessageContent(message_id=message.id, delta=text))

    def _reason(self, message: _Message, text: str, events: list[Event]) -> None:
        if not text:
            return
        id_ = _reasoning_id(message)
        if not message.reasoning:
            message.reasoning = True
            events.append(ReasoningStart(message_id=id_))
            events.append(ReasoningMessageStart(message_id=id_))
        events.append(ReasoningMessageContent(message_id=id_, delta=text))

    def _call_part(self, message: _Message, part: Mapping[str, Any], events: list[Event]) -> None:
        call = _call_of(message, part)
        if not call.started and part.get("name"):
            self._start_call(message, call, part, events)
        delta = part.get("args")
        if not delta:
            return
        call.arguments.append(delta)
        call.length += len(delta)
        if call.started and not call.hidden:
            events.append(ToolCallArgs(tool_call_id=call.id or "", delta=delta))
        if call.predictions and call.length - call.shown_at > call.shown_at // _GROWTH:
            events.extend(self._predict(call))

    def _start_call(self, message: _Message, call: _Call, part: Mapping[str, Any], events: list[Event]) -> None:
        call.started = True
        call.name = part["name"]
        call.id = call.id or part.get("id") or new_id()
        call.hidden = not message.policy.shows_tool(call.name)
        call.predictions = message.policy.predicted_by(call.name)
        self._call_names[call.id] = call.name
        if call.hidden:
            self._hidden_calls.add(call.id)
            return
        events.extend(_end_reasoning(message))
        events.append(ToolCallStart(tool_call_id=call.id, tool_call_name=call.name, parent_message_id=message.id))
        if call.arguments:
            events.append(ToolCallArgs(tool_call_id=call.id, delta="".join(call.arguments)))

    def _predict(self, call: _Call) -> list[Event]:
        call.shown_at = call.length
        call.arguments = ["".join(call.arguments)]
        try:
            arguments = pydantic_core.from_json(call.arguments[0], allow_partial="trailing-strings")
        except ValueError:
            return []
        return self._show(call.predictions, arguments)

    def _show(self, predictions: Iterable[Prediction], arguments: Any) -> list[Event]:
        if not isinstance(arguments, dict):
            return []
        shown: list[Event] = []
        for prediction in predictions:
            if not prediction.argument:
                shown.extend(self._state.predicted(prediction.state_key, arguments))
            elif prediction.argument in arguments:
                shown.extend(self._state.predicted(prediction.state_key, arguments[prediction.argument]))
        return shown

    def _end(self, message: _Message) -> list[Event]:
        self._open.pop(message.id, None)
        if self._current is message:
            self._current = None
        events = _end_reasoning(message)
        if message.text:
            events.append(TextMessageEnd(message_id=message.id))
        for call in message.calls:
            events.extend(self._end_call(call))
        return events

    def _end_call(self, call: _Call) -> list[Event]:
        events = self._predict(call) if call.predictions and call.shown_at < call.length else []
        if call.started and not call.hidden:
            events.append(ToolCallEnd(tool_call_id=call.id or ""))
        return events

    def _whole(self, message: AIMessage) -> list[Event]:
        events: list[Event] = []
        text = text_of(message.content)
        if text and self._policy.messages and text not in self._said:
            events.extend(_text_message(message.id or new_id(), text))
        for call in message.tool_calls:
            events.extend(self._whole_call(message, call))
        return events

    def _whole_call(self, message: AIMessage, call: Mapping[str, Any]) -> list[Event]:
        id_ = call.get("id") or new_id()
        if id_ in self._call_names:
            return []
        name, arguments = call["name"], call["args"]
        self._call_names[id_] = name
        predicted = self._show(self._policy.predicted_by(name), arguments)
        if not self._policy.shows_tool(name):
            self._hidden_calls.add(id_)
            return predicted
        return [
            ToolCallStart(tool_call_id=id_, tool_call_name=name, parent_message_id=message.id),
            ToolCallArgs(tool_call_id=id_, delta=pydantic_core.to_json(arguments).decode()),
            *predicted,
            ToolCallEnd(tool_call_id=id_),
        ]

    def _result(self, message: ToolMessage) -> list[Event]:
        call_id = message.tool_call_id
        if call_id in self._hidden_calls:
            return []
        return [
            ToolCallResult(
                tool_call_id=call_id,
                content=text_of_result(message),
                message_id=message.id,
                tool_call_name=self._call_names.get(call_id) or message.name,
            )
        ]


def _call_of(message: _Message, part: Mapping[str, Any]) -> _Call:
    """The call that a part belongs to: by its index, else by its id; with neither, the last one."""
    id_, index = part.get("id"), part.get("index")
    key = id_ if index is None else index
    call = message.call_at.get(key)
    if call is None and key is None and message.calls:
        call = message.calls[-1]
    if call is None or (id_ and call.id and call.id != id_):
        call = _Call(id=id_)
        message.calls.append(call)
        message.call_at[key] = call
    call.id = call.id or id_
    return call


def _text_message(id_: str, text: str) -> list[Event]:
    return [
        TextMessageStart(message_id=id_),
        TextMessageContent(message_id=id_, delta=text),
        TextMessageEnd(message_id=id_),
    ]


def _reasoning_id(message: _Message) -> str:
    return f"{message.id}-reasoning"


def _end_reasoning(message: _Message) -> list[Event]:
    if not message.reasoning:
        return []
    message.reasoning = False
    id_ = _reasoning_id(message)
    return [ReasoningMessageEnd(message_id=id_), ReasoningEnd(message_id=id_)]
