"""Agent states as remote endpoints report them, as the runtime's events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ...runtime import events
from ...runtime.agui_messages import messages_to_agui
from ...runtime.errors import ProtocolError
from ...runtime.messages import Message, TextMessage, ToolCallMessage, ToolResultMessage, new_id

if TYPE_CHECKING:
    from ...runtime.events import Event

_END = "__end__"
_NO_NODE = frozenset({"", _END})


class NodeTracker:
    """Translates the reports of one run into steps, snapshots and the exit."""

    def __init__(self) -> None:
        self._node = ""
        self._exited = False

    def report(self, report: dict[str, Any]) -> list[Event]:
        """Return the events for a report: ``node_name``, ``active``, ``running`` and ``state``, in either spelling."""
        state = read_state(report.get("state"))
        out = self._move(str(report.get("node_name") or report.get("nodeName") or ""))
        if not report.get("running", True) and not self._exited:
            self._exited = True
            out.append(events.Custom(name=events.EXIT, value=True))
        out.append(events.StateSnapshot(snapshot={k: v for k, v in state.items() if k != "messages"}))
        thread = state.get("messages")
        if isinstance(thread, list) and thread and not report.get("active", True):
            out.append(events.MessagesSnapshot(messages=messages_to_agui(read_messages(thread))))
        return out

    def _move(self, node: str) -> list[Event]:
        if node == self._node:
            return []
        left, self._node = self._node, node
        out: list[Event] = [events.StepFinished(step_name=left)] if left not in _NO_NODE else []
        if node:
            out.append(events.StepStarted(step_name=node))
        if node == _END:
            # The client returns the last node's name, and the SDK's agents go on behind any other than this one.
            out.append(events.StepFinished(step_name=node))
        return out


def read_state(state: Any) -> dict[str, Any]:
    """Parse a state that may have come as JSON text.

    Raises:
        ProtocolError: If it is not a JSON object.
    """
    if isinstance(state, str):
        try:
            state = msgspec.json.decode(state or "{}")
        except msgspec.DecodeError as error:
            raise ProtocolError("The agent sent a state that is not JSON.") from error
    if state is None:
        return {}
    if not isinstance(state, dict):
        raise ProtocolError("The agent sent a state that is not a JSON object.")
    return state


def read_messages(thread: list[Any]) -> list[Message]:
    """Parse a thread's messages from the shape in which the SDK reports them (docs/contract.md, appendix B)."""
    return [read for message in thread if isinstance(message, dict) and (read := _read_message(message))]


def _read_message(message: dict[str, Any]) -> Message | None:
    id_ = str(message.get("id") or new_id())
    if "actionExecutionId" in message:
        return ToolResultMessage(
            id=id_,
            tool_call_id=str(message["actionExecutionId"]),
            tool_name=str(message.get("actionName") or ""),
            result=_text(message.get("result")),
        )
    parent = message.get("parentMessageId")
    if "arguments" in message:
        name = str(message.get("name") or "")
        return ToolCallMessage(id=id_, name=name, arguments=read_state(message["arguments"]), parent_message_id=parent)
    if message.get("role") in ("user", "assistant", "system", "developer"):
        return TextMessage(id=id_, role=message["role"], content=_text(message.get("content")))
    return None


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
