"""CrewAI behind the provider interface."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from contextlib import aclosing, contextmanager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from ...runtime import events
from ...runtime.errors import AgentNotFoundError, MisuseError
from ...runtime.messages import ToolResultMessage
from ...runtime.provider import AgentDescriptor, AgentProvider
from .crew_inputs import crew_inputs, lent, page_names
from .flow_state import flow_inputs, state_messages
from .framework import load_async
from .human import install_for_flows, install_for_tasks, pending_interrupt
from .session import Session
from .suspended_runs import Key, SuspendedRuns
from .text_log import TextLog, message, message_id
from .translation import Translator

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping

    from ...runtime.context import Resume, RunContext, RunInput
    from ...runtime.events import Event

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
        descriptions: By agent name: what the page is told about it.
        stream: Whether to switch on streaming in the models of a crew's agents.
        max_runs: How many runs may work at a time; more wait. Threads that compute share one interpreter lock, so that
            many of them slow the event loop down.
        max_waiting: How many runs may wait for a person; then the one that waited longest is given up.
        answer_timeout: Seconds that a run waits for a person before it is given up.
        queue_size: Events of one run that may wait to be delivered, before its crew has to.
    """

    def __init__(
        self,
        agents: Mapping[str, AgentSource],
        *,
        name: str = "crewai",
        descriptions: Mapping[str, str] | None = None,
        stream: bool = True,
        max_runs: int = 64,
        max_waiting: int = 256,
        answer_timeout: float = 3600.0,
        queue_size: int = 1024,
    ) -> None:
        self.name = name
        self._agents = {agent_name: _Maker(agent_name, source) for agent_name, source in agents.items()}
        self._descriptions = dict(descriptions or {})
        self._stream = stream
        self._slots = asyncio.Semaphore(max_runs)
        self._suspended = SuspendedRuns(max_waiting, answer_timeout)
        self._queue_size = queue_size
        self._ready = False

    async def list_agents(self) -> list[AgentDescriptor]:
        """The agents by their names."""
        return [AgentDescriptor(name=name, description=self._descriptions.get(name, "")) for name in self._agents]

    async def start(self) -> None:
        """Imports CrewAI, which takes seconds, so that the first run need not."""
        if not self._ready:
            await load_async()
            install_for_flows()
            self._ready = True

    async def stop(self) -> None:
        """Gives up the runs that wait for a person."""
        self._suspended.clear()

    async def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[Event]:
        """Runs a crew or flow, or goes on with one that waits for what ``run`` brings.

        Raises:
            AgentNotFoundError: If there is none of that name.
            Exception: What the crew or flow raised.
        """
        maker = self._agents.get(agent_name)
        if maker is None:
            raise AgentNotFoundError(agent_name, list(self._agents))
        await self.start()
        async with self._slots:
            session = self._waiting(agent_name, run) or self._begin(maker, run)
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

    def _begin(self, maker: _Maker, run: RunInput) -> Session:
        job = _Job(maker, run, stream=self._stream)
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
    """The answers in the order of the questions, as far as they say what they answer."""
    named = [next((answer for answer in given if question.id in answer.value), None) for question in asked]
    rest = iter([answer for answer in given if answer not in named])
    ordered = (answer if answer is not None else next(rest, None) for answer in named)
    return [answer for answer in ordered if answer is not None]


class _Maker:
    """Makes an agent's crew or flow, and keeps runs on one that was given as an object apart."""

    def __init__(self, name: str, source: AgentSource) -> None:
        self._source = source
        self._is_factory = inspect.isclass(source) or not hasattr(source, "kickoff")
        self._one_at_a_time = threading.Lock()
        self._placeholders: frozenset[str] | None = None
        if self._is_factory and not callable(source):
            raise MisuseError(f"Agent '{name}' is no crew or flow, and nothing that makes one.")

    @contextmanager
    def made(self) -> Iterator[Any]:
        """Called in the run's thread: the crew or flow for one run."""
        with nullcontext() if self._is_factory else self._one_at_a_time:
            yield _unwrapped(self._source() if self._is_factory else self._source)

    def placeholders(self, crew: Any) -> frozenset[str]:
        """The crew's placeholders; a used crew has lost them."""
        if self._is_factory:
            return frozenset(crew.fetch_inputs())
        if self._placeholders is None:
            self._placeholders = frozenset(crew.fetch_inputs())
        return self._placeholders


