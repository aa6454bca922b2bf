"""The input and the context of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from .messages import Message

RequestType: TypeAlias = Literal["Chat", "Suggestion", "Task", "TextareaCompletion", "TextareaPopover"]


class Tool(msgspec.Struct, kw_only=True, frozen=True):
    """A tool that an agent or model may call: ``parameters`` is a JSON Schema object."""

    name: str
    description: str
    parameters: dict[str, Any]


class ContextItem(msgspec.Struct, kw_only=True, frozen=True):
    """A piece of application context that the client made readable for agents."""

    description: str
    value: str


class ForwardedParameters(msgspec.Struct, kw_only=True, frozen=True):
    """Model settings chosen by the client. ``max_tokens`` counts tokens."""

    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    stop: list[str] | None = None
    tool_choice: str | None = None
    tool_choice_function_name: str | None = None


class Resume(msgspec.Struct, kw_only=True, frozen=True):
    """A person's answer to an interrupt: ``value`` is what was asked, ``response`` the answer as text.

    Clients that answer in JSON have the answer itself in ``answer``, so that ``true`` and ``"true"`` differ, what was
    asked in ``question``, and may name the interrupt by ``interrupt_id``. The answer to a ``cancelled`` interrupt is
    the setting ``interrupt_cancelled``, by default null.
    """

    name: str
    value: str
    response: str | None = None
    messages: list[Message] = []
    answer: Any = msgspec.UNSET
    question: Any = msgspec.UNSET
    interrupt_id: str | None = None
    cancelled: bool = False


class RunInput(msgspec.Struct, kw_only=True):
    """The input of one run."""

    thread_id: str
    run_id: str
    messages: list[Message] = []
    tools: list[Tool] = []
    state: dict[str, Any] = {}
    config: dict[str, Any] = {}
    context: list[ContextItem] = []
    resume: list[Resume] = []
    node_name: str | None = None
    forwarded: ForwardedParameters = ForwardedParameters()
    request_type: RequestType | None = None
    extensions: dict[str, Any] = {}
    builds_on_state: bool = False
    """Whether the changes of state that an agent reports are changes of ``state``, or else of an empty one."""
    unique_id: str = ""
    """The runtime's own id of the run: ``run_id`` is the client's and need not be unique."""


class RunContext(msgspec.Struct, kw_only=True):
    """The caller of a run, and what came with the request.

    ``headers`` are those of the request that configuration lets through, in lower case; cookies and cloud
    keys never are. ``properties`` are the client's own (``<CopilotKit properties>``). ``identity`` is the
    name that authentication gave the caller, ``claims`` is what else it found out about them.
    """

    headers: Mapping[str, str] = {}
    properties: dict[str, Any] = {}
    url: str | None = None
    identity: str | None = None
    claims: Mapping[str, Any] = {}
