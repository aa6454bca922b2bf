"""The tool calls that a run goes on with, which agents announce to their clients a second time."""

from __future__ import annotations

from collections.abc import Sequence

from ...runtime.events import Event, ToolCallArgs, ToolCallEnd, ToolCallStart
from ...runtime.messages import Message, ToolCallMessage, ToolResultMessage


class OpenCalls:
    """Recognises the calls that came with a run and have no result yet.

    An agent whose tool asked a person goes on with it once there is an answer. Some repeat the call in front of its
    result, ``ag_ui_langgraph`` for one; what the client has of it would be shown twice.

    Args:
        messages: What the run was given. A call with a result is over: models use ids again.
    """

    def __init__(self, messages: Sequence[Message]) -> None:
        answered = {message.tool_call_id for message in messages if isinstance(message, ToolResultMessage)}
        calls = (message for message in messages if isinstance(message, ToolCallMessage))
        self._names = {call.id: call.name for call in calls if call.id not in answered}
        self._repeated: set[str] = set()

    def repeats(self, event: Event) -> bool:
        """Return whether an event announces a call that the client has."""
        match event:
            case ToolCallStart(tool_call_id=id_, tool_call_name=name) if self._names.get(id_) == name:
                del self._names[id_]
                self._repeated.add(id_)
                return True
            case ToolCallArgs(tool_call_id=id_):
                return id_ in self._repeated
            case ToolCallEnd(tool_call_id=id_) if id_ in self._repeated:
                self._repeated.discard(id_)
                return True
            case _:
                return False
