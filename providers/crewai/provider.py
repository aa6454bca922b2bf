"""The provider of CrewAI's crews and flows."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from contextlib import ExitStack, aclosing, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog

from ...runtime import events
from ...runtime.agui_messages import messages_to_agui
from ...runtime.errors import MisuseError
from ...runtime.messages import ToolResultMessage
from ...runtime.provider import AgentDescriptor, AgentProvider, StateSchemas
from ...runtime.runs.transcript import Transcript
from ..agent_names import check_names
from .crew_inputs import client_tool_names, crew_inputs, lent
from .flow_state import PristineFlow, flow_inputs, result_text, state_messages, state_schema
from .framework import load_async
from .human import install_for_flows, install_for_tasks, pending_interrupt, waiting_flow
from .session import Session
from .suspended_runs import Key, SuspendedRuns
from .templates import install_safe_templates, placeholders
from .text_log import TextLog, message, message_id
from .thread_memory import MEMORIES, MemoryPlaces, RunMemories, ThreadMemories, install_thread_storages
from .traces import Traces, persists
from .translation import Translator

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping

    from ...runtime.context import Resume, RunContext, RunInput
    from ...runtime.events import Event

log = structlog.get_logger(__name__)

Inputs: TypeAlias = "Mapping[str, Any] | Callable[[RunInput], Mapping[str, Any]]"
"""Values for a crew's placeholders, or a function of the run that returns them."""

AgentSource: TypeAlias = Any
"""A ``Crew`` or ``Flow``, a class decorated with ``@CrewBase``, or a function that makes one."""


