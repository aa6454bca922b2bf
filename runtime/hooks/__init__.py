"""Functions of the application that receive requests, answers and errors. None needs a cloud key."""

from .interface import (
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

__all__ = [
    "AfterRequest",
    "BeforeRequest",
    "ErrorContext",
    "ErrorEvent",
    "Hooks",
    "Observability",
    "ObservedError",
    "ObservedRequest",
    "ObservedResponse",
    "Stopped",
]
