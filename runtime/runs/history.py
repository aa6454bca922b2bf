"""A thread's messages, as several runs leave them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from itertools import dropwhile, takewhile

import msgspec

from ..messages import ImageMessage, MediaMessage, Message, TextMessage, ToolCallMessage, ToolResultMessage
from .turn import BROKEN_OFF_RESULT


def without_instructions(messages: Iterable[Message]) -> list[Message]:
    """Return the messages without the system messages at their head.

    Clients prepend their instructions to every request, under a new id each time. A thread that kept them would give
    one more of them back after every turn.
    """
    return list(dropwhile(lambda message: isinstance(message, TextMessage) and message.role == "system", messages))


def merge_messages(
    kept: Sequence[Message],
    asked: Sequence[Message],
    added: Iterable[Message],
    since: datetime,
    unseen: Set[str] = frozenset(),
) -> list[Message]:
    """Return what is to be kept of a thread after a run, each message once.

    What the client sent counts: what it left out behind a message that it did send was taken back there. What it left
    out before, it merely did not send again; and what was written after the request, it could not have seen: neither
    a message, nor the end of an answer of which it sent the beginning. A turn that was sent twice at once has the later
    answer; one that is answered anew without a word keeps its old one. The client's instructions are no part of the
    thread.

    Args:
        kept: The messages kept so far.
        asked: Those that the client sent.
        added: Those that the run added.
        since: When the request arrived.
        unseen: The ids of messages that earlier runs have stored since; the client could not see those either.
    """
    kept, asked = without_instructions(kept), without_instructions(asked)
    sent = {message.id for message in asked}
    last_sent = max((index for index, message in enumerate(kept) if message.id in sent), default=len(kept))
    early = [*kept[: last_sent + 1], *(each for each in kept[last_sent + 1 :] if each.id in unseen)]
    before = behind_each(early, sent)
    behind = [each for each in kept[last_sent + 1 :] if each.id not in sent and each.created_at >= since]
    unknown = list(dropwhile(lambda message: not is_users(message), behind)) if _ends_known(asked, kept) else behind
    older = (message.id for unsent in before.values() for message in unsent if message.created_at < since)
    added = _with_own_ids(list(added) or list(_answer_to(asked, kept)), set(older))
    whole = {message.id: message for message in kept}
    merged = list(before.get(None, ()))
    for message in asked:
        merged += [_unless_begun(message, whole.get(message.id)), *before.get(message.id, ())]
    return list({message.id: message for message in (*merged, *unknown, *added)}.values())


def leaves_out(kept: Sequence[Message], asked: Sequence[Message]) -> bool:
    """Return whether a client goes on without what is kept behind the last message that it did send.

    It may have taken that back, or not have seen it. One that wants a message answered anew takes back.

    Args:
        kept: The messages kept so far.
        asked: Those that the client sent.
    """
    sent = {message.id for message in asked}
    known = [message.id in sent for message in kept]
    return any(known) and not known[-1] and not _ends_known(asked, kept)


def behind_each(
    messages: Iterable[Message], known: Set[str], place: str | None = None
) -> dict[str | None, list[Message]]:
    """Return the messages whose ids are not known, by the id of the known one before them.

    Args:
        messages: The messages, in order.
        known: The ids that are known.
        place: Where those stand that no known one comes before.
    """
    behind: dict[str | None, list[Message]] = {}
    for message in messages:
        if message.id in known:
            place = message.id
        else:
            behind.setdefault(place, []).append(message)
    return behind


def _unless_begun(sent: Message, kept: Message | None) -> Message:
    """Return what was sent; what is kept, if that is an answer of which the client has only the beginning."""
    if not isinstance(sent, TextMessage) or not isinstance(kept, TextMessage) or sent.role != "assistant":
        return sent
    return kept if kept.content.startswith(sent.content) else sent


def is_users(message: Message) -> bool:
    """Return whether a user wrote a message."""
    return isinstance(message, TextMessage | ImageMessage | MediaMessage) and message.role == "user"


def _ends_known(asked: Sequence[Message], kept: Sequence[Message]) -> bool:
    """Return whether what was asked ends with a user's message that is kept: it has been answered before."""
    return bool(asked) and is_users(asked[-1]) and any(message.id == asked[-1].id for message in kept)


