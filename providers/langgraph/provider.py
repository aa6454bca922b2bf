"""LangGraph graphs as agents, in this process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, cast

import msgspec
import structlog
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.base import BaseStore

from ...runtime.context import RunContext, RunInput
from ...runtime.errors import ConfigurationError, CopilotKitError
from ...runtime.events import Event
from ...runtime.provider import AgentDescriptor, AgentProvider, StateSchemas
from ...runtime.stores.interface import AgentState, StateStore
from ...runtime.stores.settings import StoreSettings
from ..agent_names import check_names
from ..late_imports import import_early
from .capabilities import MEDIA, graph_capabilities
from .checkpoints import AgentCheckpoints, delete_from, read_from
from .configuration import (
    ClientKeys,
    graph_configuration,
    graph_context,
    own_configuration,
    run_configuration,
    shows_subgraphs,
    undeclared_names,
)
from .graph_thread import LocalThread
from .json_schema import state_schemas
from .langgraph_json import read_graph_file
from .memories import memory_in_process, open_memory
from .memory_options import MemoryOptions
from .owned_memory import OwnedMemory
from .recent_saver import RecentMemorySaver
from .run_plan import RunPlan, RunPlanner
from .running import StreamPart, run_events
from .savers import open_saver
from .schema import Graph, GraphSchema
from .sources import AgentGraph, GraphSource
from .thread import read_thread, write_thread
from .threaded_saver import ThreadedSaver, asynchronous
from .translation import STREAM_MODES, Translator

log = structlog.get_logger(__name__)


class LangGraphProvider(AgentProvider):
    """Runs LangGraph graphs.

    Args:
        graphs: The agents by name: a compiled graph, or a factory that builds one for each run
            (see ``sources.AgentGraph``).
        name: The provider's name.
        descriptions: What the agents do, by agent name; a graph's docstring is not used.
        stream_subgraphs: Whether messages of subgraphs are shown; the client may decide otherwise for a run
            (``config.streamSubgraphs``).
        context_headers: The names of the request headers that graphs get, in lower case, among those that the
            runtime lets through; by default all that begin with ``x-``.
        checkpointer: Keeps the threads of graphs that were compiled without a checkpointer; else the place of the
            runtime's store does, or memory where the store has no URL.
        memory: LangGraph's ``store`` for graphs that were compiled without one; by default, the place of the
            runtime's store. Every owner has a part of their own in it.
        memory_options: The vector index of the memory, and how long memories last.
        replaces_memory: Whether graphs that were compiled with a checkpointer or a store in the process's memory
            use the provider's instead.
        checkpoint_types: The classes that checkpoints may hold besides those in the annotations of the graphs' states;
            values of others are given to graphs as plain data. A checkpointer that was given has a list of its own.

    Raises:
        ConfigurationError: A value of ``graphs`` is neither a graph nor a factory.
    """

    keeps_state = True
    declares_config = True
    takes = MEDIA

    def __init__(
        self,
        graphs: Mapping[str, GraphSource],
        *,
        name: str = "langgraph",
        descriptions: Mapping[str, str] | None = None,
        stream_subgraphs: bool = True,
        context_headers: Collection[str] | None = None,
        checkpointer: BaseCheckpointSaver[Any] | None = None,
        memory: BaseStore | None = None,
        memory_options: MemoryOptions | None = None,
        replaces_memory: bool = False,
        checkpoint_types: Collection[type] = (),
    ) -> None:
        check_names("LangGraphProvider", graphs, example="graph")
        self.name = name
        self._agents = {
            agent: AgentGraph(agent, source, replaces_memory=replaces_memory, types=checkpoint_types)
            for agent, source in graphs.items()
        }
        self._memory_options = memory_options or MemoryOptions()
        self._memory = memory or memory_in_process(self._memory_options)
        self._memory_follows_store = memory is None
        self._descriptions = dict(descriptions or {})
        self._stream_subgraphs = stream_subgraphs
        self._context_headers = context_headers
        self.checkpointer = checkpointer or RecentMemorySaver()
        self._follows_store = checkpointer is None
        self._opened = AsyncExitStack()
        self._reported: set[str] = set()

    @classmethod
    def from_file(cls, path: str | os.PathLike[str] = "langgraph.json", **options: Any) -> LangGraphProvider:
        """Return the graphs that a ``langgraph.json`` names, with its environment and local dependencies.

        Args:
            path: The file, or the folder that holds it.
            options: The constructor's other arguments; ``descriptions`` are added to the file's.

        Raises:
            ConfigurationError: The file, or a graph that it names, is missing or malformed.
        """
        file = read_graph_file(path)
        descriptions = {**file.descriptions, **options.pop("descriptions", {})}
        given = {"replaces_memory": True, "memory_options": file.memory_options, "memory": file.memory, **options}
        return cls(file.graphs, descriptions=descriptions, **given)

    @property
    def checkpointer(self) -> BaseCheckpointSaver[Any]:
        """Keep the threads of graphs compiled without a checkpointer. May be replaced before start."""
        return self._checkpointer

    @checkpointer.setter
    def checkpointer(self, saver: BaseCheckpointSaver[Any]) -> None:
        _check_saver(saver)
        self._follows_store = False
        self._checkpointer = saver
        self._savers = {agent: AgentCheckpoints(asynchronous(saver), agent) for agent in self._agents}

    async def start(self) -> None:
        """Open checkpoints and memories where the runtime's store is, unless others were given.

        Raises:
            ConfigurationError: The connection of a saver that was given cannot be used.
            MissingExtraError: LangGraph's package for this kind of place is not installed.
        """
        await asyncio.to_thread(import_early)
        await asyncio.to_thread(self._check_connections)
        try:
            await self._open_at_store()
        except BaseException:
            await self._opened.aclose()
            raise
        self._warn_of_forgetting()

    def _check_connections(self) -> None:
        own = (agent.own_checkpointer for agent in self._agents.values())
        for saver in (asynchronous(self._checkpointer), *own):
            if isinstance(saver, ThreadedSaver):
                saver.check_connection()

    async def _open_at_store(self) -> None:
        url = None if self.store is None else self.store.url
        if url is not None and self._follows_store:
            settings = _saver_settings(self.store)
            self.checkpointer = await self._opened.enter_async_context(open_saver(url, settings))
            self._follows_store = True
        if url is not None and self._memory_follows_store:
            self._memory = await self._opened.enter_async_context(open_memory(url, self._memory_options))

    def _warn_of_forgetting(self) -> None:
        durable = self.store is not None and self.store.url is not None and not self.store.url.startswith("memory:")
        for agent in self._agents.values():
            if durable and agent.forgets:
                log.warning(
                    "langgraph_threads_in_memory",
                    agent=agent.name,
                    hint="The graph was compiled with a saver in memory: its threads end with this process, whatever"
                    " the runtime's store is. Compile it without a checkpointer, or set replaces_memory=True.",
                )

    async def stop(self) -> None:
        """Close what ``start`` opened."""
        await self._opened.aclose()

    @property
    def keeps_threads_elsewhere(self) -> bool:
        """Whether a graph, or this provider, has a checkpointer of its own that outlives the process."""
        own = [agent.own_checkpointer for agent in self._agents.values()]
        given = None if self._follows_store else self._checkpointer
        return any(saver is not None and not isinstance(saver, InMemorySaver) for saver in (given, *own))

    async def keeps_thread(self, thread_id: str) -> bool:
        """Return whether a checkpointer has this thread."""
        config = _thread_configuration(thread_id)
        for agent_name in self._agents:
            async with self._saver_of(agent_name, thread_id) as saver:
                if await read_from(saver, config) is not None:
                    return True
        return False

    async def delete_thread(self, thread_id: str) -> None:
        """Remove the thread from all checkpointers."""
        for agent_name in self._agents:
            await delete_from(self._savers[agent_name], thread_id)
            async with self._saver_of(agent_name, thread_id) as saver:
                await delete_from(saver, thread_id)

    async def delete_owner(self, owner: str) -> None:
        """Remove the owner's part of the long-term memory; a store that a graph brings itself is the graph's."""
        await OwnedMemory(self._memory, owner).delete_all()

    async def compact_thread(self, thread_id: str) -> None:
        """Delete the checkpoints that no later run needs."""
        for agent_name in self._agents:
            await self._trim(agent_name, thread_id)

    def accepts(self, agent_name: str) -> frozenset[str]:
        """Return what goes into the messages of the agent's graph; nothing if its state has none."""
        schema = self._agents[agent_name].known_schema
        has_messages = schema is None or schema.has_messages or schema.takes_list
        return super().accepts(agent_name) if has_messages else frozenset()

    def capabilities(self, agent_name: str) -> dict[str, Any]:
        """Return what the agent's graph is made for; of a factory's, what holds for all graphs."""
        return graph_capabilities(self._agents[agent_name].known_schema)

    async def list_agents(self) -> list[AgentDescriptor]:
        """Return the registered agents."""
        return [AgentDescriptor(name=name, description=self._descriptions.get(name, "")) for name in self._agents]

    def execute_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[Event]:
        """Run a graph; yield what happens, as it happens."""
        return self._run(agent_name, run, context, RunPlanner.plan)

    async def state_schemas(self, agent_name: str) -> StateSchemas:
        """Return the schemas that the graph's own annotations give."""
        async with self._open(agent_name, RunContext(), _thread_configuration("schemas")) as (graph, schema):
            return state_schemas(agent_name, graph, schema)

    def can_resume(self, agent_name: str) -> bool:
        """Return whether the agent's checkpoints outlive the process."""
        agent = self._agents[agent_name]
        saver = agent.own_checkpointer or self._checkpointer
        return not agent.never_saves and not isinstance(saver, InMemorySaver)

    def resume_run(self, agent_name: str, run: RunInput, context: RunContext) -> AsyncGenerator[Event]:
        """Go on from the graph's last checkpoint. Nodes that had not ended run again."""
        return self._run(agent_name, run, context, RunPlanner.resume)

    async def _run(
        self,
        agent_name: str,
        run: RunInput,
        context: RunContext,
        plan_of: Callable[[RunPlanner], Awaitable[RunPlan]],
    ) -> AsyncGenerator[Event]:
        opened = ClientKeys(opened=self.client_config_keys, authenticated=context.identity is not None)
        own = own_configuration(run, context, self._context_headers)
        configured = run_configuration(run, own, opened)
        async with self._open(agent_name, context, configured) as (graph, schema):
            keys = opened.of_graph(graph)
            if keys != opened:
                configured = run_configuration(run, own, keys)
                self._report_undeclared(agent_name, undeclared_names(run, configured))
            config = graph_configuration(graph, configured)
            thread = LocalThread(graph)
            plan = await plan_of(RunPlanner(thread, schema, run, config))
            shown = shows_subgraphs(run, otherwise=self._stream_subgraphs)
            translator = Translator(schema, plan, subgraphs=shown)
            given = graph_context(graph, run, context, keys)
            async with aclosing(run_events(plan, translator, _stream(graph, given), thread, config)) as events:
                async for event in events:
                    yield event
        await self._trim(agent_name, run.thread_id)

    def _report_undeclared(self, agent_name: str, names: list[str]) -> None:
        if names and agent_name not in self._reported:
            self._reported.add(agent_name)
            log.warning(
                "langgraph_client_configuration_left_out",
                agent=agent_name,
                names=names,
                hint="The graph's context_schema does not declare them. Declare them there, or name them in"
                " client_config_keys. This is reported once for an agent.",
            )

    async def load_state(self, thread_id: str, agent_name: str) -> AgentState | None:
        """Return what the graph's checkpoint of this thread holds, or None."""
        config = _thread_configuration(thread_id)
        async with self._open(agent_name, RunContext(), config) as (graph, schema):
            return await read_thread(graph, schema, config)

    async def save_state(self, thread_id: str, agent_name: str, state: AgentState) -> None:
        """Write a new checkpoint in which the graph's state and messages are those given."""
        config = _thread_configuration(thread_id)
        async with self._open(agent_name, RunContext(), config) as (graph, schema):
            await write_thread(graph, schema, config, state)
        await self._trim(agent_name, thread_id)

    async def _trim(self, agent_name: str, thread_id: str) -> None:
        """Delete what is too old of a thread at the runtime's store; savers that were given are their owners'."""
        given = None if self.store is None else self.store.settings
        turns = (given or StoreSettings()).checkpoint_history
        if not self._follows_store or turns is None:
            return
        try:
            await self._savers[agent_name].trim(thread_id, turns)
        except CopilotKitError as error:
            # The run itself is kept; its thread's next one deletes what stayed.
            log.warning("langgraph_history_not_trimmed", agent=agent_name, thread_id=thread_id, exc_info=error)

    @asynccontextmanager
    async def _saver_of(self, agent_name: str, thread_id: str) -> AsyncGenerator[BaseCheckpointSaver[Any]]:
        """Return where the agent's threads are kept; a factory is called if its checkpointer is not known yet."""
        agent, shared = self._agents[agent_name], self._savers[agent_name]
        if not agent.may_build_own:
            yield agent.own_checkpointer or shared
            return
        memory = OwnedMemory(self._memory, None)
        async with agent.open(RunContext(), _thread_configuration(thread_id), shared, memory) as (graph, _):
            own = graph.checkpointer
            yield own if isinstance(own, BaseCheckpointSaver) else shared

    @asynccontextmanager
    async def _open(
        self, agent_name: str, context: RunContext, config: RunnableConfig
    ) -> AsyncIterator[tuple[Graph, GraphSchema]]:
        agent = self._agents[agent_name]
        memory = OwnedMemory(self._memory, context.identity)
        async with agent.open(context, config, self._savers[agent_name], memory) as opened:
            yield opened


def _stream(graph: Graph, context: Any) -> Callable[[RunPlan], AsyncGenerator[StreamPart, None]]:
    def start(plan: RunPlan) -> AsyncGenerator[StreamPart, None]:
        stream = graph.astream(plan.input, plan.config, context=context, stream_mode=STREAM_MODES, subgraphs=True)
        return cast("AsyncGenerator[StreamPart, None]", stream)

    return start


def _check_saver(saver: Any) -> None:
    if not isinstance(saver, BaseCheckpointSaver):
        raise ConfigurationError(
            f"LangGraphProvider's checkpointer is a {type(saver).__name__}, not a saver. `from_conn_string` returns a"
            " context manager: pass what entering it returns, or leave the checkpointer out: then threads are kept"
            " where the runtime's store is."
        )


def _thread_configuration(thread_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id}}


def _saver_settings(store: StateStore | None) -> StoreSettings | None:
    """Return the store's settings without its time to live: a thread's record decides when the thread is over."""
    given = None if store is None else store.settings
    return given and msgspec.structs.replace(given, ttl=None)
