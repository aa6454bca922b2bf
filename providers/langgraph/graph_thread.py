"""A thread's checkpoints, wherever the graph runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.constants import END, START
from langgraph.types import StateSnapshot

from .schema import Graph

NO_TASK = "00000000-0000-0000-0000-000000000000"
PREVIOUS: Final = "__previous__"


class GraphThread(Protocol):
    """The graph's memory, as far as planning a run needs it."""

    @property
    def passes_objects(self) -> bool:
        """Whether what a run is given reaches the graph as objects, and not as their JSON."""

    @property
    def remembers(self) -> bool:
        """Whether there are checkpoints at all."""

    async def state(self, config: RunnableConfig) -> StateSnapshot:
        """Return the checkpoint that ``config`` names, or the thread's latest; without values if it has none."""

    async def update(self, config: RunnableConfig, values: Mapping[str, Any], node_name: str) -> None:
        """Write a checkpoint as if ``node_name`` had returned ``values``."""

    async def written(self, snapshot: StateSnapshot) -> frozenset[str]:
        """Return the keys that came with an earlier answer on this checkpoint; each takes one value until the next."""

    async def settle(self, config: RunnableConfig, snapshot: StateSnapshot) -> bool:
        """Commit what the finished tasks of a step wrote whose other tasks did not end; true if there was any."""

    async def inputs(self, snapshot: StateSnapshot) -> tuple[Any, Any]:
        """Return what a functional workflow saved, and the input on which it still works, or None."""

    async def at_breakpoint(self, snapshot: StateSnapshot) -> bool:
        """Return whether the graph stopped at a static breakpoint before its next nodes."""

    async def waits_behind(self, node_name: str, snapshot: StateSnapshot) -> bool:
        """Return whether the graph stopped at a static breakpoint, to go on behind ``node_name``."""


class LocalThread:
    """The thread of a graph in this process.

    Args:
        graph: The graph.
    """

    passes_objects = True

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    @property
    def remembers(self) -> bool:
        """Whether the graph has a checkpointer."""
        return bool(self._graph.checkpointer)

    async def state(self, config: RunnableConfig) -> StateSnapshot:
        """Return the graph's own answer."""
        return await self._graph.aget_state(config)

    async def update(self, config: RunnableConfig, values: Mapping[str, Any], node_name: str) -> None:
        """Have the graph write the checkpoint."""
        await self._graph.aupdate_state(config, dict(values), as_node=node_name)

    async def written(self, snapshot: StateSnapshot) -> frozenset[str]:
        """Look at the checkpoint's pending writes that belong to no task."""
        kept = await self._kept(snapshot)
        writes = (kept.pending_writes or ()) if kept is not None else ()
        return frozenset(channel for task_id, channel, _ in writes if task_id == NO_TASK)

    async def settle(self, config: RunnableConfig, snapshot: StateSnapshot) -> bool:
        """Have the graph end the step with what its tasks wrote: a new input would drop it."""
        if not any(task.result is not None for task in snapshot.tasks):
            return False
        await self._graph.aupdate_state(config, None, as_node=END)
        return True

    async def inputs(self, snapshot: StateSnapshot) -> tuple[Any, Any]:
        """Look at the channels of the functional API, which no state shows."""
        kept = await self._kept(snapshot)
        values = kept.checkpoint["channel_values"] if kept is not None else {}
        return values.get(PREVIOUS), values.get(START)

    async def _kept(self, snapshot: StateSnapshot) -> CheckpointTuple | None:
        saver = self._graph.checkpointer
        if not isinstance(saver, BaseCheckpointSaver) or snapshot.created_at is None:
            return None
        return await saver.aget_tuple(snapshot.config)

    async def at_breakpoint(self, snapshot: StateSnapshot) -> bool:
        """Look at the breakpoints that the graph was compiled with."""
        before = self._graph.interrupt_before_nodes
        return before == "*" or bool(set(before).intersection(snapshot.next))

    async def waits_behind(self, node_name: str, snapshot: StateSnapshot) -> bool:
        """Look at the breakpoints that the graph was compiled with."""
        if node_name not in self._graph.nodes:
            return False
        before, after = self._graph.interrupt_before_nodes, self._graph.interrupt_after_nodes
        return "*" in (before, after) or bool(set(before).intersection(snapshot.next)) or node_name in after
