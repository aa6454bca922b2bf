"""The page's messages and the checkpoint's, brought together.

They meet by id and the checkpoint is the truth: what it knows is kept as it is there, what only the page
knows is added, and what the page no longer has is not removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, RemoveMessage, ToolMessage
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.types import Overwrite

from ...runtime.messages import AgentStateMessage, Message, TextMessage, ToolCallMessage, ToolResultMessage
from .content import text_of
from .messages import from_langchain, part_id, to_langchain
from .schema import GraphSchema

UNANSWERED = "The person went on without answering."


def conversation(messages: Iterable[Message]) -> Sequence[Message]:
    """The page's messages that an agent is told: neither agent states nor the page's leading instructions."""
    said = [message for message in messages if not isinstance(message, AgentStateMessage)]
    while said and isinstance(said[0], TextMessage) and said[0].role == "system":
        said = said[1:]
    return said


class CheckpointMessages:
    """What a checkpoint knows of the page's messages.

    Args:
        messages: The checkpoint's.
    """

    def __init__(self, messages: Sequence[BaseMessage]) -> None:
        self.messages = messages
        parts = from_langchain(messages)
        self._ids = {part.id for part in parts if not isinstance(part, ToolResultMessage)}
        self._ids.update(message.id for message in messages if message.id)
        self._answered = {
            part.tool_call_id
            for part in parts
            if isinstance(part, ToolResultMessage) and part.id != _unanswered_id(part.tool_call_id)
        }

    def __contains__(self, message: Message) -> bool:
        if isinstance(message, ToolResultMessage) and message.tool_call_id in self._answered:
            return True
        return message.id in self._ids

    def owner(self, part: Message) -> BaseMessage | None:
        """The checkpoint's message that ``part`` is part of."""
        return next((each for each in self.messages if each.id and _is_part(part.id, each)), None)


def _is_part(id_: str, message: BaseMessage) -> bool:
    count = 1 if isinstance(message.content, str) else len(message.content)
    return any(part_id(message.id or "", index) == id_ for index in range(count))


def edited_message(known: CheckpointMessages, said: Sequence[Message]) -> BaseMessage | None:
    """The checkpoint's message of which the page's last user message is an edited form, or None."""
    last_user = next((m for m in reversed(said) if isinstance(m, TextMessage) and m.role == "user"), None)
    owner = last_user and known.owner(last_user)
    if last_user is None or not isinstance(owner, HumanMessage):
        return None
    return None if text_of(owner.content) == last_user.content else owner


def cut_message(known: CheckpointMessages, said: Sequence[Message]) -> BaseMessage | None:
    """The user message with which the page's list ends while the checkpoint goes on behind it, or None."""
    owner = known.owner(said[-1]) if said else None
    return owner if isinstance(owner, HumanMessage) and known.messages[-1] is not owner else None


def unknown(known: CheckpointMessages, said: Iterable[Message]) -> list[BaseMessage]:
    """The page's messages that the checkpoint lacks, as LangChain's."""
    new = to_langchain(_fresh(known, said))
    return [_joined(message, known) for message in new]


def _fresh(known: CheckpointMessages, said: Iterable[Message]) -> Iterable[Message]:
    """What is new, without second results for one call and without calls that were cut off before a result."""
    new = [message for message in said if message not in known]
    results = {message.tool_call_id: message for message in reversed(new) if isinstance(message, ToolResultMessage)}
    for message in new:
        if isinstance(message, ToolResultMessage) and results[message.tool_call_id] is not message:
            continue
        if isinstance(message, ToolCallMessage) and message.id not in results:
            continue
        yield message


def _joined(message: BaseMessage, known: CheckpointMessages) -> BaseMessage:
    """A call that the page saw and the checkpoint lost goes back into its message, whose other parts stay."""
    if not isinstance(message, AIMessage) or not message.tool_calls:
        return message
    owner = next((each for each in known.messages if each.id == message.id), None)
    if not isinstance(owner, AIMessage):
        return message
    return owner.model_copy(update={"tool_calls": [*owner.tool_calls, *message.tool_calls]})


def merged(messages: Sequence[BaseMessage], new: Iterable[BaseMessage]) -> list[BaseMessage]:
    """``messages`` with ``new`` ones: results directly behind their calls, the rest at the end, in order."""
    result = list(messages)
    present = {_identity(message) for message in result}
    for message in new:
        if _identity(message) in present:
            at = next(i for i, each in enumerate(result) if _identity(each) == _identity(message))
            result[at] = message
        elif isinstance(message, ToolMessage):
            result.insert(_place(result, message), message)
        else:
            result.append(message)
        present.add(_identity(message))
    return _settled(result)


def _identity(message: BaseMessage) -> tuple[bool, str | None]:
    """What two versions of a message have in common: a result's call, or else the id."""
    if isinstance(message, ToolMessage):
        return True, message.tool_call_id
    return False, message.id


def _place(messages: Sequence[BaseMessage], result: ToolMessage) -> int:
    positions = range(len(messages) - 1, -1, -1)
    place = next((i for i in positions if _calls(messages[i], result.tool_call_id)), None)
    if place is None:
        return len(messages)
    place += 1
    while place < len(messages) and isinstance(messages[place], ToolMessage):
        place += 1
    return place


def _calls(message: BaseMessage, call_id: str) -> bool:
    return isinstance(message, AIMessage) and any(call["id"] == call_id for call in message.tool_calls)


def messages_update(schema: GraphSchema, old: Sequence[BaseMessage], new: list[BaseMessage]) -> Any:
    """What to write to a graph's messages, so that they change from ``old`` to ``new``."""
    if "messages" not in schema.reduced:
        return new
    if all(a is b for a, b in zip(old, new, strict=False)) and len(new) >= len(old):
        return new[len(old) :]
    if schema.merges_messages:
        return [RemoveMessage(id=REMOVE_ALL_MESSAGES), *new]
    return Overwrite(new)


def _settled(messages: list[BaseMessage]) -> list[BaseMessage]:
    """The messages, with results for calls that the conversation left behind: vendors refuse calls without."""
    answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    for message in messages[:-1]:
        for call in message.tool_calls if isinstance(message, AIMessage) else ():
            if call["id"] and call["id"] not in answered:
                left = ToolMessage(id=_unanswered_id(call["id"]), content=UNANSWERED, tool_call_id=call["id"])
                place = _place(messages, left)
                if place < len(messages):
                    messages.insert(place, left)
    return messages


def _unanswered_id(call_id: str) -> str:
    return f"unanswered-{call_id}"


def has_news(known: CheckpointMessages, said: Iterable[Message]) -> bool:
    """Whether the page says anything that the checkpoint has not heard yet from a person or a frontend tool."""
    return any(message not in known for message in said if not _is_the_agents(message))


def _is_the_agents(message: Message) -> bool:
    return isinstance(message, ToolCallMessage) or getattr(message, "role", None) == "assistant"
