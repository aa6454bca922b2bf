"""A thread's history: its runs as they are kept, and what its agent remembers besides."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any, TypeAlias

from ...runtime import events
from ...runtime.messages import Message, ReasoningMessage, TextMessage, ToolResultMessage
from ...runtime.runs.about import ALIASES, brought_by
from ...runtime.runs.archive import RunArchive
from ...runtime.runs.corrections import with_corrections
from ...runtime.runs.transcript import Transcript
from ...runtime.stores.interface import AgentState
from ...runtime.stores.run_records import RunRecord
from .gate import Gate, GateOptions
from .replay import started_input, synthesised_run

Events: TypeAlias = Sequence[Any]

_STATES = (events.StateSnapshot, events.StateDelta)


class ThreadHistory:
    """Reads a thread's past, run by run, so that its first events go out before the last are read.

    Args:
        archive: Where runs are kept.
        options: Returns what clients get.
        thread_id: The thread, as the client writes it.
        agent_key: The agent whose states the client sees.
    """

    def __init__(
        self,
        archive: RunArchive,
        options: GateOptions,
        thread_id: str,
        agent_key: str,
    ) -> None:
        self._archive = archive
        self._options = options
        self._thread_id = thread_id
        self._agent_key = agent_key
        self.seen: set[str] = set()
        """The ids of the messages that the client has got."""
        self.answers: dict[str, str] = {}
        """The results that the client has got, by the calls that they answer."""
        self._asked: Sequence[Any] = ()
        """What the last run asked."""

    async def replay(self, records: Sequence[RunRecord], kept: AgentState) -> AsyncGenerator[Events]:
        """Yield the events of runs, each run's in one or several parts.

        Args:
            records: The runs that have ended, oldest first.
            kept: What the agent remembers; what the runs lack of it comes before or behind them.
        """
        for older in self._remembered(_before(kept, records)):
            yield older
        for record in records:
            if run := await self._archive.history_if_kept(record):
                yield self._passed(record, run)
        if any(message.id not in self.seen for message in kept.messages if _is_shown(message)):
            for rest in self._remembered(kept):
                yield rest

    def _remembered(self, kept: AgentState) -> Sequence[Events]:
        written = list(synthesised_run(self._thread_id, f"{self._thread_id}-history", kept, self._asked))
        self.seen.update(message.id for message in kept.messages)
        return [written] if written else []

    def _passed(self, record: RunRecord, run: Sequence[events.Event]) -> Events:
        brought = self.new_of(brought_by(record.about))
        started = started_input(self._thread_id, record.run_id, brought)
        gate = Gate(
            self._thread_id,
            record.run_id,
            self._options,
            known={*self.seen, *(message.id for message in brought)},
            answered=self.answers,
            started=started,
        )
        passed = list(gate.pass_(self._shown(record, run)))
        passed += gate.finish()
        self.seen.update(message.id for message in brought)
        self.seen.update(gate.sent_ids)
        self.seen.update(record.about.get(ALIASES, ()))
        self.answers.update((each.tool_call_id, each.result) for each in brought if isinstance(each, ToolResultMessage))
        written = [event for event in passed if isinstance(event, dict)]
        answers = (event for event in written if event["type"] == "TOOL_CALL_RESULT")
        self.answers.update((event["toolCallId"], event["content"]) for event in answers)
        self._asked = [event for event in written if event["type"] == "CUSTOM" and event["name"] == events.INTERRUPT]
        return passed

    def new_of(self, brought: Sequence[Message]) -> list[Message]:
        """Leave out of what came with a run the results that the client has got, be it under another id."""
        return [message for message in brought if not self._has(message)]

    def _has(self, message: Message) -> bool:
        return isinstance(message, ToolResultMessage) and self.answers.get(message.tool_call_id) == message.result

    def _shown(self, record: RunRecord, run: Sequence[events.Event]) -> Sequence[events.Event]:
        run = with_corrections(run)
        if record.agent_name == self._agent_key:
            return run
        return [event for event in run if not isinstance(event, _STATES)]


def _before(kept: AgentState, records: Sequence[RunRecord]) -> AgentState:
    """Return what an agent remembers from before the first run that is kept."""
    first = {message.id for message in brought_by(records[0].about)} if records else set()
    for place, message in enumerate(kept.messages):
        if message.id in first:
            return AgentState(messages=kept.messages[:place])
    return AgentState()


def _is_shown(message: Message) -> bool:
    """Return whether clients show a message by itself: an answer without a word is streamed as nothing."""
    if isinstance(message, TextMessage):
        return message.content != ""
    return not isinstance(message, ToolResultMessage | ReasoningMessage)


async def messages_of(archive: RunArchive, records: Sequence[RunRecord]) -> list[Message]:
    """Return the messages of runs, for agents and models that remember nothing themselves."""
    thread: dict[str, Message] = {}
    for record in records:
        thread.update((message.id, message) for message in brought_by(record.about))
        transcript = Transcript()
        for event in with_corrections(await archive.history_if_kept(record)):
            transcript.record(event)
        thread.update((message.id, message) for message in transcript.messages())
    return list(thread.values())