class CrewAIProvider(AgentProvider):
    """Serves crews and flows.

    Each run works in a thread of its own, so that no crew can block the event loop or another run. A crew or
    flow that is given as an object does one run at a time, because CrewAI's objects cannot do more: give a
    class or a function that makes one.

    Args:
        agents: By name: a ``Crew`` or ``Flow``, or a class or function that makes one for each run.
        name: The provider's name.
        descriptions: By agent name: what the client is shown about it.
        inputs: By agent name: values for a crew's placeholders, which win over the client's state.
        stream: Whether to switch on streaming in the models of a crew's agents.
        max_runs: How many runs may work at a time; more wait. Threads that compute share one interpreter lock, so that
            many of them slow the event loop down.
        max_waiting: How many runs may wait for a person; then the one that waited longest is given up.
        answer_timeout: Seconds that a run waits for a person before it is given up.
        queue_size: Events of one run that may wait to be delivered, before its crew has to.
    """

    takes = frozenset({"image_url"})

    def __init__(
        self,
        agents: Mapping[str, AgentSource],
        *,
        name: str = "crewai",
        descriptions: Mapping[str, str] | None = None,
        inputs: Mapping[str, Inputs] | None = None,
        stream: bool = True,
        max_runs: int = 64,
        max_waiting: int = 256,
        answer_timeout: float = 3600.0,
        queue_size: int = 1024,
    ) -> None:
        check_names("CrewAIProvider", agents, example="make_crew")
        self.name = name
        self._agents = {agent_name: _Maker(agent_name, source) for agent_name, source in agents.items()}
        self._inputs = dict(inputs or {})
        if unknown := sorted(set(self._inputs) - set(self._agents)):
            raise MisuseError(f"inputs names agents that are not there: {', '.join(unknown)}.")
        self._descriptions = dict(descriptions or {})
        self._stream = stream
        self._slots = asyncio.Semaphore(max_runs)
        self._suspended = SuspendedRuns(max_waiting, answer_timeout)
        self._queue_size = queue_size
        self._ready = False
        self._places = MemoryPlaces()

    def accepts(self, agent_name: str) -> frozenset[str]:
        """Return what flows find in their messages; nothing for a crew, which reads texts alone."""
        return frozenset() if self._agents[agent_name].is_crew else super().accepts(agent_name)

    def capabilities(self, agent_name: str) -> dict[str, Any]:
        """Return what crews and flows can do."""
        del agent_name
        return {
            "state": {"snapshots": True},
            "tools": {"supported": True, "clientProvided": True},
            "humanInTheLoop": {"supported": True, "feedback": True, "interrupts": True},
        }

    async def list_agents(self) -> list[AgentDescriptor]:
        """List the agents."""
        return [AgentDescriptor(name=name, description=self._descriptions.get(name, "")) for name in self._agents]

    async def state_schemas(self, agent_name: str) -> StateSchemas:
        """Return the schemas of a flow whose state is a pydantic model; others are not known."""
        await self.start()
        return await asyncio.to_thread(self._agents[agent_name].state_schemas)

    async def start(self) -> None:
        """Import CrewAI, which takes seconds, so that the first run need not."""
        if not self._ready:
            await load_async()
            install_for_flows()
            install_safe_templates()
            install_thread_storages()
            for maker in self._agents.values():
                await asyncio.to_thread(maker.look)
            self._ready = True

    @property
    def deletes_threads(self) -> bool:
        """False: a memory that is made within a flow may be anywhere."""
        return False

    @property
    def keeps_threads_elsewhere(self) -> bool:
        """Whether a crew has a memory, or a flow persists, as far as that is seen before they are made."""
        return any(maker.persists for maker in self._agents.values())

    async def keeps_thread(self, thread_id: str) -> bool:
        """Whether CrewAI's own storage has anything of this thread."""
        await self.start()
        return await asyncio.to_thread(self._holds, thread_id)

    def _holds(self, thread_id: str) -> bool:
        if any(maker.holds(thread_id) for maker in self._agents.values()):
            return True
        return any(part.count() for part in self._places.parts(thread_id))

    async def delete_thread(self, thread_id: str) -> None:
        """Give up the thread's runs that wait for a person, and remove it from memories and flows' stores."""
        for agent_name in self._agents:
            self._suspended.drop((thread_id, agent_name))
        await self.start()
        await asyncio.to_thread(self._forget, thread_id)

    def _forget(self, thread_id: str) -> None:
        for maker in self._agents.values():
            maker.forget(thread_id)
        for part in self._places.parts(thread_id):
            part.reset()

    async def stop(self) -> None:
        """Give up the runs that wait for a person."""
        self._suspended.clear()

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[Event]:
        """Run a crew or flow, or go on with one that waits for what ``run`` brings.

        Raises:
            Exception: What the crew or flow raised.
        """
        await self.start()
        async with self._slots:
            session = self._waiting(agent_name, run) or self._begin(agent_name, run)
            with self._parked_or_over((run.thread_id, agent_name), session):
                async with aclosing(session.events()) as stream:
                    async for event in stream:
                        yield event

    @contextmanager
    def _parked_or_over(self, key: Key, session: Session) -> Iterator[None]:
        try:
            yield
        except BaseException:
            session.cancel()
            raise
        if session.pending:
            self._suspended.put(key, session)

    def _begin(self, agent_name: str, run: RunInput) -> Session:
        job = _Job(self._agents[agent_name], run, self._inputs.get(agent_name, {}), self._places, stream=self._stream)
        session = Session(job.work, watch=job.watch, queue_size=self._queue_size)
        session.start()
        return session

    def _waiting(self, agent_name: str, run: RunInput) -> Session | None:
        session = self._suspended.take((run.thread_id, agent_name))
        if session is None:
            return None
        waited_for = len(session.pending)
        for question_id, text in _answers(session, run):
            session.answer(question_id, text)
        if len(session.pending) == waited_for:
            session.cancel()
            return None
        return session


def _answers(session: Session, run: RunInput) -> Iterator[tuple[str, str]]:
    results = [entry for entry in run.messages if isinstance(entry, ToolResultMessage)]
    yield from ((result.tool_call_id, result.result) for result in results)
    asked = [question for question in session.pending if question.ask is not None]
    for question, answer in zip(asked, _in_order(asked, run.resume), strict=False):
        yield question.id, answer.response or ""


def _in_order(asked: list[Any], given: list[Resume]) -> list[Resume]:
    """Return the answers in the order of the questions, as far as they name them."""
    named = [next((answer for answer in given if question.id in answer.value), None) for question in asked]
    rest = iter([answer for answer in given if answer not in named])
    ordered = (answer if answer is not None else next(rest, None) for answer in named)
    return [answer for answer in ordered if answer is not None]


