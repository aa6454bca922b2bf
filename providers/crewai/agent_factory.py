"""Crews and flows, made anew for each run or kept apart between runs."""

from __future__ import annotations

import inspect
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog

from ...runtime.descriptions import described
from ...runtime.errors import MisuseError
from ...runtime.provider import StateSchemas
from .flow_state import PristineFlow, state_schema
from .templates import placeholders
from .traces import Traces, persists

if TYPE_CHECKING:
    from collections.abc import Iterator

log = structlog.get_logger(__name__)

AgentSource: TypeAlias = Any
"""A ``Crew`` or ``Flow``, a class decorated with ``@CrewBase`` or an object of it, or a function that makes one."""


class AgentFactory:
    """Makes an agent's crew or flow, and keeps runs on one that was given as an object apart."""

    def __init__(self, name: str, source: AgentSource) -> None:
        _check(name, source)
        self.name = name
        self._source = source
        self._is_factory = not _is_made(source)
        self.is_crew = hasattr(source, "tasks") or hasattr(source, "crew")
        """Whether it is a crew, as far as that is known before a run."""
        self._one_at_a_time = threading.Lock()
        self._looking = threading.Lock()
        self._traces: Traces | None = None
        self._pristine: PristineFlow | None = None
        self._placeholders: frozenset[str] | None = None

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
        """Whether conversations are kept, as far as that can be seen before a run."""
        return persists(self._source) if self._traces is None else bool(self._traces)

    def holds(self, thread_id: str) -> bool:
        """Return whether CrewAI keeps anything of a thread."""
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


def _check(name: str, source: AgentSource) -> None:
    if inspect.isclass(source):
        if source.__module__.partition(".")[0] == "crewai":
            raise MisuseError(
                f"Agent '{name}' is CrewAI's own class {source.__name__}, which has nothing to do. Pass a crew or flow"
                " that you made, a class of yours, or a function that returns one."
            )
    elif (hasattr(source, "kickoff") and not _runs(source)) or (not _is_made(source) and not callable(source)):
        raise MisuseError(
            f"Agent '{name}' is {described(source)}, not a crew or flow, and nothing that makes one."
            " Pass Crew(agents=[…], tasks=[…]), or a function that returns one."
        )


def _is_made(source: AgentSource) -> bool:
    """Return whether it is a crew or flow, or of a class decorated with ``@CrewBase``, which may keep its crew."""
    has_crew = hasattr(source, "kickoff") or callable(getattr(source, "crew", None))
    return has_crew and not inspect.isclass(source)


def _runs(made: object) -> bool:
    """Return whether it is a crew or a flow: CrewAI's single agents have a ``kickoff``, too."""
    return hasattr(made, "fetch_inputs") or hasattr(made, "state")


def _unwrapped(made: Any) -> Any:
    """Return the crew of a class decorated with ``@CrewBase``, and anything else as it is."""
    if not hasattr(made, "kickoff") and callable(getattr(made, "crew", None)):
        made = made.crew()
    if not hasattr(made, "kickoff") or not _runs(made):
        raise MisuseError(f"Expected a crew or a flow, not {described(made)}.")
    return made
