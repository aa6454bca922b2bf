"""The tool calls that a run goes on with, which agents announce to their clients a second time."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ...runtime.events import Event, ToolCallArgs, ToolCallEnd, ToolCallResult, ToolCallStart
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
        self._left = set(self._names)
        self._repeated: set[str] = set()

    def repeats(self, event: Event) -> bool:
        """Return whether an event announces a call that the client has."""
        match event:
            case ToolCallStart(tool_call_id=id_, tool_call_name=name) if id_ in self._left and self._names[id_] == name:
                self._left.discard(id_)
                self._repeated.add(id_)
                return True
            case ToolCallArgs(tool_call_id=id_):
                return id_ in self._repeated
            case ToolCallEnd(tool_call_id=id_) if id_ in self._repeated:
                self._repeated.discard(id_)
                return True
            case _:
                return False

    def named(self, event: Event) -> Event:
        """Return an event, a result with the name of its call: GraphQL's clients get it, and the run has no call."""
        if isinstance(event, ToolCallResult) and event.tool_call_name is None and event.tool_call_id in self._names:
            return msgspec.structs.replace(event, tool_call_name=self._names[event.tool_call_id])
        return event