class _Maker:
    """Makes an agent's crew or flow, and keeps runs on one that was given as an object apart."""

    def __init__(self, name: str, source: AgentSource) -> None:
        self.name = name
        self._source = source
        self._is_factory = inspect.isclass(source) or not hasattr(source, "kickoff")
        self.is_crew = hasattr(source, "tasks") or hasattr(source, "crew")
        """Whether it is a crew, as far as that is known before a run."""
        self._one_at_a_time = threading.Lock()
        self._looking = threading.Lock()
        self._traces: Traces | None = None
        self._pristine: PristineFlow | None = None
        self._placeholders: frozenset[str] | None = None
        if self._is_factory and not callable(source):
            raise MisuseError(f"Agent '{name}' is not a crew or flow, and nothing that makes one.")

    @contextmanager
    def made(self) -> Iterator[Any]:
        """Yield the crew or flow for one run; called in the run's thread."""
        if self._is_factory:
            yield _unwrapped(self._source())
            return
        with self._one_at_a_time:
            if self._pristine is not None:
                self._pristine.restore()
            yield _unwrapped(self._source)

    @property
    def persists(self) -> bool:
        """Whether conversations are seen to be kept, as far as that is known before a run."""
        return persists(self._source) if self._traces is None else bool(self._traces)

    def holds(self, thread_id: str) -> bool:
        """Whether CrewAI keeps anything of a thread."""
        traces = self._places()
        return traces is not None and traces.hold(thread_id)

    def forget(self, thread_id: str) -> None:
        """Remove what CrewAI keeps of a thread."""
        traces = self._places()
        if traces is not None:
            traces.delete(thread_id)

    def look(self) -> None:
        """Learn how a crew or flow that was given as an object is, and where it keeps things, before its first run."""
        if self._is_factory:
            return
        made = _unwrapped(self._source)
        self._traces = Traces(made)
        if not hasattr(made, "fetch_inputs"):
            self._pristine = PristineFlow(made)

    def _places(self) -> Traces | None:
        """Return where traces are kept; None if there are none. What a factory makes is made for it.

        A factory that fails has left nothing in this process, and must not take other agents' threads away.
        """
        with self._looking:
            if self._is_factory and (self._traces is None or self._traces):
                try:
                    self._traces = Traces(_unwrapped(self._source()))
                except Exception as error:
                    log.warning("crewai_traces_not_seen", agent=self.name, exc_info=error)
            return self._traces or None

    def state_schemas(self) -> StateSchemas:
        """Return the schemas of a flow's state."""
        with self.made() as made:
            schema = state_schema(getattr(made, "state", None))
        return StateSchemas(shown=schema, taken=schema)

    def placeholders(self, crew: Any) -> frozenset[str]:
        """Return the crew's placeholders; a used crew has lost them."""
        if self._is_factory:
            return placeholders(crew)
        if self._placeholders is None:
            self._placeholders = placeholders(crew)
        return self._placeholders


def _unwrapped(made: Any) -> Any:
    """Return the crew of a class decorated with ``@CrewBase``, and anything else as it is."""
    if not hasattr(made, "kickoff") and callable(getattr(made, "crew", None)):
        made = made.crew()
    if not hasattr(made, "kickoff"):
        raise MisuseError(f"Expected a crew or a flow, got {type(made).__name__}.")
    return made


class _Job:
    """The work of one run, done in the session's thread."""

    def __init__(self, maker: _Maker, run: RunInput, inputs: Inputs, places: MemoryPlaces, *, stream: bool) -> None:
        self._maker = maker
        self._run = run
        self._inputs = inputs
        self._places = places
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
        MEMORIES.set(RunMemories(memories, self._places))
        with self._maker.made() as made:
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
        inputs = crew_inputs(self._run, self._maker.placeholders(crew), given)
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
        known = {sent.id for sent in self._run.messages}
        ids = {entry["id"] for entry in thread}
        texts = [entry.get("content") for entry in thread if entry["id"] not in known]
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
