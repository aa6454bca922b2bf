"""A drop-in Python replacement for the CopilotKit runtime."""

from .runtime import errors, events
from .runtime.config import RuntimeConfig
from .runtime.context import RunContext, RunInput, Tool
from .runtime.copilot import CopilotRuntime
from .runtime.provider import AgentDescriptor, AgentProvider
from .runtime.state import AgentState, StateStore

__all__ = [
    "AgentDescriptor",
    "AgentProvider",
    "AgentState",
    "CopilotRuntime",
    "RunContext",
    "RunInput",
    "RuntimeConfig",
    "StateStore",
    "Tool",
    "errors",
    "events",
]
