"""The hooks that an application may set, and what each receives (docs/contract.md, section 3.9).

Encoded with msgspec, what a hook receives is the JSON object that the TypeScript runtime's hook gets; an error is
passed as the exception itself, which ``ErrorEvent.as_json`` describes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec

from ..context import ForwardedParameters, Tool
from ..descriptions import described
from ..errors import ConfigurationError
from ..messages import Message

T = TypeVar("T")
Hook: TypeAlias = Callable[[T], Awaitable[None] | None]


class _Told(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True, frozen=True):
    """What all hooks receive: whose run it is. ``agent_name`` is None when a model answers."""

    thread_id: str
    run_id: str
    agent_name: str | None = None
    node_name: str | None = None


class BeforeRequest(_Told, frozen=True):
    """A request came in; nobody has been asked yet."""

    input_messages: Sequence[Message]
    properties: dict[str, Any]
    url: str | None = None
    identity: str | None = None


class AfterRequest(_Told, frozen=True):
    """A request was answered, or denied by the guardrails, whose reason is the only output then.

    ``output_messages`` are complete, in the order in which they began.
    """

    input_messages: Sequence[Message]
    output_messages: Sequence[Message]
    properties: dict[str, Any]
    url: str | None = None
    identity: str | None = None


class Stopped(_Told, frozen=True):
    """The client left before the answer was complete: the user pressed stop or closed it."""

    last_message: Message | None = None
    url: str | None = None
    identity: str | None = None


class ObservedRequest(_Told, frozen=True):
    """What a provider is about to be asked. ``timestamp`` counts milliseconds since 1970."""

    messages: Sequence[Message]
    actions: Sequence[Tool]
    forwarded_parameters: ForwardedParameters
    timestamp: int
    provider: str
    model: str | None = None


class ObservedResponse(_Told, frozen=True):
    """What a provider answered: one chunk of text, or in the end all messages. ``latency`` is in milliseconds."""

    output: Sequence[Message] | str
    latency: int
    timestamp: int
    provider: str
    model: str | None = None
    is_progressive_chunk: bool = False
    is_final_response: bool = False


class ObservedError(_Told, frozen=True):
    """A provider failed. ``error`` is what it raised."""

    error: BaseException
    latency: int
    timestamp: int
    provider: str
    model: str | None = None


class RequestFacts(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True, frozen=True):
    """The request that failed. ``start_time`` is in milliseconds since 1970."""

    operation: str
    method: str
    start_time: int
    url: str | None = None


class ResponseFacts(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """When it failed, in milliseconds since 1970, and after how many."""

    end_time: int
    latency: int


class AgentFacts(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True, frozen=True):
    """The agent that was called."""

    name: str
    node_name: str | None = None


class TechnicalFacts(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True, frozen=True):
    """For developers, not for the user."""

    environment: str
    stack_trace: str | None = None


class ErrorContext(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True, frozen=True):
    """Where an error happened."""

    source: Literal["runtime", "agent"]
    request: RequestFacts
    response: ResponseFacts
    technical: TechnicalFacts
    thread_id: str | None = None
    run_id: str | None = None
    agent: AgentFacts | None = None


class ErrorEvent(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """An error that ended a request. ``timestamp`` counts milliseconds since 1970."""

    type: str
    timestamp: int
    context: ErrorContext
    error: BaseException

    def as_json(self) -> dict[str, Any]:
        """Return the event as JSON values, in the contract's names; the error by its class, message and code."""
        code = getattr(self.error, "code", None)
        described = {"name": type(self.error).__name__, "message": str(self.error)}
        return {
            "type": self.type,
            "timestamp": self.timestamp,
            "context": msgspec.to_builtins(self.context),
            "error": {**described, "code": str(code)} if code is not None else described,
        }


def _check_hooks(hooks: Observability | Hooks) -> None:
    for field in fields(hooks):
        hook = getattr(hooks, field.name)
        if field.name.startswith("on_") and hook is not None and not callable(hook):
            raise ConfigurationError(
                f"{type(hooks).__name__}: {field.name} takes a function of one argument, not {described(hook)}."
            )


@dataclass(frozen=True, kw_only=True)
class Observability:
    """What is reported of each call of a provider.

    Args:
        on_request: Called before the provider, which waits for it.
        on_response: Called with the answer at its end, and with each chunk of text if ``progressive``.
        on_error: Called with a failure.
        progressive: Whether chunks are reported, as they come and in their order.
    """

    on_request: Hook[ObservedRequest] | None = None
    on_response: Hook[ObservedResponse] | None = None
    on_error: Hook[ObservedError] | None = None
    progressive: bool = False

    def __post_init__(self) -> None:
        """Check the hooks.

        Raises:
            ConfigurationError: One cannot be called.
        """
        _check_hooks(self)


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Functions to call, each with one argument. Sync ones run in a thread.

    A hook that raises, or takes longer than ``timeout``, is logged and changes nothing, save ``on_before_request``.

    Args:
        on_before_request: Awaited before anybody is asked. If it raises, or is late, the request is refused; the text
            of a ``CopilotKitError`` is sent to the client.
        on_after_request: Called with the complete answer.
        on_error: Called with an error that ended a request.
        on_stop: Called once if the client left before the answer was complete.
        observability: Called for each call of a provider.
        timeout: Seconds that each call of a hook may take.
    """

    on_before_request: Hook[BeforeRequest] | None = None
    on_after_request: Hook[AfterRequest] | None = None
    on_error: Hook[ErrorEvent] | None = None
    on_stop: Hook[Stopped] | None = None
    observability: Observability = Observability()
    timeout: float = 10.0

    def __post_init__(self) -> None:
        """Check the hooks.

        Raises:
            ConfigurationError: One cannot be called.
        """
        _check_hooks(self)
