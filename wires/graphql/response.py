"""The contract's answer to a run, filled in while the run goes on.

Each class is an object type of the SDL: ``typename`` names it, attributes are its fields in snake case. A field whose
value comes later is a ``Channel`` (a list that grows until it is closed) or ``PENDING``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar, Final, Generic, TypeAlias, TypeVar

from ...runtime.messages import new_id, now

T = TypeVar("T")


class Pending(Enum):
    """The type of ``PENDING``."""

    PENDING = "PENDING"


PENDING = Pending.PENDING


@dataclass(slots=True, eq=False)
class Channel(Generic[T]):
    """A list that grows until it is closed. The pieces of a text that nobody reads again may be left out of it."""

    items: list[T] = field(default_factory=list)
    closed: bool = False
    dropped: int = 0
    """How many elements came before those in ``items``."""
    dropped_length: int = 0
    """The length of all of them together."""

    def append(self, item: T) -> None:
        """Add an item to an open channel."""
        self.items.append(item)

    def close(self) -> None:
        """Close: no item will follow."""
        self.closed = True

    def drop(self: Channel[str], end: int) -> None:
        """Leave out the first ``end`` of the elements that are there."""
        self.dropped += end
        self.dropped_length += sum(map(len, self.items[:end]))
        del self.items[:end]

    @property
    def count(self) -> int:
        """How many elements have come."""
        return self.dropped + len(self.items)

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    @classmethod
    def of(cls, *items: T) -> Channel[T]:
        """Return a closed channel."""
        return cls(list(items), closed=True)


ANSWER: Final[Channel[Any]] = Channel.of()
"""Stands, among the lists that changed, for the answer itself: it gained what is whole, or a message that begins."""


@dataclass(slots=True, eq=False)
class SuccessMessageStatus:
    """The message is whole."""

    typename: ClassVar[str] = "SuccessMessageStatus"
    code: str = "Success"


@dataclass(slots=True, eq=False)
class FailedMessageStatus:
    """The message broke off."""

    typename: ClassVar[str] = "FailedMessageStatus"
    reason: str
    code: str = "Failed"


MessageStatus: TypeAlias = SuccessMessageStatus | FailedMessageStatus


@dataclass(slots=True, eq=False)
class SuccessResponseStatus:
    """The run ended well."""

    typename: ClassVar[str] = "SuccessResponseStatus"
    code: str = "Success"


@dataclass(slots=True, eq=False)
class FailedResponseStatus:
    """The run ended badly."""

    typename: ClassVar[str] = "FailedResponseStatus"
    reason: str
    details: dict[str, Any]
    code: str = "Failed"


ResponseStatus: TypeAlias = SuccessResponseStatus | FailedResponseStatus


@dataclass(slots=True, eq=False, kw_only=True)
class MessageOutput:
    """What all messages share."""

    typename: ClassVar[str]
    id: str = field(default_factory=new_id)
    created_at: datetime = field(default_factory=now)
    status: MessageStatus | Pending = PENDING

    @property
    def pieces(self) -> Channel[str] | None:
        """What comes in pieces, and is closed with the message; None if it is whole from the start."""
        return None

    def close(self, status: MessageStatus) -> None:
        """Set the status, once; later calls change nothing."""
        if self.status is PENDING:
            self.status = status


@dataclass(slots=True, eq=False, kw_only=True)
class TextMessageOutput(MessageOutput):
    """A text, in pieces."""

    typename: ClassVar[str] = "TextMessageOutput"
    role: str = "assistant"
    content: Channel[str] = field(default_factory=Channel)
    parent_message_id: str | None = None

    @property
    def pieces(self) -> Channel[str]:
        """The text."""
        return self.content

    def close(self, status: MessageStatus) -> None:
        """End the text."""
        self.content.close()
        MessageOutput.close(self, status)


@dataclass(slots=True, eq=False, kw_only=True)
class ActionExecutionMessageOutput(MessageOutput):
    """A tool call, its arguments' JSON in pieces."""

    typename: ClassVar[str] = "ActionExecutionMessageOutput"
    name: str
    arguments: Channel[str] = field(default_factory=Channel)
    parent_message_id: str | None = None
    scope: str | None = None

    @property
    def pieces(self) -> Channel[str]:
        """The arguments."""
        return self.arguments

    def close(self, status: MessageStatus) -> None:
        """End the arguments."""
        self.arguments.close()
        MessageOutput.close(self, status)


