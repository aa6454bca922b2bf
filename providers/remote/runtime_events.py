"""Events of the TypeScript runtime, from remote agents of type ``crewai`` (docs/contract.md, section 6.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from ...runtime import events
from ...runtime.errors import CopilotKitError, ProtocolError
from ...runtime.events import Event
from .agent_state import NodeTracker

_INTERRUPT = "LangGraphInterruptEvent"
_Reader: TypeAlias = Callable[[dict[str, Any]], list[Event]]


class RuntimeEvents:
    """Reads the lines of one run."""

    def __init__(self) -> None:
        self._readers: dict[str, _Reader] = {
            "TextMessageStart": _text_start,
            "TextMessageContent": _text_content,
            "TextMessageEnd": _text_end,
            "ActionExecutionStart": _call_start,
            "ActionExecutionArgs": _call_args,
            "ActionExecutionEnd": _call_end,
            "ActionExecutionResult": _call_result,
            "AgentStateMessage": NodeTracker().report,
            "MetaEvent": _meta,
            "RunError": _fail,
        }

    def read(self, line: Any) -> list[Event]:
        """Return the events of one line.

        Raises:
            ProtocolError: If the line is not a runtime event.
            CopilotKitError: If the agent reports that it failed.
        """
        reader = self._readers.get(line.get("type", "")) if isinstance(line, dict) else None
        if reader is None:
            raise ProtocolError("The remote agent sent something that is not a runtime event.")
        try:
            return reader(line)
        except KeyError as error:
            raise ProtocolError(f"The remote agent sent a {line['type']} event without {error}.") from error


def _text_start(line: dict[str, Any]) -> list[Event]:
    return [events.TextMessageStart(message_id=line["messageId"], parent_message_id=line.get("parentMessageId"))]


def _text_content(line: dict[str, Any]) -> list[Event]:
    return [events.TextMessageContent(message_id=line["messageId"], delta=line["content"])]


def _text_end(line: dict[str, Any]) -> list[Event]:
    return [events.TextMessageEnd(message_id=line["messageId"])]


def _call_start(line: dict[str, Any]) -> list[Event]:
    return [
        events.ToolCallStart(
            tool_call_id=line["actionExecutionId"],
            tool_call_name=line["actionName"],
            parent_message_id=line.get("parentMessageId"),
        )
    ]


def _call_args(line: dict[str, Any]) -> list[Event]:
    return [events.ToolCallArgs(tool_call_id=line["actionExecutionId"], delta=line["args"])]


def _call_end(line: dict[str, Any]) -> list[Event]:
    return [events.ToolCallEnd(tool_call_id=line["actionExecutionId"])]


def _call_result(line: dict[str, Any]) -> list[Event]:
    return [
        events.ToolCallResult(
            tool_call_id=line["actionExecutionId"],
            content=line["result"],
            tool_call_name=line["actionName"],
        )
    ]


def _meta(line: dict[str, Any]) -> list[Event]:
    name = events.INTERRUPT if line["name"] == _INTERRUPT else line["name"]
    return [events.Custom(name=name, value=line.get("value"))]


def _fail(line: dict[str, Any]) -> list[Event]:
    raise CopilotKitError(str(line.get("error") or line.get("message") or "The remote agent failed."))
