"""The transcript of a run as messages, for stores and hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from .. import events
from ..agui_messages import messages_from_agui
from ..messages import Message, TextMessage, ToolCallMessage, ToolResultMessage, parse_arguments
from .growing_text import GrowingText
from .state import StateTracker
from .usage import UsageByModel


class Transcript:
    """Folds one run's events into messages, in the order in which they began, and the last state."""

    def __init__(self) -> None:
        self._messages: dict[str, Message] = {}
        self._pieces: dict[str, GrowingText] = {}
        self._thread: list[Message] | None = None
        self._tracker = StateTracker()
        self._state_seen = False
        self.usage = UsageByModel()
        """The tokens that the run's model calls cost, where they are reported."""

    def record(self, event: events.Event) -> None:
        """Take note of ``event``.

        Raises:
            ProtocolError: A state delta does not fit.
        """
        recorder = self._RECORDERS.get(type(event))
        if recorder is not None:
            recorder(self, event)

    def recorder_of(self, message_id: str) -> Callable[[str], None]:
        """Return what takes the next pieces of a text that has been recorded, for as long as it goes on."""
        return self._pieces[message_id].pieces.append

    @property
    def state(self) -> dict[str, Any] | None:
        """The agent's last state, or None if it sent none."""
        return self._tracker.state if self._state_seen else None

    @property
    def thread(self) -> list[Message] | None:
        """The whole thread, if the agent sent it."""
        return self._thread

    @property
    def pieces(self) -> int:
        """How many pieces of text and of arguments have come, which are not tokens: one may hold several."""
        return sum(map(len, self._pieces.values()))

    def fold(self) -> None:
        """Take less memory for what has come, at a cost that is not to be paid for every event."""
        for text in self._pieces.values():
            text.fold()

    def messages(self) -> list[Message]:
        """Return what the run added, partial texts included; a call whose arguments never became JSON has none."""
        for id_, pieces in self._pieces.items():
            _complete(self._messages[id_], pieces.value())
        return list(self._messages.values())

    def unanswered(self) -> list[ToolCallMessage]:
        """Return the calls that have no result."""
        results = (message for message in self._messages.values() if isinstance(message, ToolResultMessage))
        answered = {result.tool_call_id for result in results}
        calls = (message for message in self._messages.values() if isinstance(message, ToolCallMessage))
        return [call for call in calls if call.id not in answered]

    def _text_start(self, event: events.TextMessageStart) -> None:
        self._messages[event.message_id] = TextMessage(
            id=event.message_id, role="assistant", content="", parent_message_id=event.parent_message_id
        )
        self._pieces[event.message_id] = GrowingText()

    def _text_content(self, event: events.TextMessageContent) -> None:
        self._pieces[event.message_id].pieces.append(event.delta)

    def _tool_call_start(self, event: events.ToolCallStart) -> None:
        self._messages[event.tool_call_id] = ToolCallMessage(
            id=event.tool_call_id,
            name=event.tool_call_name,
            arguments={},
            parent_message_id=event.parent_message_id,
        )
        self._pieces[event.tool_call_id] = GrowingText()

    def _tool_call_args(self, event: events.ToolCallArgs) -> None:
        self._pieces[event.tool_call_id].pieces.append(event.delta)

    def _tool_call_result(self, event: events.ToolCallResult) -> None:
        call = self._messages.get(event.tool_call_id)
        name = event.tool_call_name or (call.name if isinstance(call, ToolCallMessage) else "unknown")
        message = ToolResultMessage(
            id=f"result-{event.tool_call_id}",
            tool_call_id=event.tool_call_id,
            tool_name=name,
            result=event.content,
        )
        self._messages[message.id] = message

    def _state_snapshot(self, event: events.StateSnapshot) -> None:
        self._state_seen = True
        self._tracker.snapshot(event)

    def _state_delta(self, event: events.StateDelta) -> None:
        self._state_seen = True
        self._tracker.delta(event)

    def _messages_snapshot(self, event: events.MessagesSnapshot) -> None:
        self._thread = messages_from_agui(event.messages)

    def _run_usage(self, event: events.RunUsage) -> None:
        self.usage.add(event)

    _RECORDERS: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        events.TextMessageStart: _text_start,
        events.TextMessageContent: _text_content,
        events.ToolCallStart: _tool_call_start,
        events.ToolCallArgs: _tool_call_args,
        events.ToolCallResult: _tool_call_result,
        events.StateSnapshot: _state_snapshot,
        events.StateDelta: _state_delta,
        events.MessagesSnapshot: _messages_snapshot,
        events.RunUsage: _run_usage,
    }


def _complete(message: Message, text: str) -> None:
    if isinstance(message, TextMessage):
        message.content = text
    elif isinstance(message, ToolCallMessage):
        message.arguments = parse_arguments(text)
