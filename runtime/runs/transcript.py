"""The transcript of a run as messages, for stores and hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from .. import events
from ..agui_messages import messages_from_agui
from ..messages import Message, TextMessage, ToolCallMessage, ToolResultMessage, parse_arguments
from .log import RunLog
from .state import StateTracker
from .usage import UsageByModel


class Transcript:
    """Folds one run's events into messages, in the order in which they began, and the last state.

    Args:
        log: Where the same events are kept, so that the texts of messages are not kept twice; None to keep them here.
    """

    __slots__ = (
        "_complete_to",
        "_log",
        "_messages",
        "_pieces",
        "_recorders",
        "_state_seen",
        "_thread",
        "_tracker",
        "usage",
    )

    def __init__(self, log: RunLog | None = None) -> None:
        self._log = log
        self._recorders = self._ALONE if log is None else self._BESIDE_A_LOG
        self._messages: dict[str, Message] = {}
        self._pieces: dict[str, list[str]] = {}  # of texts and arguments that no log keeps
        self._complete_to = 0  # the number of the log's last event that the messages show
        self._thread: list[Message] | None = None
        self._tracker = StateTracker()
        self._state_seen = False
        self.usage = UsageByModel()
        """The tokens that the run's model calls cost, where they are reported."""

    def record(self, event: events.Event) -> None:
        """Take note of ``event``; further pieces of a text need not be noted if there is a log.

        Raises:
            ProtocolError: A state delta does not fit.
        """
        recorder = self._recorders.get(type(event))
        if recorder is not None:
            recorder(self, event)

    @property
    def state(self) -> dict[str, Any] | None:
        """The agent's last state, or None if it sent none."""
        return self._tracker.state if self._state_seen else None

    @property
    def thread(self) -> list[Message] | None:
        """The whole thread, if the agent sent it."""
        return self._thread

    def messages(self) -> list[Message]:
        """Return what the run added, partial texts included; a call whose arguments never became JSON has none."""
        if self._log is None or self._complete_to < self._log.last:
            pieces = self._pieces if self._log is None else _pieces_of(self._log.everything())
            for id_, message in self._messages.items():
                _complete(message, "".join(pieces.get(id_, ())))
            self._complete_to = 0 if self._log is None else self._log.last
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
        if self._log is None:
            self._pieces[event.message_id] = []

    def _text_content(self, event: events.TextMessageContent) -> None:
        self._pieces[event.message_id].append(event.delta)

    def _tool_call_start(self, event: events.ToolCallStart) -> None:
        self._messages[event.tool_call_id] = ToolCallMessage(
            id=event.tool_call_id,
            name=event.tool_call_name,
            arguments={},
            parent_message_id=event.parent_message_id,
        )
        if self._log is None:
            self._pieces[event.tool_call_id] = []

    def _tool_call_args(self, event: events.ToolCallArgs) -> None:
        self._pieces[event.tool_call_id].append(event.delta)

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

    _BESIDE_A_LOG: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        events.TextMessageStart: _text_start,
        events.ToolCallStart: _tool_call_start,
        events.ToolCallResult: _tool_call_result,
        events.StateSnapshot: _state_snapshot,
        events.StateDelta: _state_delta,
        events.MessagesSnapshot: _messages_snapshot,
        events.RunUsage: _run_usage,
    }
    _ALONE: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        **_BESIDE_A_LOG,
        events.TextMessageContent: _text_content,
        events.ToolCallArgs: _tool_call_args,
    }


def _pieces_of(run: Iterable[events.Event]) -> dict[str, list[str]]:
    """Return the texts and arguments of a run by the ids of their messages and calls."""
    content = events.TextMessageContent
    pieces: dict[str, list[str]] = {}
    for event in run:
        if type(event) is content:  # the first to be tried, as most are
            pieces.setdefault(event.message_id, []).append(event.delta)
        elif isinstance(event, events.ToolCallArgs):
            pieces.setdefault(event.tool_call_id, []).append(event.delta)
        elif isinstance(event, events.TextMessageStart):
            pieces[event.message_id] = []
        elif isinstance(event, events.ToolCallStart):
            pieces[event.tool_call_id] = []
    return pieces


def _complete(message: Message, text: str) -> None:
    if isinstance(message, TextMessage):
        message.content = text
    elif isinstance(message, ToolCallMessage):
        message.arguments = parse_arguments(text)
