"""A drop-in Python replacement for the CopilotKit runtime."""

from .runtime import errors, events
from .runtime.actions import Action, ActionSource, action
from .runtime.config import RuntimeConfig
from .runtime.context import RunContext, RunInput, Tool
from .runtime.guardrails import CloudGuardrail, Guardrail, InputCheck, OutputCheck, TopicGuardrail, TopicJudge, Verdict
from .runtime.hooks import Hooks, Observability
from .runtime.provider import AgentDescriptor, AgentProvider
from .runtime.stores.interface import AgentState, StateStore
from .server.runtime import CopilotRuntime
from .wires.http.auth import ApiKeyAuth, Identity, JwtAuth

__all__ = [
    "Action",
    "ActionSource",
    "AgentDescriptor",
    "AgentProvider",
    "AgentState",
    "ApiKeyAuth",
    "CloudGuardrail",
    "CopilotRuntime",
    "Guardrail",
    "Hooks",
    "Identity",
    "InputCheck",
    "JwtAuth",
    "Observability",
    "OutputCheck",
    "RunContext",
    "RunInput",
    "RuntimeConfig",
    "StateStore",
    "Tool",
    "TopicGuardrail",
    "TopicJudge",
    "Verdict",
    "action",
    "errors",
    "events",
]
