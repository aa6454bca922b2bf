"""A client's messages and the checkpoint's, brought together.

They meet by id and the checkpoint is the truth: what it knows is kept as it is there, what only the client
knows is added, and what the client no longer has is not removed. Each step looks messages up: none scans the thread
for every message, so that a long request does not stop the loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import msgspec
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, RemoveMessage, ToolMessage
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.types import Overwrite

from ...runtime.agui_messages import part_id
from ...runtime.call_ids import CallIds
from ...runtime.messages import AgentStateMessage, Message, TextMessage, ToolCallMessage, ToolResultMessage
from .message_groups import unanswered_id
from .messages import from_langchain, to_langchain
from .schema import GraphSchema
from .thread_calls import ThreadCalls, unique_calls, with_call_id, with_call_ids

RUN_ID_PREFIX = "lc_run--"
"""LangChain's ids of model calls that a vendor gave none; what a graph keeps of the call has the same."""


def conversation(messages: Iterable[Message]) -> Sequence[Message]:
    """Return the client's messages that an agent gets: neither agent states nor the client's leading instructions."""
    sent = [message for message in messages if not isinstance(message, AgentStateMessage)]
    while sent and isinstance(sent[0], TextMessage) and sent[0].role == "system":
        sent = sent[1:]
    return sent


class CheckpointMessages:
    """What a checkpoint has of the client's messages.

    Args:
        messages: The checkpoint's. ``self.messages`` are the same under the calls' client ids.
    """

    def __init__(self, messages: Sequence[BaseMessage]) -> None:
        self.calls = ThreadCalls()
        self.messages: Sequence[BaseMessage] = unique_calls(messages, self.calls)
        self._originals = {id(mine): theirs for mine, theirs in zip(self.messages, messages, strict=True)}
        parts = from_langchain(self.messages)
        self._parts = {part.id: part for part in parts}
        self._ids = {part.id for part in parts if not isinstance(part, ToolResultMessage)}
        self._ids.update(message.id for message in messages if message.id)
        self._answers = {
            part.tool_call_id: part
            for part in parts
            if isinstance(part, ToolResultMessage) and part.id != unanswered_id(part.tool_call_id)
        }
        self._texts = Counter(_answer(part) for part in parts)
        self._aliases = dict(self._other_ids())
        self._by_id: dict[str, BaseMessage] = {}
        self._by_part: dict[str, BaseMessage] = {}
        for message in self.messages:
            for id_ in _part_ids(message):
                self._by_part.setdefault(id_, message)
            if message.id:
                self._by_id.setdefault(message.id, message)

    def __contains__(self, message: Message) -> bool:
        if isinstance(message, ToolResultMessage) and message.tool_call_id in self._answers:
            return True
        return message.id in self._ids

    def owner(self, part: Message) -> BaseMessage | None:
        """Return the checkpoint's message that ``part`` is part of."""
        return self._by_part.get(part.id)

    def part(self, id_: str) -> Message | None:
        """Return the part of an id, as it is kept."""
        return self._parts.get(id_)

    def find(self, id_: str | None) -> BaseMessage | None:
        """Return the checkpoint's message of an id."""
        return self._by_id.get(id_ or "")

    def original(self, message: BaseMessage) -> BaseMessage:
        """Return ``message`` as the graph is to have it: under the vendors' call ids."""
        if id(message) in self._originals:
            return self._originals[id(message)]
        vendor_ids = self.calls.vendor_ids
        if isinstance(message, ToolMessage):
            return with_call_id(message, vendor_ids.get(message.tool_call_id, message.tool_call_id))
        if isinstance(message, AIMessage):
            ids = [call["id"] or "" for call in message.tool_calls]
            return with_call_ids(message, [vendor_ids.get(id_, id_) for id_ in ids])
        return message

    def note(self, new: Iterable[BaseMessage]) -> None:
        """Note the calls in messages that are about to join the checkpoint's."""
        unique_calls([self.original(message) for message in new], self.calls)

    def recognise(self, sent: Sequence[Message]) -> list[Message]:
        """Return a client's messages under this checkpoint's ids, without what it has under ids of its own.

        A client that does not take over the thread after a run keeps what streamed: texts whose model call the graph
        kept elsewhere or not at all, half an answer before a retry, calls under ids given while they streamed.
        """
        places = [i for i, message in enumerate(sent) if message in self]
        if not places:
            return list(sent)
        aliases = {**self._aliases, **self._shown_otherwise(sent)}
        texts = self._texts.copy()
        texts.subtract(_answer(message) for message in sent if message in self)
        answered = {message.tool_call_id for message in sent if isinstance(message, ToolResultMessage)}
        return [
            self._addressed(message, answered, aliases)
            for i, message in enumerate(sent)
            if message in self or not _is_stale(message, texts, passed=i < places[-1])
        ]

    def _addressed(self, message: Message, answered: Set[str], aliases: Mapping[str, str]) -> Message:
        if isinstance(message, ToolCallMessage) and message.id in aliases:
            return msgspec.structs.replace(message, id=aliases[message.id])
        if not isinstance(message, ToolResultMessage):
            return message
        call_id = aliases.get(message.tool_call_id, message.tool_call_id)
        earlier = self._answers.get(call_id)
        waiting = self.calls.waiting(self.calls.vendor_ids.get(call_id, call_id))
        # A client that knows calls by their vendor's ids gives the newest one's result under an id that was answered.
        new = earlier and message.id not in self._ids and earlier.result != message.result
        if new and waiting and waiting not in answered and message.id != f"result-{call_id}":
            call_id = waiting
        return msgspec.structs.replace(message, tool_call_id=call_id)

    def _shown_otherwise(self, sent: Sequence[Message]) -> dict[str, str]:
        """Return the calls that a client got under other ids, for a node that made them ran again elsewhere."""
        strange = [m for m in sent if isinstance(m, ToolCallMessage) and m not in self and m.id not in self._aliases]
        sent_ids = {message.id for message in sent}
        kept: dict[bytes, list[str]] = {}
        for message in self.messages if strange else ():
            for call in message.tool_calls if isinstance(message, AIMessage) else ():
                if call["id"] not in sent_ids:
                    kept.setdefault(_content(call["name"], call["args"]), []).append(call["id"] or "")
        alike = ((each.id, kept.get(_content(each.name, each.arguments))) for each in strange)
        return {id_: ids.pop(0) for id_, ids in alike if ids}

    def _other_ids(self) -> Iterable[tuple[str, str]]:
        """Return the ids under which calls may have streamed when other calls of the run were known and not kept."""
        for message in self.messages:
            for call in message.tool_calls if isinstance(message, AIMessage) else ():
                vendor_id = self.calls.vendor_ids[call["id"] or ""]
                streamed = CallIds({vendor_id}).assign(vendor_id, message.id)
                if streamed not in self.calls.names:
                    yield streamed, call["id"] or ""


