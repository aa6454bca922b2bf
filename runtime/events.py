"""Events: what a provider yields while a run goes on.

Names and fields are AG-UI's (https://docs.ag-ui.com/concepts/events), so that every wire, GraphQL included,
is a projection of the same stream. A stream's rules are in ``runtime.runs.verifier``.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias

import msgspec

Json: TypeAlias = Any


class BaseEvent(msgspec.Struct, rename="camel", tag_field="type", omit_defaults=True, kw_only=True, gc=False):
    """What all events share. Encoded with msgspec it is the AG-UI JSON of the event."""

    type: ClassVar[str]


class RunStarted(BaseEvent, tag="RUN_STARTED"):
    """A run began."""

    thread_id: str
    run_id: str


class RunFinished(BaseEvent, tag="RUN_FINISHED"):
    """A run ended well."""

    thread_id: str
    run_id: str
    result: Json = None


class RunError(BaseEvent, tag="RUN_ERROR"):
    """A run ended badly.

    ``details`` are the error's public extensions (``errors.CopilotKitError.extensions``), safe to show.
    """

    message: str
    code: str | None = None
    details: dict[str, Json] | None = None


class StepStarted(BaseEvent, tag="STEP_STARTED"):
    """A node, task or method of the agent was entered."""

    step_name: str


class StepFinished(BaseEvent, tag="STEP_FINISHED"):
    """A node, task or method of the agent was left."""

    step_name: str


class TextMessageStart(BaseEvent, tag="TEXT_MESSAGE_START"):
    """A text message was opened. ``name`` is the speaker's, where several share a role."""

    message_id: str
    role: str = "assistant"
    name: str | None = None
    parent_message_id: str | None = None


class TextMessageContent(BaseEvent, tag="TEXT_MESSAGE_CONTENT"):
    """Text was appended to an open message."""

    message_id: str
    delta: str


class TextMessageEnd(BaseEvent, tag="TEXT_MESSAGE_END"):
    """A text message was closed. ``broken`` if what wrote it failed in the middle, though the run goes on."""

    message_id: str
    broken: bool = False


class ToolCallStart(BaseEvent, tag="TOOL_CALL_START"):
    """A tool call was opened."""

    tool_call_id: str
    tool_call_name: str
    parent_message_id: str | None = None


class ToolCallArgs(BaseEvent, tag="TOOL_CALL_ARGS"):
    """JSON text was appended to an open tool call's arguments."""

    tool_call_id: str
    delta: str


class ToolCallEnd(BaseEvent, tag="TOOL_CALL_END"):
    """A tool call's arguments are complete, or will never be: then it is ``broken``, and nobody executes it."""

    tool_call_id: str
    broken: bool = False


class ToolCallResult(BaseEvent, tag="TOOL_CALL_RESULT"):
    """A tool call was answered. ``tool_call_name`` may be left out if the call was streamed in this run."""

    tool_call_id: str
    content: str
    message_id: str | None = None
    tool_call_name: str | None = None


class StateSnapshot(BaseEvent, tag="STATE_SNAPSHOT"):
    """The agent's state, whole. ``given``: it is what the client sent, reported ahead of the agent's first change."""

    snapshot: Json
    given: bool = False


class StateDelta(BaseEvent, tag="STATE_DELTA"):
    """The agent's state changed by a JSON Patch (RFC 6902)."""

    delta: list[dict[str, Json]]


class MessagesSnapshot(BaseEvent, tag="MESSAGES_SNAPSHOT"):
    """The thread's messages, whole, as AG-UI message objects."""

    messages: list[dict[str, Json]]


class ActivitySnapshot(BaseEvent, tag="ACTIVITY_SNAPSHOT"):
    """An activity message, whole: content that the client renders by its ``activity_type``.

    With ``replace`` False, a message of that id that is there already stays as it is.
    """

    message_id: str
    activity_type: str
    content: dict[str, Json]
    replace: bool = True


class ActivityDelta(BaseEvent, tag="ACTIVITY_DELTA"):
    """An activity message's content changed by a JSON Patch (RFC 6902)."""

    message_id: str
    activity_type: str
    patch: list[dict[str, Json]]


class Custom(BaseEvent, tag="CUSTOM"):
    """Anything with a name; the names that the runtime gives a meaning to are below."""

    name: str
    value: Json = None


class Raw(BaseEvent, tag="RAW"):
    """A framework's own event, passed through."""

    event: Json
    source: str | None = None


class ReasoningStart(BaseEvent, tag="REASONING_START"):
    """The model began to reason."""

    message_id: str


class ReasoningMessageStart(BaseEvent, tag="REASONING_MESSAGE_START"):
    """A reasoning text was opened."""

    message_id: str
    role: str = "reasoning"


class ReasoningMessageContent(BaseEvent, tag="REASONING_MESSAGE_CONTENT"):
    """Text was appended to an open reasoning text."""

    message_id: str
    delta: str


class ReasoningMessageEnd(BaseEvent, tag="REASONING_MESSAGE_END"):
    """A reasoning text was closed."""

    message_id: str


class ReasoningEnd(BaseEvent, tag="REASONING_END"):
    """The model ended reasoning."""

    message_id: str


class ReasoningEncryptedValue(BaseEvent, tag="REASONING_ENCRYPTED_VALUE"):
    """A model's sealed reasoning, which it needs back with the message or tool call ``entity_id``."""

    subtype: Literal["message", "tool-call"]
    entity_id: str
    encrypted_value: str


class RunUsage(BaseEvent, tag="RUN_USAGE"):
    """Tokens that one call of a model cost; a run has as many of these as it had calls.

    ``cached_tokens`` and ``reasoning_tokens`` are parts of the input and of the output.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    model: str | None = None


Event: TypeAlias = (
    RunStarted
    | RunFinished
    | RunError
    | StepStarted
    | StepFinished
    | TextMessageStart
    | TextMessageContent
    | TextMessageEnd
    | ToolCallStart
    | ToolCallArgs
    | ToolCallEnd
    | ToolCallResult
    | StateSnapshot
    | StateDelta
    | MessagesSnapshot
    | ActivitySnapshot
    | ActivityDelta
    | Custom
    | Raw
    | ReasoningStart
    | ReasoningMessageStart
    | ReasoningMessageContent
    | ReasoningMessageEnd
    | ReasoningEnd
    | ReasoningEncryptedValue
    | RunUsage
)

TERMINAL = (RunFinished, RunError)

INTERRUPT = "on_interrupt"
COPILOTKIT_INTERRUPT = "CopilotKitLangGraphInterruptEvent"
QUESTIONS = frozenset((INTERRUPT, COPILOTKIT_INTERRUPT, "LangGraphInterruptEvent"))
"""The names of events that ask a person something."""
PREDICT_STATE = "PredictState"
EXIT = "Exit"
EXTENSIONS = "Extensions"
AGENT_ENTERED = "AgentEntered"
AGENT_LEFT = "AgentLeft"
