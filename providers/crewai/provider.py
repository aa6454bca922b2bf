"""The provider of CrewAI's crews and flows."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

import structlog

from ...runtime.errors import MisuseError
from ...runtime.messages import ToolResultMessage
from ...runtime.per_loop import PerLoop
from ...runtime.provider import AgentDescriptor, AgentProvider, StateSchemas
from ..agent_names import check_names
from .agent_factory import AgentFactory, AgentSource
from .framework import load_async
from .human import install_for_flows
from .job import Inputs, Job
from .session import Session
from .suspended_runs import Key, SuspendedRuns
from .templates import install_safe_templates
from .thread_memory import MemoryPlaces, install_thread_storages

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping

    from ...runtime.context import Resume, RunContext, RunInput
    from ...runtime.events import Event

log = structlog.get_logger(__name__)


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
        self._agents = {agent_name: AgentFactory(agent_name, source) for agent_name, source in agents.items()}
        self._inputs = dict(inputs or {})
        if unknown := sorted(set(self._inputs) - set(self._agents)):
            raise MisuseError(f"inputs names agents that are not there: {', '.join(unknown)}.")
        self._descriptions = dict(descriptions or {})
        self._stream = stream
        self._slots = PerLoop(lambda: asyncio.Semaphore(max_runs))
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
            for factory in self._agents.values():
                await asyncio.to_thread(factory.look)
            self._ready = True

    @property
    def deletes_threads(self) -> bool:
        """False: a memory that is made within a flow may be anywhere."""
        return False

    @property
    def keeps_threads_elsewhere(self) -> bool:
        """Whether a crew has a memory, or a flow persists, as far as that is seen before they are made."""
        return any(factory.persists for factory in self._agents.values())

    async def keeps_thread(self, thread_id: str) -> bool:
        """Return whether CrewAI's own storage has anything of this thread."""
        await self.start()
        return await asyncio.to_thread(self._holds, thread_id)

    def _holds(self, thread_id: str) -> bool:
        if any(factory.holds(thread_id) for factory in self._agents.values()):
            return True
        return any(part.count() for part in self._places.parts(thread_id))

    async def delete_thread(self, thread_id: str) -> None:
        """Give up the thread's runs that wait for a person, and remove it from memories and flows' stores."""
        for agent_name in self._agents:
            self._suspended.drop((thread_id, agent_name))
        await self.start()
        await asyncio.to_thread(self._forget, thread_id)

    def _forget(self, thread_id: str) -> None:
        for factory in self._agents.values():
            factory.forget(thread_id)
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
        async with self._slots.here:
            session = self._waiting(agent_name, run, context.identity) or self._begin(agent_name, run, context.identity)
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

    def _begin(self, agent_name: str, run: RunInput, owner: str | None) -> Session:
        factory, inputs = self._agents[agent_name], self._inputs.get(agent_name, {})
        job = Job(factory, run, inputs, self._places, owner=owner, stream=self._stream)
        session = Session(job.work, watch=job.watch, queue_size=self._queue_size, owner=owner)
        session.start()
        return session

    def _waiting(self, agent_name: str, run: RunInput, identity: str | None) -> Session | None:
        session = self._suspended.take((run.thread_id, agent_name))
        if session is None:
            return None
        if identity is not None and session.owner != identity:
            # Another process deleted the thread, or removed what was over, and it is somebody else's by now.
            session.cancel()
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
    questions = [question for question in session.pending if question.ask is not None]
    for question, answer in zip(questions, _in_order(questions, run.resume), strict=False):
        yield question.id, answer.response or ""


def _in_order(questions: list[Any], given: list[Resume]) -> list[Resume]:
    """Return the answers in the order of the questions, as far as they name them."""
    named = [next((answer for answer in given if question.id in answer.value), None) for question in questions]
    rest = iter([answer for answer in given if answer not in named])
    ordered = (answer if answer is not None else next(rest, None) for answer in named)
    return [answer for answer in ordered if answer is not None]
