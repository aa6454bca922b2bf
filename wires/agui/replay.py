"""A thread's past as the events that restore it at a client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

from ...runtime.agui_messages import messages_to_agui
from ...runtime.events import Custom
from ...runtime.messages import ImageMessage, MediaMessage, Message, ReasoningMessage, TextMessage, ToolResultMessage
from ...runtime.stores.interface import AgentState
from .interrupts import Interrupts
from .state_view import StateView

Json = dict[str, Any]

_BROUGHT_BY_CLIENTS = (TextMessage, ImageMessage, MediaMessage, ToolResultMessage)


def started_input(thread_id: str, run_id: str, messages: Sequence[Message]) -> Json:
    """Return what RUN_STARTED has besides the ids: the input, the only place from which users' messages come back.

    Without ``tools`` and ``context`` no client reads it; properties and state may hold secrets, and are left out.

    Args:
        thread_id: The thread.
        run_id: The client's id of the run.
        messages: Those that were new to the thread with the run.
    """
    brought = messages_to_agui(message for message in messages if _is_from_client(message))
    return {"input": {"threadId": thread_id, "runId": run_id, "messages": brought, "tools": [], "context": []}}


def _is_from_client(message: Message) -> bool:
    return isinstance(message, _BROUGHT_BY_CLIENTS) and getattr(message, "role", "user") in ("user", "tool")


def synthesised_run(thread_id: str, run_id: str, kept: AgentState, asked_before: Sequence[Json] = ()) -> Iterator[Json]:
    """Write what an agent remembers of a thread as one run; nothing if it remembers nothing.

    Args:
        thread_id: The thread.
        run_id: The id of the run that is written.
        kept: What the agent remembers.
        asked_before: What the run before left open, which an agent that remembers no questions does not know.
    """
    state = StateView().snapshot(kept.state) if kept.state else []
    messages = messages_to_agui(message for message in kept.messages if not _is_left_out(message))
    if not messages and not state:
        return
    ids = {"threadId": thread_id, "runId": run_id}
    # Only what came before the first answer: newer clients keep the order in which messages reach them.
    opening = list(takewhile(_is_from_client, kept.messages))
    yield {"type": "RUN_STARTED", **ids, **started_input(thread_id, run_id, opening)}
    if messages:
        yield {"type": "MESSAGES_SNAPSHOT", "messages": messages}
    yield from state
    yield from asked_before if kept.interrupts is None else _asked(run_id, kept.interrupts)
    yield {"type": "RUN_FINISHED", **ids}


def _is_left_out(message: Message) -> bool:
    """Return whether a client would show a message as an empty bubble, or not at all."""
    if isinstance(message, TextMessage):
        return message.role == "assistant" and not message.content
    return isinstance(message, ReasoningMessage)


def _asked(run_id: str, questions: Sequence[Custom]) -> list[Json]:
    interrupts = Interrupts(run_id)
    for question in questions:
        interrupts.add(question)
    return interrupts.legacy()
