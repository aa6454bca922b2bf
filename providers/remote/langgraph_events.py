"""LangGraph events as JSON lines, from remote agents of type ``langgraph`` (docs/contract.md, section 6.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from ...runtime import events
from ...runtime.errors import NetworkError, ProtocolError
from ...runtime.events import Event
from ..event_groups import text_message, tool_call
from .agent_state import NodeTracker

_Reader: TypeAlias = Callable[[dict[str, Any]], list[Event]]
_EMIT_MESSAGES = "copilotkit:emit-messages"
_EMIT_TOOL_CALLS = "copilotkit:emit-tool-calls"


class LangGraphEvents:
    """Reads the lines of one run."""

    def __init__(self) -> None:
        self._message_id: str | None = None
        self._open_calls: dict[Any, str] = {}
        self._nodes = NodeTracker()
        self._readers: dict[str, _Reader] = {
            "on_chat_model_stream": self._chunk,
            "on_copilotkit_state_sync": self._nodes.report,
            "on_interrupt": _interrupt,
            "on_copilotkit_interrupt": _copilotkit_interrupt,
            "on_copilotkit_error": _fail,
            "on_custom_event": self._custom,
        }

    def read(self, line: Any) -> list[Event]:
        """Return the events of one line; LangGraph's other events mean nothing here.

        Raises:
            ProtocolError: If the line is not a LangGraph event.
            NetworkError: If the agent reports that it failed.
        """
        if not isinstance(line, dict) or not isinstance(line.get("event"), str):
            raise ProtocolError("The remote agent sent something that is not a LangGraph event.")
        reader = self._readers.get(line["event"])
        try:
            return [] if reader is None else reader(line)
        except (KeyError, TypeError, AttributeError) as error:
            raise ProtocolError(f"The remote agent sent a {line['event']} event in a wrong form.") from error

    def _chunk(self, line: dict[str, Any]) -> list[Event]:
        chunk = line["data"]["chunk"]
        fields = chunk.get("kwargs") or chunk
        metadata = line.get("metadata") or {}
        finish = (fields.get("response_metadata") or {}).get("finish_reason")
        out: list[Event] = []
        text = _text_of(fields.get("content"))
        if text and metadata.get(_EMIT_MESSAGES) is not False:
            out += self._text(str(fields.get("id") or ""), text)
        for part in fields.get("tool_call_chunks") or ():
            out += self._call_part(part, fields, metadata.get(_EMIT_TOOL_CALLS))
        if finish is not None:
            out += [*self._end_calls(), *self._end_text()]
        return out

    def _call_part(self, part: dict[str, Any], fields: dict[str, Any], wanted: Any) -> list[Event]:
        out: list[Event] = []
        index = part.get("index")
        if part.get("id") and part.get("name"):
            out = self._end_call(index)
            if _is_wanted(part["name"], wanted):
                out += self._start_call(index, part["id"], part["name"], fields.get("id"))
        call_id = self._open_calls.get(index)
        if call_id is not None and part.get("args"):
            out.append(events.ToolCallArgs(tool_call_id=call_id, delta=part["args"]))
        return out

    def _start_call(self, index: Any, call_id: str, name: str, message_id: str | None) -> list[Event]:
        before = self._end_text()
        self._open_calls[index] = call_id
        start = events.ToolCallStart(tool_call_id=call_id, tool_call_name=name, parent_message_id=message_id)
        return [*before, start]

    def _text(self, message_id: str, text: str) -> list[Event]:
        out = self._end_calls()
        if message_id != self._message_id:
            out += self._end_text()
            self._message_id = message_id
            out.append(events.TextMessageStart(message_id=message_id))
        return [*out, events.TextMessageContent(message_id=message_id, delta=text)]

    def _end_text(self) -> list[Event]:
        ended, self._message_id = self._message_id, None
        return [] if ended is None else [events.TextMessageEnd(message_id=ended)]

    def _end_call(self, index: Any) -> list[Event]:
        ended = self._open_calls.pop(index, None)
        return [] if ended is None else [events.ToolCallEnd(tool_call_id=ended)]

    def _end_calls(self) -> list[Event]:
        return [event for index in list(self._open_calls) for event in self._end_call(index)]

    def _custom(self, line: dict[str, Any]) -> list[Event]:
        data = line.get("data")
        if line.get("name") == "copilotkit_manually_emit_message" and isinstance(data, dict):
            message_id = data["message_id"]
            return [*self._end_text(), *self._end_calls(), *text_message(message_id, data["message"])]
        if line.get("name") == "copilotkit_manually_emit_tool_call" and isinstance(data, dict):
            arguments = data["args"] if isinstance(data["args"], str) else msgspec.json.encode(data["args"]).decode()
            return [*self._end_text(), *tool_call(data["id"], data["name"], arguments, data["id"])]
        return []


def _is_wanted(name: str, wanted: Any) -> bool:
    match wanted:
        case bool():
            return wanted
        case str():
            return name == wanted
        case list():
            return name in wanted
        case _:
            return True


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _interrupt(line: dict[str, Any]) -> list[Event]:
    return [events.Custom(name=events.INTERRUPT, value=line["value"])]


def _copilotkit_interrupt(line: dict[str, Any]) -> list[Event]:
    return [events.Custom(name=events.COPILOTKIT_INTERRUPT, value=line["data"])]


def _fail(line: dict[str, Any]) -> list[Event]:
    error = line["data"]["error"]
    kind = error.get("type") or "Error"
    status = error.get("status_code")
    raise NetworkError(
        f"{kind}: {error.get('message')}",
        status_code=status if isinstance(status, int) else None,
        original_type=kind,
    )
