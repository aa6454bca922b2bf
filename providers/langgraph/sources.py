"""Where an agent's graph comes from: compiled once, or built for each run."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import Any, TypeAlias

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from ...runtime.context import RunContext
from ...runtime.descriptions import described
from ...runtime.errors import ConfigurationError
from .checkpoints import OwnCheckpoints
from .schema import Graph, GraphSchema, schema_of
from .serializer import allowing
from .state_types import state_types
from .threaded_saver import asynchronous

GraphFactory: TypeAlias = Callable[..., Any]
GraphSource: TypeAlias = Graph | StateGraph[Any, Any, Any, Any] | GraphFactory


class AgentGraph:
    """One agent's graph, ready to run.

    Args:
        name: The agent's name.
        source: A graph (it is compiled if it is not yet), or a factory. A factory may be asynchronous, may
            be a context manager, and is given what its one parameter asks for: LangGraph's configuration
            if it is called ``config`` or annotated so, else the ``RunContext``.
        replaces_memory: Whether a checkpointer and a store in the process's memory, which the graph was compiled with,
            give way to the given ones, as on LangGraph's own server.
        types: The types that its checkpoints may hold besides those that its state declares.

    Raises:
        ConfigurationError: ``source`` is neither.
    """

    def __init__(self, name: str, source: Any, *, replaces_memory: bool = False, types: Collection[type] = ()) -> None:
        self.name = name
        self._types = frozenset(types)
        self._replaces_memory = replaces_memory
        self._factory = source if _is_factory(source) else None
        self._graph = None if self._factory else _compiled(name, source)
        self._built_own: bool | None = None
        self._ready: tuple[BaseCheckpointSaver[Any], Graph, GraphSchema] | None = None

    @asynccontextmanager
    async def open(
        self, context: RunContext, config: RunnableConfig, saver: BaseCheckpointSaver[Any], memory: BaseStore
    ) -> AsyncIterator[tuple[Graph, GraphSchema]]:
        """Open the graph for one run, with ``saver`` as its checkpointer and ``memory`` as its store.

        Those that it has itself stay, but for ones in memory where they are to be replaced.

        Raises:
            ConfigurationError: The factory built something that is not a graph.
        """
        if self._factory is None:
            graph, schema = self._shared(saver)
            yield self._remembering(graph, memory), schema
            return
        async with _opened(self._factory(*_arguments(self._factory, context, config))) as built:
            compiled = _compiled(self.name, built)
            self._built_own = self._own(compiled) is not None
            graph = self._saving(compiled, saver)
            yield self._remembering(graph, memory), schema_of(graph)

    @property
    def known_schema(self) -> GraphSchema | None:
        """The graph's schema; None if it is built for each run."""
        return None if self._graph is None else schema_of(self._graph)

    @property
    def forgets(self) -> bool:
        """Whether the graph brings a checkpointer that ends with the process, and keeps it."""
        return isinstance(self.own_checkpointer, InMemorySaver)

    @property
    def never_saves(self) -> bool:
        """Whether the graph was compiled to keep no checkpoints at all."""
        return self._graph is not None and getattr(self._graph, "checkpointer", None) is False

    @property
    def own_checkpointer(self) -> BaseCheckpointSaver[Any] | None:
        """What the graph was compiled with and keeps, if it is compiled already and not built for each run."""
        return None if self._graph is None else self._own(self._graph)

    @property
    def may_build_own(self) -> bool:
        """Whether a factory makes graphs with a checkpointer of their own, as far as that is known."""
        return self._factory is not None and self._built_own is not False

    def _shared(self, saver: BaseCheckpointSaver[Any]) -> tuple[Graph, GraphSchema]:
        if self._ready is None or self._ready[0] is not saver:
            graph = self._saving(_compiled(self.name, self._graph), saver)
            self._ready = (saver, graph, schema_of(graph))
        return self._ready[1:]

    def _own(self, graph: Any) -> BaseCheckpointSaver[Any] | None:
        own = getattr(graph, "checkpointer", None)
        if not isinstance(own, BaseCheckpointSaver) or (self._replaces_memory and isinstance(own, InMemorySaver)):
            return None
        return asynchronous(own)

    def _saving(self, graph: Graph, saver: BaseCheckpointSaver[Any]) -> Graph:
        if graph.checkpointer is False or graph.checkpointer is True:
            return graph
        own = self._own(graph)
        if own is not None:
            fenced = own if isinstance(own, OwnCheckpoints) else OwnCheckpoints(own)
            return graph.copy({"checkpointer": fenced})
        return graph.copy({"checkpointer": allowing(saver, self._types | state_types(graph))})

    def _remembering(self, graph: Graph, memory: BaseStore) -> Graph:
        if graph.store is None or (self._replaces_memory and isinstance(graph.store, InMemoryStore)):
            return graph.copy({"store": memory})
        return graph


def _is_factory(source: Any) -> bool:
    builds_graphs = inspect.isclass(source) and issubclass(source, (Pregel, StateGraph))
    return callable(source) and not builds_graphs and not isinstance(source, (Pregel, StateGraph))


def _compiled(name: str, source: Any) -> Graph:
    if isinstance(source, StateGraph):
        return source.compile()
    if not isinstance(source, Pregel):
        raise ConfigurationError(
            f"Agent '{name}' needs a compiled LangGraph graph or a function that returns one, not {described(source)}."
        )
    return source


def _arguments(factory: GraphFactory, context: RunContext, config: RunnableConfig) -> tuple[Any, ...]:
    required = [
        parameter
        for parameter in inspect.signature(factory).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if not required:
        return ()
    first = required[0]
    wants_config = first.name == "config" or "RunnableConfig" in str(first.annotation)
    return (config if wants_config else context,)


@asynccontextmanager
async def _opened(built: Any) -> AsyncIterator[Any]:
    if inspect.isawaitable(built):
        built = await built
    if isinstance(built, AbstractAsyncContextManager):
        async with built as graph:
            yield graph
    elif isinstance(built, AbstractContextManager):
        with built as graph:
            yield graph
    else:
        yield built