@dataclass(slots=True, eq=False, kw_only=True)
class ResultMessageOutput(MessageOutput):
    """A tool call's answer."""

    typename: ClassVar[str] = "ResultMessageOutput"
    result: str
    action_execution_id: str
    action_name: str


@dataclass(slots=True, eq=False, kw_only=True)
class ImageMessageOutput(MessageOutput):
    """A picture, in base64."""

    typename: ClassVar[str] = "ImageMessageOutput"
    format: str
    bytes: str
    role: str = "assistant"
    parent_message_id: str | None = None


@dataclass(slots=True, eq=False, kw_only=True)
class AgentStateMessageOutput(MessageOutput):
    """An agent's state at one moment; ``state`` is JSON text."""

    typename: ClassVar[str] = "AgentStateMessageOutput"
    thread_id: str
    agent_name: str
    node_name: str
    run_id: str
    active: bool
    running: bool
    state: str
    role: str = "assistant"


@dataclass(slots=True, eq=False, kw_only=True)
class LangGraphInterruptEvent:
    """An agent waits for a person; ``value`` is text or JSON text."""

    typename: ClassVar[str] = "LangGraphInterruptEvent"
    value: str
    type: str = "MetaEvent"
    name: str = "LangGraphInterruptEvent"
    response: str | None = None


@dataclass(slots=True, eq=False, kw_only=True)
class CopilotKitInterruptData:
    """What a CopilotKit interrupt shows."""

    typename: ClassVar[str] = "CopilotKitLangGraphInterruptEventData"
    value: str
    messages: list[MessageOutput]


@dataclass(slots=True, eq=False, kw_only=True)
class CopilotKitLangGraphInterruptEvent:
    """An agent waits for a person, and shows messages."""

    typename: ClassVar[str] = "CopilotKitLangGraphInterruptEvent"
    data: CopilotKitInterruptData
    type: str = "MetaEvent"
    name: str = "CopilotKitLangGraphInterruptEvent"
    response: str | None = None


MetaEvent: TypeAlias = LangGraphInterruptEvent | CopilotKitLangGraphInterruptEvent


@dataclass(slots=True, eq=False, kw_only=True)
class OpenAIApiAssistantAPIResponse:
    """Which of an assistant's threads and runs the next request goes on with."""

    typename: ClassVar[str] = "OpenAIApiAssistantAPIResponse"
    thread_id: str | None = None
    run_id: str | None = None


@dataclass(slots=True, eq=False, kw_only=True)
class ExtensionsResponse:
    """Ids that the client sends with its next request."""

    typename: ClassVar[str] = "ExtensionsResponse"
    openai_assistant_api: OpenAIApiAssistantAPIResponse


@dataclass(slots=True, eq=False, kw_only=True, weakref_slot=True)
class CopilotResponse:
    """The answer to ``generateCopilotResponse``."""

    typename: ClassVar[str] = "CopilotResponse"
    thread_id: str
    run_id: str | None = None
    extensions: ExtensionsResponse | Pending | None = None
    messages: Channel[MessageOutput] = field(default_factory=Channel)
    meta_events: Channel[MetaEvent] = field(default_factory=Channel)
    status: ResponseStatus | Pending = PENDING

    def close(self, status: ResponseStatus) -> None:
        """End the answer: nothing may be added afterwards."""
        self.messages.close()
        self.meta_events.close()
        self.status = status