def insert_turn(
    kept: Sequence[Message], asked: Sequence[Message], added: Iterable[Message], since: datetime
) -> list[Message]:
    """Return what is to be kept of a thread once a turn is stored late, in front of the messages that came after it.

    Another process may have stored the beginning of the same turn, if it took this one's process for dead, or all of
    it; and its client may have gone on with it, and sent the result of a call. Where the same message was answered by
    two runs at once, the answer that began later counts.

    Args:
        kept: The messages kept so far; all of what is newer than the turn stays.
        asked: Those that the client sent.
        added: Those that the run added.
        since: When the request arrived.
    """
    whole = {message.id: message for message in added}
    answer = list(_answer_to(asked, kept))
    parts = {each.id: each for each in answer if _is_same(each, whole.get(each.id))}
    whole.update((id_, part) for id_, part in parts.items() if _says_more(part, whole[id_]))
    if 0 < len(parts) < len(answer):
        return _completed(kept, answer, whole, parts.keys())
    kept = [message for message in kept if message.id not in parts]
    others = [each for each in _answer_to(asked, kept) if each.created_at >= since] if whole else []
    if others and others[0].created_at > next(iter(whole.values())).created_at:
        return kept
    taken_back = {message.id for message in others}
    kept = [message for message in kept if message.id not in taken_back]
    begin = _begin_of_later(kept, {message.id for message in asked}, since)
    earlier, later = kept[:begin], kept[begin:]
    added = _with_own_ids(list(whole.values()), {message.id for message in later})
    merged = merge_messages(earlier, asked, added, since)
    return list({message.id: message for message in (*merged, *later)}.values())


def _completed(
    kept: Sequence[Message], answer: Sequence[Message], whole: Mapping[str, Message], parts: Set[str]
) -> list[Message]:
    """Return a thread with the whole of a turn of which it has parts, and more that was said after these."""
    begin = next(index for index, message in enumerate(kept) if message.id in parts)
    later = itertools.islice(dropwhile(lambda message: message.id != answer[-1].id, kept), 1, None)
    added = _with_own_ids(list(whole.values()), {message.id for message in later})
    rest = [message for message in kept[begin:] if message.id not in parts]
    return list({message.id: message for message in (*kept[:begin], *added, *rest)}.values())


def _begin_of_later(kept: Sequence[Message], asked: Set[str], since: datetime) -> int:
    """Return the index of the first message that came after a request.

    Users' messages have the time of a client, whose clock may be wrong: one stays in front of its answer.
    """
    answers = (index for index, message in enumerate(kept) if not is_users(message) and message.created_at >= since)
    begin = first = next(answers, len(kept))
    while begin and is_users(before := kept[begin - 1]) and before.id not in asked:
        was_answered = begin == first < len(kept)
        if before.created_at < since and not was_answered:
            break
        begin -= 1
    return begin


def _answer_to(asked: Sequence[Message], kept: Sequence[Message]) -> Iterable[Message]:
    """Return what is kept behind the user's message that what was asked ends with."""
    if not asked or not is_users(asked[-1]):
        return ()
    behind = itertools.islice(dropwhile(lambda message: message.id != asked[-1].id, kept), 1, None)
    return takewhile(lambda message: not is_users(message), behind)


def _is_same(kept: Message, added: Message | None) -> bool:
    """Return whether two messages of one id are one: of texts, one may lack its end."""
    if isinstance(kept, TextMessage) and isinstance(added, TextMessage):
        return added.content.startswith(kept.content) or kept.content.startswith(added.content)
    return added is not None and type(kept) is type(added)


def _says_more(kept: Message, added: Message) -> bool:
    """Return whether what is kept of a message is more than what a run added of it, which may have broken off."""
    if isinstance(kept, TextMessage) and isinstance(added, TextMessage):
        return len(kept.content) > len(added.content)
    if isinstance(added, ToolResultMessage):
        return added.result == BROKEN_OFF_RESULT.format("failed")
    return isinstance(added, ToolCallMessage) and not added.arguments


def _with_own_ids(added: Sequence[Message], taken: Set[str]) -> list[Message]:
    """Return what a run added, under other ids where the thread has other messages under the same ones."""
    begun = (message.id for message in added if isinstance(message, TextMessage | ToolCallMessage))
    renamed = {id_: _free(id_, taken) for id_ in begun if id_ in taken}
    return [_renamed(message, renamed) for message in added] if renamed else list(added)


def _free(id_: str, taken: Set[str]) -> str:
    return next(name for count in itertools.count(2) if (name := f"{id_}-{count}") not in taken)


def _renamed(message: Message, ids: Mapping[str, str]) -> Message:
    if isinstance(message, ToolResultMessage):
        call_id = ids.get(message.tool_call_id, message.tool_call_id)
        id_ = message.id.replace(message.tool_call_id, call_id) if call_id != message.tool_call_id else message.id
        return msgspec.structs.replace(message, id=id_, tool_call_id=call_id)
    if isinstance(message, TextMessage | ToolCallMessage):
        parent = message.parent_message_id
        parent = ids.get(parent, parent) if parent is not None else None
        return msgspec.structs.replace(message, id=ids.get(message.id, message.id), parent_message_id=parent)
    return message