def _unwrapped(made: Any) -> Any:
    """The crew of a class decorated with ``@CrewBase``; anything else is what it is."""
    if not hasattr(made, "kickoff") and callable(getattr(made, "crew", None)):
        made = made.crew()
    if not hasattr(made, "kickoff"):
        raise MisuseError(f"Expected a crew or a flow, got {type(made).__name__}.")
    return made


class _Job:
    """The work of one run."""

    def __init__(self, maker: _Maker, run: RunInput, *, stream: bool) -> None:
        self._maker = maker
        self._run = run
        self._stream = stream
        self._spoken = TextLog()
        self._translator = Translator(page_names(run.tools))

    def watch(self, event: Event) -> None:
        """Takes note of what is handed on."""
        self._spoken.watch(event)
        self._translator.watch(event)

    def work(self, session: Session) -> None:
        """Called in the run's thread: does everything, and hands on what happens."""
        with self._maker.made() as made:
            self._translator.root = made
            add_stream_sink: Callable[[Callable[[Any, Any], None]], Any]
            add_stream_sink = import_module("crewai.events.stream_context").add_stream_sink
            add_stream_sink(lambda source, event: session.emit(lambda: self._translator.translate(source, event)))
            if hasattr(made, "fetch_inputs"):
                self._run_crew(made, session)
            else:
                self._run_flow(made, session)

    def _run_crew(self, crew: Any, session: Session) -> None:
        install_for_tasks(session)
        inputs = crew_inputs(self._run, self._maker.placeholders(crew))
        with lent(crew, self._run, session, self._translator, stream=self._stream):
            output = crew.kickoff(inputs=inputs)
        answer = str(output.raw or "")
        if answer.strip() and not self._spoken.ends_with(answer):
            session.emit(lambda: message(answer))

    def _run_flow(self, flow: Any, session: Session) -> None:
        flow.stream = False
        _tell_bridge(flow)
        result = session.run_async(lambda: self._kick_off(flow))
        session.emit(lambda: self._outcome(flow, result))

    async def _kick_off(self, flow: Any) -> Any:
        waiting = self._flow_that_waits(flow) if self._run.resume else None
        if waiting is not None:
            return await waiting.resume_async(self._run.resume[0].response or "")
        return await flow.kickoff_async(inputs=flow_inputs(self._run, flow.state))

    def _flow_that_waits(self, flow: Any) -> Any:
        if flow.persistence is None or flow.persistence.load_pending_feedback(self._run.thread_id) is None:
            return None
        return type(flow).from_pending(self._run.thread_id, flow.persistence)

    def _outcome(self, flow: Any, result: Any) -> list[Event]:
        out = self._translator.state(flow.state)
        pending = getattr(result, "context", None)
        if pending is not None and hasattr(pending, "flow_id"):
            return [*out, pending_interrupt(pending)]
        thread = [self._with_id(entry) for entry in state_messages(flow.state)]
        if self._is_news(result, thread):
            said = message(result)
            out += said
            thread += [{"id": message_id(said), "role": "assistant", "content": result}] if thread else []
        return [*out, events.MessagesSnapshot(messages=thread)] if thread else out

    def _is_news(self, result: Any, thread: list[dict[str, Any]]) -> bool:
        """Whether a flow's result is an answer that nothing else in the run has given."""
        answered = bool(thread) and thread[-1]["role"] != "user"
        return isinstance(result, str) and bool(result.strip()) and not self._spoken.anything and not answered

    def _with_id(self, entry: dict[str, Any]) -> dict[str, Any]:
        return entry if entry.get("id") else {**entry, "id": self._spoken.id_of(entry.get("content"))}


def _tell_bridge(flow: Any) -> None:
    """Gives ``ag_ui_crewai``'s own helpers, if the flow uses them, the flow they speak for."""
    bridge = sys.modules.get("ag_ui_crewai.context")
    if bridge is not None:
        bridge.flow_context.set(flow)
