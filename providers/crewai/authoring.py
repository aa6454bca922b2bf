"""Functions with which a flow's author reaches the client while the flow runs.

The names, and what they mean, are those of the ``copilotkit`` SDK and of ``ag_ui_crewai``. Outside of a run
they do nothing, so that a flow runs as a plain script too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict
from uuid import uuid4

import msgspec

from ...runtime import events
from ...runtime.errors import MisuseError
from ..event_groups import tool_call
from .flow_state import public_state
from .session import CURRENT
from .text_log import message as whole_message
from .text_log import message_id

if TYPE_CHECKING:
    from ...runtime.events import Event


class PredictStateConfig(TypedDict):
    """Which tool's argument is streamed into a key of the state; None means all arguments."""

    tool_name: str
    tool_argument: str | None


@dataclass(frozen=True)
class StateItem:
    """The same, with the key of the state in it."""

    state_key: str
    tool: str
    tool_argument: str | None = None


def emit(*to_emit: Event) -> None:
    """Pass events to the run that the caller is part of."""
    session = CURRENT.get()
    if session is not None:
        session.emit(lambda: list(to_emit))


async def copilotkit_emit_state(state: Any) -> Literal[True]:
    """Show ``state`` (a mapping or a pydantic model) to the client, as it is now."""
    await _emit(events.StateSnapshot(snapshot=public_state(state)))
    return True


async def copilotkit_emit_message(message: str) -> str:
    """Send ``message`` as the assistant's, and return its id."""
    sent = whole_message(message)
    await _emit(*sent)
    return message_id(sent)


async def copilotkit_emit_tool_call(*, name: str, args: dict[str, Any], tool_call_id: str | None = None) -> str:
    """Call a tool of the client, and return the call's id.

    Raises:
        MisuseError: If ``name`` is empty, or ``args`` is not JSON.
    """
    if not name.strip():
        raise MisuseError("Tool name must be a non-empty string for copilotkit_emit_tool_call")
    try:
        arguments = msgspec.json.encode(args).decode()
    except TypeError as error:
        raise MisuseError(f"Tool arguments for '{name}' are not JSON-serializable: {error}") from error
    call_id = tool_call_id or str(uuid4())
    await _emit(*tool_call(call_id, name, arguments, call_id))
    return call_id


async def copilotkit_emit_tool_result(
    tool_call_id: str, content: str, *, message_id: str | None = None
) -> Literal[True]:
    """Show the result of a tool that the flow ran itself."""
    await _emit(events.ToolCallResult(tool_call_id=tool_call_id, content=content, message_id=message_id))
    return True


async def copilotkit_exit() -> Literal[True]:
    """Give the conversation back to the client once the run is over. It does not stop the flow."""
    await _emit(events.Custom(name=events.EXIT, value=True))
    return True


async def copilotkit_predict_state(
    config: Mapping[str, PredictStateConfig] | Sequence[StateItem],
) -> Literal[True]:
    """Stream the arguments of tool calls into the state, for the rest of the current method."""
    await _emit(events.Custom(name=events.PREDICT_STATE, value=_predictions(config)))
    return True


def _predictions(config: Mapping[str, PredictStateConfig] | Sequence[StateItem]) -> list[dict[str, Any]]:
    if isinstance(config, Mapping):
        return [
            {"state_key": key, "tool": entry["tool_name"], "tool_argument": entry.get("tool_argument")}
            for key, entry in config.items()
        ]
    return [{"state_key": item.state_key, "tool": item.tool, "tool_argument": item.tool_argument} for item in config]


async def _emit(*to_emit: Event) -> None:
    # Flows share the thread of their run with nobody but themselves, so waiting for room here is harmless.
    emit(*to_emit)
    await asyncio.sleep(0)