def _content(name: str, arguments: dict[str, Any]) -> bytes:
    return msgspec.json.encode([name, arguments], enc_hook=str, order="deterministic")


def _answer(message: Message) -> str:
    """Return a message's text if it is an assistant's, else nothing."""
    return message.content if isinstance(message, TextMessage) and message.role == "assistant" else ""


def _is_stale(message: Message, texts: Counter[str], *, passed: bool) -> bool:
    """Return whether a message that the checkpoint lacks is a model call's of which the graph keeps a copy, or nothing.

    Args:
        message: The client's.
        texts: How often the checkpoint holds a text that the client does not have under its id.
        passed: Whether the checkpoint went on behind it.
    """
    text = _answer(message)
    if text and texts[text] > 0:
        texts[text] -= 1
        return True
    return bool(text) and passed and message.id.startswith(RUN_ID_PREFIX)


def _part_ids(message: BaseMessage) -> Iterable[str]:
    count = 1 if isinstance(message.content, str) else len(message.content)
    return (part_id(message.id, index) for index in range(count)) if message.id else ()


def edited_message(checkpoint: CheckpointMessages, sent: Sequence[Message]) -> BaseMessage | None:
    """Return the checkpoint's message of which the client's last user message is an edited form, or None."""
    last_user = next((m for m in reversed(sent) if isinstance(m, TextMessage) and m.role == "user"), None)
    owner = last_user and checkpoint.owner(last_user)
    if last_user is None or not isinstance(owner, HumanMessage):
        return None
    kept = checkpoint.part(last_user.id)
    return None if isinstance(kept, TextMessage) and kept.content == last_user.content else owner


def cut_message(checkpoint: CheckpointMessages, sent: Sequence[Message]) -> BaseMessage | None:
    """Return the user message with which the client's list ends while the checkpoint goes on behind it, or None."""
    owner = checkpoint.owner(sent[-1]) if sent else None
    return owner if isinstance(owner, HumanMessage) and checkpoint.messages[-1] is not owner else None


def unknown(checkpoint: CheckpointMessages, sent: Iterable[Message]) -> list[BaseMessage]:
    """Return the client's messages that the checkpoint lacks, as LangChain's."""
    new = to_langchain(_fresh(checkpoint, sent))
    return [_joined(message, checkpoint) for message in new]


def _fresh(checkpoint: CheckpointMessages, sent: Iterable[Message]) -> Iterable[Message]:
    """Return what is new, without second results for one call and without calls that were cut off before a result."""
    new = [message for message in sent if message not in checkpoint]
    results = {message.tool_call_id: message for message in reversed(new) if isinstance(message, ToolResultMessage)}
    for message in new:
        if isinstance(message, ToolResultMessage) and results[message.tool_call_id] is not message:
            continue
        if isinstance(message, ToolCallMessage) and message.id not in results:
            continue
        yield message


def _joined(message: BaseMessage, checkpoint: CheckpointMessages) -> BaseMessage:
    """Put a call that the client saw and the checkpoint lost back into its message, whose other parts stay."""
    if not isinstance(message, AIMessage) or not message.tool_calls:
        return message
    owner = checkpoint.find(message.id)
    if not isinstance(owner, AIMessage):
        return message
    return owner.model_copy(update={"tool_calls": [*owner.tool_calls, *message.tool_calls]})


def messages_update(schema: GraphSchema, checkpoint: CheckpointMessages, merged_messages: Sequence[BaseMessage]) -> Any:
    """Return what to write to a graph's messages, so that they become the merged ones."""
    old = [checkpoint.original(message) for message in checkpoint.messages]
    new = [checkpoint.original(message) for message in merged_messages]
    if "messages" not in schema.reduced:
        return new
    if all(a is b for a, b in zip(old, new, strict=False)) and len(new) >= len(old):
        return new[len(old) :]
    if schema.merges_messages:
        return [RemoveMessage(id=REMOVE_ALL_MESSAGES), *new]
    return Overwrite(new)


def has_news(checkpoint: CheckpointMessages, sent: Iterable[Message]) -> bool:
    """Return whether ``sent`` holds a message of a person, or a frontend tool's result, that the checkpoint lacks."""
    return any(message not in checkpoint for message in sent if not _is_the_agents(message))


def _is_the_agents(message: Message) -> bool:
    return isinstance(message, ToolCallMessage) or getattr(message, "role", None) == "assistant"
