"""AG-UI's events as they enter the runtime: its own, their shorthands, and forms of other protocol versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, get_args

import msgspec
import structlog

from . import events
from .errors import ProtocolError
from .events import BaseEvent, Json
from .json_text import decode_agent_json

log = structlog.get_logger(__name__)

SOURCE = "ag-ui"
"""The ``source`` of ``Raw`` events that hold an AG-UI event without a counterpart."""


class TextMessageChunk(BaseEvent, tag="TEXT_MESSAGE_CHUNK"):
    """Opens a text message when it is new, and appends to it."""

    message_id: str | None = None
    role: str = "assistant"
    delta: str | None = None
    subagent_run_id: str | None = None


class ToolCallChunk(BaseEvent, tag="TOOL_CALL_CHUNK"):
    """Opens a tool call when it is new, and appends to its arguments."""

    tool_call_id: str | None = None
    tool_call_name: str | None = None
    parent_message_id: str | None = None
    delta: str | None = None
    subagent_run_id: str | None = None


class ReasoningMessageChunk(BaseEvent, tag="REASONING_MESSAGE_CHUNK"):
    """Opens a reasoning text when it is new, and appends to it."""

    message_id: str | None = None
    delta: str | None = None
    subagent_run_id: str | None = None


class ThinkingStart(BaseEvent, tag="THINKING_START"):
    """The older ``ReasoningStart``, without an id."""


class ThinkingEnd(BaseEvent, tag="THINKING_END"):
    """The older ``ReasoningEnd``, without an id."""


class ThinkingTextMessageStart(BaseEvent, tag="THINKING_TEXT_MESSAGE_START"):
    """The older ``ReasoningMessageStart``, without an id."""


class ThinkingTextMessageContent(BaseEvent, tag="THINKING_TEXT_MESSAGE_CONTENT"):
    """The older ``ReasoningMessageContent``, without an id."""

    delta: str


class ThinkingTextMessageEnd(BaseEvent, tag="THINKING_TEXT_MESSAGE_END"):
    """The older ``ReasoningMessageEnd``, without an id."""


class ToolCallAnswer(BaseEvent, tag="TOOL_CALL_RESULT"):
    """A tool call's result, whose content may be a list of parts."""

    tool_call_id: str
    content: str | list[dict[str, Json]]
    message_id: str | None = None
    tool_call_name: str | None = None


class AttributedStateSnapshot(BaseEvent, tag="STATE_SNAPSHOT"):
    """A state, which is a subagent's if ``subagent_run_id`` is set (AG-UI 1.0)."""

    snapshot: Json
    subagent_run_id: str | None = None


class AttributedStateDelta(BaseEvent, tag="STATE_DELTA"):
    """A change of a state, which is a subagent's if ``subagent_run_id`` is set (AG-UI 1.0)."""

    delta: list[dict[str, Json]]
    subagent_run_id: str | None = None


class AttributedStepStarted(BaseEvent, tag="STEP_STARTED"):
    """A step, which is a subagent's if ``subagent_run_id`` is set (AG-UI 1.0)."""

    step_name: str
    subagent_run_id: str | None = None


class AttributedStepFinished(BaseEvent, tag="STEP_FINISHED"):
    """The end of a step, which is a subagent's if ``subagent_run_id`` is set (AG-UI 1.0)."""

    step_name: str
    subagent_run_id: str | None = None


class RunOutcome(BaseEvent, tag="RUN_FINISHED"):
    """A run's end, which may be an interrupt, and what its models cost (AG-UI 1.0)."""

    thread_id: str
    run_id: str
    result: Json = None
    outcome: dict[str, Json] | None = None
    usage: Json = None


class RunFailure(BaseEvent, tag="RUN_ERROR"):
    """A run's bad end, and what its models cost (AG-UI 1.0)."""

    message: str
    code: str | None = None
    details: dict[str, Json] | None = None
    usage: Json = None


WireEvent: TypeAlias = (
    events.RunStarted
    | RunOutcome
    | RunFailure
    | AttributedStepStarted
    | AttributedStepFinished
    | events.TextMessageStart
    | events.TextMessageContent
    | events.TextMessageEnd
    | TextMessageChunk
    | events.ToolCallStart
    | events.ToolCallArgs
    | events.ToolCallEnd
    | ToolCallChunk
    | ToolCallAnswer
    | AttributedStateSnapshot
    | AttributedStateDelta
    | events.MessagesSnapshot
    | events.Custom
    | events.Raw
    | events.ReasoningStart
    | events.ReasoningMessageStart
    | events.ReasoningMessageContent
    | events.ReasoningMessageEnd
    | ReasoningMessageChunk
    | events.ReasoningEnd
    | events.ReasoningEncryptedValue
    | events.ActivitySnapshot
    | events.ActivityDelta
    | ThinkingStart
    | ThinkingEnd
    | ThinkingTextMessageStart
    | ThinkingTextMessageContent
    | ThinkingTextMessageEnd
)

