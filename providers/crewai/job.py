"""The work of one run of a crew or a flow, done in its session's thread."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from ...runtime import events
from ...runtime.agui_messages import messages_to_agui
from ...runtime.runs.transcript import Transcript
from .agent_factory import AgentFactory
from .crew_inputs import client_tool_names, crew_inputs, lent
from .flow_state import flow_inputs, result_text, state_messages
from .human import install_for_tasks, pending_interrupt, waiting_flow
from .session import Session
from .text_log import TextLog, message, message_id
from .thread_memory import MEMORIES, MemoryPlaces, RunMemories, ThreadMemories
from .translation import Translator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...runtime.context import RunInput
    from ...runtime.events import Event

Inputs: TypeAlias = "Mapping[str, Any] | Callable[[RunInput], Mapping[str, Any]]"
"""Values for a crew's placeholders, or a function of the run that returns them."""


class Job:
    """The work of one run, done in the session's thread."""

    def __init__(
        self,
        factory: AgentFactory,
        run: RunInput,
        inputs: Inputs,
        places: MemoryPlaces,
        *,
        owner: str | None,
        stream: bool,
    ) -> None:
        self._factory = factory
        self._run = run
        self._inputs = inputs
        self._places = places
        self._owner = owner
        self._stream = stream
        self._text_log = TextLog()
        self._transcript = Transcript()
        self._translator = Translator(client_tool_names(run.tools))

    def watch(self, event: Event) -> None:
        """Record an event that is handed on."""
        self._text_log.watch(event)
        self._transcript.record(event)
        self._translator.watch(event)

    def work(self, session: Session) -> None:
        """Do the whole run, and hand on what happens; called in the run's thread."""
        memories = ThreadMemories(self._run.thread_id, session.check)
        made_within = ThreadMemories(self._run.thread_id, session.check, owner=self._owner)
        MEMORIES.set(RunMemories(made_within, self._places))
        with self._factory.made() as made:
            self._translator.root = made
            add_stream_sink: Callable[[Callable[[Any, Any], None]], Any]
            add_stream_sink = import_module("crewai.events.stream_context").add_stream_sink
            add_stream_sink(lambda source, event: session.emit(lambda: self._translator.translate(source, event)))
            if hasattr(made, "fetch_inputs"):
                self._run_crew(made, session, memories)
            else:
                self._run_flow(made, session, memories)

    def _run_crew(self, crew: Any, session: Session, memories: ThreadMemories) -> None:
        install_for_tasks(session)
        given = self._inputs(self._run) if callable(self._inputs) else self._inputs
        inputs = crew_inputs(self._run, self._factory.placeholders(crew), given)
        with lent(crew, self._run, session, memories, self._translator, stream=self._stream):
            output = crew.kickoff(inputs=inputs)
        answer = str(output.raw or "")
        if answer.strip() and not self._text_log.ends_with(answer):
            session.emit(lambda: message(answer))

    def _run_flow(self, made: Any, session: Session, memories: ThreadMemories) -> None:
        waiting = waiting_flow(made, self._run) if self._run.resume else None
        flow = made if waiting is None else waiting
        flow.stream = False
        self._translator.root = flow
        _give_flow_to_bridge(flow)
        with ExitStack() as back:
            memories.lend(back, flow, "memory")
            if waiting is None:
                result = session.run_async(lambda: flow.kickoff_async(inputs=flow_inputs(self._run, flow.state)))
            else:
                result = session.run_async(lambda: flow.resume_async(self._run.resume[0].response or ""))
        session.emit(lambda: self._outcome(flow, result))

    def _outcome(self, flow: Any, result: Any) -> list[Event]:
        out = self._translator.state(flow.state)
        pending = getattr(result, "context", None)
        if pending is not None and hasattr(pending, "flow_id"):
            return [*out, pending_interrupt(pending)]
        thread = [self._with_id(entry) for entry in state_messages(flow.state)]
        if thread:
            thread += self._unsent_in(thread)
        answer = "" if result is flow.state else result_text(result)
        if answer and not self._text_log.anything and not (thread and thread[-1]["role"] != "user"):
            shown = message(answer)
            out += shown
            thread += [{"id": message_id(shown), "role": "assistant", "content": answer}] if thread else []
        return [*out, events.MessagesSnapshot(messages=thread)] if thread else out

    def _unsent_in(self, thread: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return what the run showed and the flow did not keep: a thread without it would take it off the screen."""
        sent_ids = {sent.id for sent in self._run.messages}
        ids = {entry["id"] for entry in thread}
        texts = [entry.get("content") for entry in thread if entry["id"] not in sent_ids]
        calls = {call.get("id") for entry in thread for call in entry.get("toolCalls") or ()}
        results = {entry.get("toolCallId") for entry in thread}
        return [
            entry
            for entry in messages_to_agui(self._transcript.messages())
            if entry["id"] not in ids
            and not (entry.get("content") and entry["content"] in texts)
            and not any(call["id"] in calls for call in entry.get("toolCalls") or ())
            and not ("toolCallId" in entry and entry["toolCallId"] in results)
        ]

    def _with_id(self, entry: dict[str, Any]) -> dict[str, Any]:
        return entry if entry.get("id") else {**entry, "id": self._text_log.id_of(entry.get("content"))}


def _give_flow_to_bridge(flow: Any) -> None:
    """Give ``ag_ui_crewai``'s own helpers, if the flow uses them, the flow they speak for."""
    bridge = sys.modules.get("ag_ui_crewai.context")
    if bridge is not None:
        bridge.flow_context.set(flow)
