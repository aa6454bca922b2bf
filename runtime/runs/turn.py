"""What one run leaves in its thread: the messages that came with it, and those that it added."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from .. import events
from ..context import RunContext, RunInput
from ..errors import ProtocolError
from ..messages import Message
from ..provider import AgentProvider
from ..stores.interface import AgentState
from ..stores.run_records import RunRecord
from .about import brought_by
from .transcript import Transcript

BROKEN_OFF_RESULT = '{{"status":"{}"}}'
"""The result of a call that was cut off by the end of its run."""


class Turn(Protocol):
    """What is to be stored of a run, whoever executed it."""

    @property
    def provider(self) -> AgentProvider:
        """The provider that executed it."""

    @property
    def agent_name(self) -> str:
        """The agent."""

    @property
    def input(self) -> RunInput:
        """What it was given."""

    @property
    def context(self) -> RunContext:
        """The context of its request."""

    @property
    def transcript(self) -> Transcript:
        """What it has said."""

    @property
    def asked_at(self) -> datetime:
        """When the request arrived."""

    @property
    def ephemeral(self) -> bool:
        """Whether nothing of it is kept."""

    @property
    def is_over(self) -> bool:
        """Whether its run has ended, and its end is stored."""


@dataclass(kw_only=True, eq=False, slots=True)
class StoredTurn:
    """The turn of a run of another process as it is stored; nobody is asked whose thread it is, for the run had it."""

    provider: AgentProvider
    agent_name: str
    input: RunInput
    transcript: Transcript
    asked_at: datetime
    context: RunContext = field(default_factory=RunContext)
    ephemeral: bool = False
    is_over: bool = True


async def stored_turn(record: RunRecord, provider: AgentProvider, history: Sequence[events.Event]) -> StoredTurn:
    """Read the turn of a run of another process from what is stored of it.

    Args:
        record: The run.
        provider: The provider of its agent.
        history: Its events.
    """
    kept = await AgentProvider.load_state(provider, record.thread_id, record.agent_name) or AgentState()
    known = {message.id for message in kept.messages}
    asked = brought_by(record.about)
    # What came with it and was answered meanwhile, by a run that it waited for, stays as it is.
    brought = [*(message for message in asked[:-1] if message.id not in known), *asked[-1:]]
    transcript = _transcript(record, history)
    for message in transcript.messages():
        message.created_at = record.started_at  # in front of what came meanwhile
    return StoredTurn(
        provider=provider,
        agent_name=record.agent_name,
        input=RunInput(
            thread_id=record.thread_id,
            run_id=record.run_id,
            messages=brought,
            state=kept.state,
        ),
        transcript=transcript,
        asked_at=record.started_at,
    )


def messages_of(record: RunRecord, history: Sequence[events.Event]) -> list[Message]:
    """Return the messages that came with a run that has ended, and those that it added.

    Args:
        record: The run.
        history: Its events.
    """
    return [*brought_by(record.about), *_transcript(record, history).messages()]


def _transcript(record: RunRecord, history: Sequence[events.Event]) -> Transcript:
    transcript = Transcript()
    for event in history:
        with suppress(ProtocolError):  # a change of state that fits none, as the run itself leaves it out
            transcript.record(event)
    # What a run that finished has left open is the client's to answer.
    for call in transcript.unanswered() if record.status != "finished" else ():
        result = BROKEN_OFF_RESULT.format("failed")
        transcript.record(events.ToolCallResult(tool_call_id=call.id, content=result))
    return transcript