Attributed: TypeAlias = AttributedStateSnapshot | AttributedStateDelta | AttributedStepStarted | AttributedStepFinished

_DECODER: msgspec.json.Decoder[WireEvent] = msgspec.json.Decoder(WireEvent)
PARSED = frozenset((*get_args(WireEvent), *get_args(events.Event)))
"""What is an event already: one of the runtime's own, or one of the forms in this module."""
_KINDS: dict[str, type[BaseEvent]] = {str(kind.__struct_config__.tag): kind for kind in get_args(WireEvent)}


def parse_event(item: Any) -> WireEvent | events.Event:
    """Parse one event: one of the runtime's own, a model of ``ag_ui.core``, or a mapping.

    Raises:
        ProtocolError: If ``item`` is none of these, or breaks AG-UI.
    """
    if type(item) in PARSED:
        return item  # type: ignore[no-any-return]
    return parse_model(item) if hasattr(item, "model_dump") else parse_mapping(item)


def parse_json(text: str | bytes) -> WireEvent:
    """Parse one event from its JSON.

    Raises:
        ProtocolError: If it is not JSON, or not an event.
    """
    try:
        return _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return parse_mapping(_decoded(text))


def _decoded(text: str | bytes) -> Any:
    try:
        return decode_agent_json(text)
    except msgspec.DecodeError as error:
        raise ProtocolError("The agent sent an event that is not JSON.") from error


def parse_model(model: Any) -> WireEvent:
    """Parse one event from a pydantic model of ``ag_ui.core``, of any version.

    Raises:
        ProtocolError: If the model is not an event.
    """
    kind = _KINDS.get(_type_name(getattr(model, "type", None)))
    if kind is events.TextMessageContent:
        return events.TextMessageContent(message_id=model.message_id, delta=model.delta)
    if kind is events.ToolCallArgs:
        return events.ToolCallArgs(tool_call_id=model.tool_call_id, delta=model.delta)
    # A framework's raw event may hold what cannot be serialised, and it is not read here.
    return parse_mapping(model.model_dump(mode="json", by_alias=True, exclude={"raw_event"}))


def parse_mapping(event: Any) -> WireEvent:
    """Parse one event from a mapping, whose keys may be camel or snake case and whose absent values may be None.

    An event of an unknown type becomes a ``Raw``, and is logged: agents of newer protocols stay usable.

    Raises:
        ProtocolError: If it is not an event.
    """
    name = _type_name(event.get("type")) if isinstance(event, Mapping) else ""
    if not name:
        raise ProtocolError("The agent sent something that is not an AG-UI event.")
    kind = _KINDS.get(name)
    if kind is None:
        log.info("agui_event_unknown", type=name[:_LOGGED_CHARACTERS])
        return events.Raw(event=dict(event), source=SOURCE)
    fields = {_camel(key): value for key, value in event.items() if value is not None or key in _NULLABLE}
    try:
        converted: Any = msgspec.convert({**fields, "type": name}, kind)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"The agent sent a {name} event that breaks AG-UI: {error}") from error
    return converted  # type: ignore[no-any-return]


def without_attribution(event: Attributed) -> events.Event:
    """Return the runtime's event for one of the run's own agent."""
    match event:
        case AttributedStateSnapshot():
            return events.StateSnapshot(snapshot=event.snapshot)
        case AttributedStateDelta():
            return events.StateDelta(delta=event.delta)
        case AttributedStepStarted():
            return events.StepStarted(step_name=event.step_name)
        case AttributedStepFinished():
            return events.StepFinished(step_name=event.step_name)


_LOGGED_CHARACTERS = 100
_NULLABLE = frozenset({"snapshot", "value", "event"})


def _type_name(value: Any) -> str:
    name = getattr(value, "value", value)
    return name if isinstance(name, str) else ""


def _camel(key: str) -> str:
    if "_" not in key:
        return key
    first, *others = key.split("_")
    return first + "".join(map(str.title, others))
