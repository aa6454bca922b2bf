"""Open events of a paused run: the runtime closes them with the run, so the next run opens them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...runtime import events

if TYPE_CHECKING:
    from ...runtime.events import Event


class OpenEvents:
    """Follows the events that are delivered."""

    def __init__(self) -> None:
        self._begun: dict[tuple[str, str], Event] = {}

    def watch(self, event: Event) -> None:
        """Record ``event``."""
        match event:
            case events.StepStarted():
                self._begun["step", event.step_name] = event
            case events.StepFinished():
                self._begun.pop(("step", event.step_name), None)
            case events.TextMessageStart():
                self._begun["text", event.message_id] = event
            case events.TextMessageEnd():
                self._begun.pop(("text", event.message_id), None)
            case events.ReasoningMessageStart():
                self._begun["reasoning", event.message_id] = event
            case events.ReasoningMessageEnd():
                self._begun.pop(("reasoning", event.message_id), None)
            case events.ToolCallStart():
                self._begun["call", event.tool_call_id] = event
            case events.ToolCallEnd():
                self._begun.pop(("call", event.tool_call_id), None)

    def again(self) -> list[Event]:
        """Return the starts of what has not ended, in their order."""
        return list(self._begun.values())
