"""Crews and flows of CrewAI as agents. CrewAI is not imported yet, but kept quiet for when it is."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...runtime.optional import optional

with optional("The CrewAI provider", "crewai", package="crewai"):
    from .authoring import (
        PredictStateConfig,
        StateItem,
        copilotkit_emit_message,
        copilotkit_emit_state,
        copilotkit_emit_tool_call,
        copilotkit_emit_tool_result,
        copilotkit_exit,
        copilotkit_predict_state,
    )
    from .completion import copilotkit_stream
    from .framework import disable_telemetry
    from .provider import CrewAIProvider

if TYPE_CHECKING:
    from .copilotkit_state import CopilotKitProperties, CopilotKitState

__all__ = [
    "CopilotKitProperties",
    "CopilotKitState",
    "CrewAIProvider",
    "PredictStateConfig",
    "StateItem",
    "copilotkit_emit_message",
    "copilotkit_emit_state",
    "copilotkit_emit_tool_call",
    "copilotkit_emit_tool_result",
    "copilotkit_exit",
    "copilotkit_predict_state",
    "copilotkit_stream",
]

_NEED_CREWAI = frozenset({"CopilotKitProperties", "CopilotKitState"})

disable_telemetry()


def __getattr__(name: str) -> Any:
    if name in _NEED_CREWAI:
        return getattr(import_module(".copilotkit_state", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
