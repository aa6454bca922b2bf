"""Model calls and tool results as the runtime's events, while they stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pydantic_core
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.ai import UsageMetadata, add_usage

from ...runtime.events import Event, TextMessageEnd, ToolCallArgs, ToolCallEnd, ToolCallResult, ToolCallStart
from ...runtime.messages import new_id
from ...runtime.predictions import Prediction, predicted_values
from ..event_groups import text_message, tool_call
from ..token_usage import langchain_usage
from .content import reasoning_of, text_of, text_of_result
from .message_events import begin, end_reasoning, reason, write
from .model_call import ModelCall, StreamedCall
from .policy import EmitPolicy, policy_of
from .shown_state import ShownState
from .thread_calls import ThreadCalls


class ChatStream:
    """Translates the messages of models and tools in one run.

    Args:
        state: Where predicted state goes.
        calls: The thread's calls so far.
        seen: The thread's messages so far.
        shown: The ids of other messages that the client has.
    """

    def __init__(
        self,
        state: ShownState,
        calls: ThreadCalls,
        seen: Iterable[BaseMessage] = (),
        shown: Iterable[str] = (),
    ) -> None:
        self._state = state
        self._thread_calls = calls
        self._seen = set(shown)
        self._open: dict[int, ModelCall] = {}
        self._current: ModelCall | None = None
        self._run_calls: set[str] = set()
        self._hidden_calls: set[str] = set()
        self._texts: set[str] = set()
        self.skip(seen)

    def translate(self, message: BaseMessage, metadata: Mapping[str, Any]) -> list[Event]:
        """Return the events of one part of LangGraph's ``messages`` stream.

        Only model calls are read from it: it holds what nodes return under keys of any name, too.
        """
        current = self._current
        if current is not None and current.metadata is metadata:
            return self._chunk(current, message)
        if not isinstance(message, AIMessage) or not _of_a_model(metadata):
            return []
        current = self._open.get(id(metadata)) or ModelCall(metadata, policy_of(metadata))
        if not isinstance(message, AIMessageChunk):
            shown = self._whole(message, current.policy) if self._is_new(message) else []
            return [*shown, *_usage(message.usage_metadata, metadata)]
        self._current = self._open[id(metadata)] = current
        return self._chunk(current, message)

    def returned(self, messages: Iterable[BaseMessage], *, private: bool = False) -> list[Event]:
        """Return the events of messages that a node put into the graph's state.

        A copy of what streamed, or was hidden, does not show.

        Args:
            messages: The messages; those that were here before are left out.
            private: Whether they are not the chat's: then only results of calls that showed are shown.
        """
        events: list[Event] = []
        for message in messages:
            if isinstance(message, ToolMessage) and (not private or self._is_known(message)) and self._is_new(message):
                events.extend(self._result(message))
            elif isinstance(message, AIMessage) and not private and self._is_new(message):
                events.extend(self._copy_or_new(message))
        return events

    def skip(self, messages: Iterable[BaseMessage]) -> None:
        """Note messages that are not to be shown when they come again."""
        self._seen.update(message.id for message in messages if message.id)

    def emit(self, message_id: str, text: str) -> list[Event]:
        """Return the events of a message that the agent emitted by hand."""
        self._texts.add(text.strip())
        return text_message(message_id, text)

    def call(self, call_id: str, name: str, arguments: str) -> list[Event]:
        """Return the events of a tool call that the agent emitted by hand."""
        client_id = self._thread_calls.add(call_id, name, call_id)
        self._run_calls.add(client_id)
        return tool_call(client_id, name, arguments, client_id)

    def broken(self, metadata: Mapping[str, Any]) -> list[Event]:
        """Return the events with which a model call ends that failed in the middle."""
        call = self._open.get(id(metadata))
        return [] if call is None else self._end(call, broken=True)

    def close(self) -> list[Event]:
        """Close what is still open."""
        return [event for call in list(self._open.values()) for event in self._end(call)]

    def _is_new(self, message: BaseMessage) -> bool:
        seen = message.id in self._seen
        if message.id:
            self._seen.add(message.id)
        return not seen

    def _is_known(self, result: ToolMessage) -> bool:
        waiting = self._thread_calls.waiting(result.tool_call_id)
        return waiting is not None and waiting in self._run_calls

    def _chunk(self, call: ModelCall, chunk: BaseMessage) -> list[Event]:
        if not isinstance(chunk, AIMessageChunk):
            return []
        if chunk.id and chunk.id is not call.id:
            self._seen.add(chunk.id)
            call.identify(chunk.id)
        events: list[Event] = []
        if chunk.content or chunk.additional_kwargs:
            self._content(call, chunk, events)
        for part in chunk.tool_call_chunks:
            self._call_part(call, part, events)
        if chunk.usage_metadata is not None:
            call.usage = add_usage(call.usage, chunk.usage_metadata)
        if chunk.chunk_position == "last":
            events.extend(self._end(call))
        return events

    def _content(self, call: ModelCall, chunk: AIMessageChunk, events: list[Event]) -> None:
        content: Any = chunk.content
        if content.__class__ is not str or chunk.additional_kwargs:
            if call.policy.messages:
                reason(call, reasoning_of(chunk), events)
            content = text_of(content)
        if not content:
            return
        call.texts.append(content)
        if call.policy.messages:
            write(call, content, events)

    def _call_part(self, message: ModelCall, part: Mapping[str, Any], events: list[Event]) -> None:
        call = message.call_of(part)
        if call.client_id is None and part.get("name"):
            self._start_call(message, call, part, events)
        delta = part.get("args")
        if not delta:
            return
        call.arguments.append(delta)
        if call.client_id is not None and not call.hidden:
            events.append(ToolCallArgs(tool_call_id=call.client_id, delta=delta))
        if call.predictions:
            events.extend(self._predict(call.predictions, call.arguments.read_grown()))

    def _start_call(self, message: ModelCall, call: StreamedCall, part: Mapping[str, Any], events: list[Event]) -> None:
        call.name = part["name"]
        call.hidden = not message.policy.shows_tool(call.name)
        call.predictions = message.policy.predicted_by(call.name)
        call.client_id = self._begin_call(call.id, call.name, begin(message), message.place_of(call), call.hidden)
        if call.hidden:
            return
        events.extend(end_reasoning(message))
        events.append(
            ToolCallStart(tool_call_id=call.client_id, tool_call_name=call.name, parent_message_id=message.id)
        )
        if call.arguments.text:
            events.append(ToolCallArgs(tool_call_id=call.client_id, delta=call.arguments.text))

    def _begin_call(self, vendor_id: str | None, name: str, message_id: str, place: int, hidden: bool) -> str:
        client_id = self._thread_calls.add(vendor_id, name, message_id, place)
        self._run_calls.add(client_id)
        if hidden:
            self._hidden_calls.add(client_id)
        return client_id

    def _end(self, call: ModelCall, *, broken: bool = False) -> list[Event]:
        self._open.pop(id(call.metadata), None)
        if self._current is call:
            self._current = None
        if call.texts and not broken:
            self._texts.add("".join(call.texts).strip())
        events = end_reasoning(call)
        if call.shows_text:
            events.append(TextMessageEnd(message_id=call.id, broken=broken))
        for each in call.calls:
            events.extend(self._end_call(each, broken=broken))
        return [*events, *_usage(call.usage, call.metadata)]

    def _end_call(self, call: StreamedCall, *, broken: bool) -> list[Event]:
        events = self._predict(call.predictions, call.arguments.read_rest()) if call.predictions else []
        if call.client_id is not None and not call.hidden:
            events.append(ToolCallEnd(tool_call_id=call.client_id, broken=broken))
        return events

    def _predict(self, predictions: Iterable[Prediction], arguments: dict[str, Any] | None) -> list[Event]:
        values = [] if arguments is None else predicted_values(predictions, arguments)
        return [event for key, value in values for event in self._state.predicted(key, value)]

    def _copy_or_new(self, message: AIMessage) -> list[Event]:
        copied = {call["id"] for call in message.tool_calls if self._streamed(call["id"])}
        calls = [call for call in message.tool_calls if call["id"] not in copied]
        return self._whole(message, EmitPolicy(), calls)

    def _streamed(self, vendor_id: str | None) -> bool:
        return vendor_id is not None and self._thread_calls.waiting(vendor_id) in self._run_calls

    def _whole(self, message: AIMessage, policy: EmitPolicy, calls: Sequence[Any] | None = None) -> list[Event]:
        events: list[Event] = []
        id_, text = message.id or new_id(), text_of(message.content)
        if text and policy.messages and text.strip() not in self._texts:
            events.extend(text_message(id_, text))
        if text:
            self._texts.add(text.strip())
        for call in message.tool_calls if calls is None else calls:
            events.extend(self._whole_call(id_, message, call, policy))
        return events

    def _whole_call(self, message_id: str, message: AIMessage, call: Any, policy: EmitPolicy) -> list[Event]:
        name, arguments = call["name"], call["args"]
        predicted = self._predict(policy.predicted_by(name), arguments)
        ids = [each["id"] for each in message.tool_calls]
        place = ids[: message.tool_calls.index(call)].count(call["id"])
        hidden = not policy.shows_tool(name)
        client_id = self._begin_call(call["id"], name, message_id, place, hidden)
        if hidden:
            return predicted
        [*begun, end] = tool_call(client_id, name, pydantic_core.to_json(arguments).decode(), message_id)
        return [*begun, *predicted, end]

    def _result(self, message: ToolMessage) -> list[Event]:
        call_id = self._thread_calls.answer(message.tool_call_id)
        if call_id in self._hidden_calls:
            return []
        return [
            ToolCallResult(
                tool_call_id=call_id,
                content=text_of_result(message),
                message_id=message.id,
                tool_call_name=self._thread_calls.names.get(call_id) or message.name,
            )
        ]


def _usage(reported: UsageMetadata | None, metadata: Mapping[str, Any]) -> list[Event]:
    model = metadata.get("ls_model_name")
    usage = langchain_usage(reported, model if isinstance(model, str) else None)
    return [] if usage is None else [usage]


def _of_a_model(metadata: Mapping[str, Any]) -> bool:
    """Return whether the metadata is a model call's, and not that of a node that returned a message."""
    return any(key in metadata for key in ("ls_model_type", "ls_provider", "ls_model_name"))
