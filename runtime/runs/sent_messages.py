"""How what a client sends of a thread and what the server keeps of it go together."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

from ..messages import Message, TextMessage, ToolResultMessage
from .history import behind_each, is_users


def join_history(kept: Sequence[Message], sent: Sequence[Message]) -> list[Message]:
    """Return a thread's messages at the start of a run.

    Messages meet by id; answers that the agent keeps under an id of its own meet by their text, and results by the call
    that they answer, which has one. A client may send the whole thread or only a part of it: what it leaves out is
    still there.
    A list that ends with a user's message that is followed by others in the kept thread takes those back, so that the
    agent answers it anew; a known id with another content is an edit. A result comes right behind its call. What the
    user sends next comes last, even if the client does not know what came before it, such as the half of an answer
    that it stopped.

    Args:
        kept: The messages that the server keeps, oldest first.
        sent: Those that the client sent, oldest first.
    """
    if not kept:
        return list(sent)
    sent = _under_kept_ids(kept, sent)
    known = {message.id for message in kept}
    if sent and sent[-1].id in known and is_users(sent[-1]):
        cut = next(index for index, message in enumerate(kept) if message.id == sent[-1].id)
        kept = kept[: cut + 1]
        known = {message.id for message in kept}
    edits = {message.id: message for message in sent}
    anchor: str | None = kept[-1].id if sent and not any(message.id in known for message in sent) else None
    turn = _begin_of_turn(sent, known)
    after = behind_each(sent[:turn], known, anchor)
    joined = list(after.get(None, ()))
    for message in kept:
        joined.append(_edited(message, edits.get(message.id)))
        joined += after.get(message.id, ())
    return [*joined, *sent[turn:]]


def _under_kept_ids(kept: Sequence[Message], sent: Sequence[Message]) -> Sequence[Message]:
    """Return what was sent, with the kept ids for answers and results that the client knows under their streams'."""
    known, listed = {message.id for message in kept}, {message.id for message in sent}
    results = {message.tool_call_id: message.id for message in kept if isinstance(message, ToolResultMessage)}
    unsent: dict[str, deque[str]] = {}
    for message in kept:
        if message.id not in listed and isinstance(message, TextMessage) and message.role == "assistant":
            unsent.setdefault(message.content, deque()).append(message.id)
    return [message if message.id in known else _renamed(message, unsent, results) for message in sent]


def _renamed(message: Message, ids: dict[str, deque[str]], results: Mapping[str, str]) -> Message:
    if isinstance(message, ToolResultMessage) and message.tool_call_id in results:
        return msgspec.structs.replace(message, id=results[message.tool_call_id])
    if not isinstance(message, TextMessage) or message.role != "assistant" or not ids.get(message.content):
        return message
    return msgspec.structs.replace(message, id=ids[message.content].popleft())


def _begin_of_turn(sent: Sequence[Message], known: set[str]) -> int:
    """Return the index of the first user's message behind the last known one; the number of messages without any."""
    last_known = max((index for index, message in enumerate(sent) if message.id in known), default=-1)
    users = (index for index, message in enumerate(sent) if index > last_known and is_users(message))
    return next(users, len(sent))


def _edited(kept: Message, sent: Message | None) -> Message:
    if isinstance(kept, TextMessage) and isinstance(sent, TextMessage) and kept.content != sent.content:
        return sent
    if isinstance(kept, ToolResultMessage) and isinstance(sent, ToolResultMessage) and kept.result != sent.result:
        return msgspec.structs.replace(kept, result=sent.result)
    return kept
