"""The rules of a run's event stream, enforced once for every provider (AG-UI's ``verifyEvents``).

Texts of violations are AG-UI's (docs/contract.md, appendix D).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from .. import events
from ..errors import ProtocolError


class ForeignEventError(Exception):
    """A provider yielded something that is not one of the runtime's events.

    Args:
        item: What it yielded.
    """

    def __init__(self, item: object) -> None:
        super().__init__(type(item).__name__)
        self.item = item


class EventVerifier:
    """Checks one run's events in turn and knows what is still open."""

    __slots__ = ("_ended", "_reasoning", "_reflections", "_steps", "_texts", "_tool_calls")

    def __init__(self) -> None:
        self._texts: dict[str, None] = {}
        self._tool_calls: dict[str, None] = {}
        self._reasoning: dict[str, None] = {}
        self._reflections: dict[str, None] = {}
        """What reasoning texts are parts of: it is closed at the end, but its order is nobody's concern."""
        self._steps: dict[str, None] = {}
        self._ended: str | None = None

    def check(self, event: events.Event) -> None:
        """Check that ``event`` may come now.

        Raises:
            ProtocolError: It may not come now.
            ForeignEventError: It is not one of the runtime's events.
        """
        check = self._CHECKS.get(type(event))
        if check is None:
            raise ForeignEventError(event)
        if self._ended is not None:
            self._refuse_after_end(event)
        check(self, event)

    def begin_again(self) -> None:
        """Let another run follow in the same stream."""
        self._ended = None

    def closing(self) -> list[events.Event]:
        """Return the events that close all that is open, innermost first."""
        closing: list[events.Event] = [events.TextMessageEnd(message_id=id_) for id_ in self._texts]
        closing += [events.ToolCallEnd(tool_call_id=id_) for id_ in self._tool_calls]
        closing += [events.ReasoningMessageEnd(message_id=id_) for id_ in self._reasoning]
        closing += [events.ReasoningEnd(message_id=id_) for id_ in self._reflections]
        closing += [events.StepFinished(step_name=name) for name in reversed(self._steps)]
        return closing

    def _refuse_after_end(self, event: events.Event) -> None:
        kind = _wire_name(type(event))
        if self._ended == "RUN_ERROR":
            raise ProtocolError(
                f"Cannot send event type '{kind}': The run has already errored with 'RUN_ERROR'."
                " No further events can be sent."
            )
        raise ProtocolError(
            f"Cannot send event type '{kind}': The run has already finished with 'RUN_FINISHED'."
            " Start a new run with 'RUN_STARTED'."
        )

    def _unchecked(self, event: events.Event) -> None:
        """Accept an event that may come at any time before the run's end."""

    def _run_ended(self, event: events.RunFinished | events.RunError) -> None:
        self._ended = _wire_name(type(event))

    def _text_start(self, event: events.TextMessageStart) -> None:
        _open(self._texts, event.message_id, "TEXT_MESSAGE_START", "TEXT_MESSAGE_END", "A text message")

    def _text_content(self, event: events.TextMessageContent) -> None:
        if event.message_id not in self._texts:
            raise _not_open("TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_START", "text message", event.message_id)

    def _text_end(self, event: events.TextMessageEnd) -> None:
        _close(self._texts, event.message_id, "TEXT_MESSAGE_END", "TEXT_MESSAGE_START", "text message")

    def _tool_call_start(self, event: events.ToolCallStart) -> None:
        _open(self._tool_calls, event.tool_call_id, "TOOL_CALL_START", "TOOL_CALL_END", "A tool call")

    def _tool_call_args(self, event: events.ToolCallArgs) -> None:
        if event.tool_call_id not in self._tool_calls:
            raise _not_open("TOOL_CALL_ARGS", "TOOL_CALL_START", "tool call", event.tool_call_id)

    def _tool_call_end(self, event: events.ToolCallEnd) -> None:
        _close(self._tool_calls, event.tool_call_id, "TOOL_CALL_END", "TOOL_CALL_START", "tool call")

    def _reasoning_start(self, event: events.ReasoningMessageStart) -> None:
        _open(
            self._reasoning,
            event.message_id,
            "REASONING_MESSAGE_START",
            "REASONING_MESSAGE_END",
            "A reasoning message",
        )

    def _reasoning_content(self, event: events.ReasoningMessageContent) -> None:
        if event.message_id not in self._reasoning:
            raise _not_open(
                "REASONING_MESSAGE_CONTENT", "REASONING_MESSAGE_START", "reasoning message", event.message_id
            )

    def _reasoning_end(self, event: events.ReasoningMessageEnd) -> None:
        _close(
            self._reasoning,
            event.message_id,
            "REASONING_MESSAGE_END",
            "REASONING_MESSAGE_START",
            "reasoning message",
        )

    def _reflection_start(self, event: events.ReasoningStart) -> None:
        self._reflections[event.message_id] = None

    def _reflection_end(self, event: events.ReasoningEnd) -> None:
        self._reflections.pop(event.message_id, None)

    def _step_started(self, event: events.StepStarted) -> None:
        if event.step_name in self._steps:
            raise ProtocolError(f"Step \"{event.step_name}\" is already active for 'STEP_STARTED'")
        self._steps[event.step_name] = None

    def _step_finished(self, event: events.StepFinished) -> None:
        if event.step_name not in self._steps:
            raise ProtocolError(f"Cannot send 'STEP_FINISHED' for step \"{event.step_name}\" that was not started")
        del self._steps[event.step_name]

    _CHECKS: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        events.TextMessageStart: _text_start,
        events.TextMessageContent: _text_content,
        events.TextMessageEnd: _text_end,
        events.ToolCallStart: _tool_call_start,
        events.ToolCallArgs: _tool_call_args,
        events.ToolCallEnd: _tool_call_end,
        events.StepStarted: _step_started,
        events.StepFinished: _step_finished,
        events.ReasoningStart: _reflection_start,
        events.ReasoningEnd: _reflection_end,
        events.ReasoningMessageStart: _reasoning_start,
        events.ReasoningMessageContent: _reasoning_content,
        events.ReasoningMessageEnd: _reasoning_end,
        events.RunFinished: _run_ended,
        events.RunError: _run_ended,
        **dict.fromkeys(
            (
                events.RunStarted,
                events.ToolCallResult,
                events.StateSnapshot,
                events.StateDelta,
                events.MessagesSnapshot,
                events.Custom,
                events.Raw,
                events.ReasoningEncryptedValue,
                events.ActivitySnapshot,
                events.ActivityDelta,
                events.RunUsage,
            ),
            _unchecked,
        ),
    }


def _wire_name(kind: type[events.BaseEvent]) -> str:
    return str(kind.__struct_config__.tag)


def _open(opened: dict[str, None], id_: str, start: str, end: str, what: str) -> None:
    if id_ in opened:
        raise ProtocolError(
            f"Cannot send '{start}' event: {what} with ID '{id_}' is already in progress."
            f" Complete it with '{end}' first."
        )
    opened[id_] = None


def _close(opened: dict[str, None], id_: str, end: str, start: str, what: str) -> None:
    if id_ not in opened:
        raise ProtocolError(
            f"Cannot send '{end}' event: No active {what} found with ID '{id_}'. A '{start}' event must be sent first."
        )
    del opened[id_]


def _not_open(event: str, start: str, what: str, id_: str) -> ProtocolError:
    return ProtocolError(
        f"Cannot send '{event}' event: No active {what} found with ID '{id_}'. Start a {what} with '{start}' first."
    )
