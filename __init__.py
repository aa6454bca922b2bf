"""A drop-in Python replacement for the CopilotKit runtime."""

from .runtime import errors, events, messages, stores
from .runtime.actions import Action, ActionSource, action
from .runtime.config import RuntimeConfig
from .runtime.context import ContextItem, ForwardedParameters, Resume, RunContext, RunInput, Tool
from .runtime.generated_ui import A2UI
from .runtime.guardrails import CloudGuardrail, Guardrail, InputCheck, OutputCheck, TopicGuardrail, TopicJudge, Verdict
from .runtime.hooks import (
    AfterRequest,
    BeforeRequest,
    ErrorContext,
    ErrorEvent,
    Hooks,
    Observability,
    ObservedError,
    ObservedRequest,
    ObservedResponse,
    Stopped,
)
from .runtime.info import RuntimeInfo
from .runtime.provider import AgentDescriptor, AgentProvider, StateSchemas
from .runtime.stores import (
    AgentState,
    RecordStore,
    RunLock,
    StateEncodingError,
    StateStore,
    StateTooLargeError,
    StoreConflictError,
    StoreKeyError,
    StoreSettings,
    StoreUnavailableError,
    ThreadInfo,
    ThreadPage,
    open_store,
)
from .server.runtime import CopilotRuntime
from .wires.agui.transcription import Audio, TranscriptionError
from .wires.http.auth import ApiKeyAuth, Authenticator, Identity, JwtAuth

__all__ = [
    "A2UI",
    "Action",
    "ActionSource",
    "AfterRequest",
    "AgentDescriptor",
    "AgentProvider",
    "AgentState",
    "ApiKeyAuth",
    "Audio",
    "Authenticator",
    "BeforeRequest",
    "CloudGuardrail",
    "ContextItem",
    "CopilotRuntime",
    "ErrorContext",
    "ErrorEvent",
    "ForwardedParameters",
    "Guardrail",
    "Hooks",
    "Identity",
    "InputCheck",
    "JwtAuth",
    "Observability",
    "ObservedError",
    "ObservedRequest",
    "ObservedResponse",
    "OutputCheck",
    "RecordStore",
    "Resume",
    "RunContext",
    "RunInput",
    "RunLock",
    "RuntimeConfig",
    "RuntimeInfo",
    "StateEncodingError",
    "StateSchemas",
    "StateStore",
    "StateTooLargeError",
    "Stopped",
    "StoreConflictError",
    "StoreKeyError",
    "StoreSettings",
    "StoreUnavailableError",
    "ThreadInfo",
    "ThreadPage",
    "Tool",
    "TopicGuardrail",
    "TopicJudge",
    "TranscriptionError",
    "Verdict",
    "action",
    "errors",
    "events",
    "messages",
    "open_store",
    "stores",
]
