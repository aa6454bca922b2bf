"""Checkpoints of many agents in one saver, each agent's threads apart from the others'."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)

from ...runtime.runs.fence import check_fence, pass_fence
from .checkpoint_history import TrimsHistory

if TYPE_CHECKING:
    from langgraph.checkpoint.base import DeltaChannelHistory  # since 4.1


class AgentCheckpoints(BaseCheckpointSaver[Any]):
    """One agent's part of a shared saver. Runs that have let go of their thread write nothing to it.

    Agents of one client share its thread id, but not their state. The graph sees the client's thread id; the
    saver sees one that also names the agent. No two agents and threads make the same name, whatever theirs hold.

    Args:
        saver: Where all agents' checkpoints are kept.
        agent_name: Whose part this is.
    """

    def __init__(self, saver: BaseCheckpointSaver[Any], agent_name: str) -> None:
        super().__init__(serde=saver.serde)
        self._saver = saver
        self._agent_name = agent_name
        self._prefix = agent_name.replace("%", "%25").replace(":", "%3A") + ":"

    @property
    def config_specs(self) -> list[Any]:
        """The saver's own configuration."""
        return self._saver.config_specs

    def get_next_version(self, current: Any, channel: None) -> Any:
        """Return the saver's own numbering."""
        return self._saver.get_next_version(current, channel)

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> AgentCheckpoints:
        """Return the same part of the saver with more types allowed in its checkpoints."""
        return AgentCheckpoints(self._saver.with_allowlist(extra_allowlist), self._agent_name)

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint, or None."""
        return self._outer_tuple(self._saver.get_tuple(self._inner(config)))

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint, or None."""
        return self._outer_tuple(await self._saver.aget_tuple(self._inner(config)))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Yield checkpoints, newest first."""
        inner, inner_before = config and self._inner(config), before and self._inner(before)
        for found in self._saver.list(inner, filter=filter, before=inner_before, limit=limit):
            yield self._outer_present(found)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints, newest first."""
        inner, inner_before = config and self._inner(config), before and self._inner(before)
        async for found in self._saver.alist(inner, filter=filter, before=inner_before, limit=limit):
            yield self._outer_present(found)

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint."""
        check_fence()
        return self._outer(self._saver.put(self._inner(config), checkpoint, metadata, new_versions))

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint."""
        await pass_fence()
        return self._outer(await self._saver.aput(self._inner(config), checkpoint, metadata, new_versions))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep a task's writes."""
        check_fence()
        self._saver.put_writes(self._inner(config), writes, task_id, task_path)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep a task's writes."""
        await pass_fence()
        await self._saver.aput_writes(self._inner(config), writes, task_id, task_path)

    def delete_thread(self, thread_id: str) -> None:
        """Delete a thread."""
        self._saver.delete_thread(self._prefix + thread_id)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread."""
        await self._saver.adelete_thread(self._prefix + thread_id)

    async def trim(self, thread_id: str, turns: int) -> None:
        """Delete old checkpoints of a thread, if the saver can (``TrimsHistory``)."""
        if isinstance(self._saver, TrimsHistory):
            await self._saver.trim(self._prefix + thread_id, turns)

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return what the saver has of a delta channel's past."""
        return self._saver.get_delta_channel_history(config=self._inner(config), channels=channels)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return what the saver has of a delta channel's past."""
        return await self._saver.aget_delta_channel_history(config=self._inner(config), channels=channels)

    def _inner(self, config: RunnableConfig) -> RunnableConfig:
        thread_id = config["configurable"].get("thread_id")
        return config if thread_id is None else _with_thread(config, f"{self._prefix}{thread_id}")

    def _outer(self, config: RunnableConfig) -> RunnableConfig:
        return _with_thread(config, str(config["configurable"]["thread_id"]).removeprefix(self._prefix))

    def _outer_tuple(self, found: CheckpointTuple | None) -> CheckpointTuple | None:
        return found and self._outer_present(found)

    def _outer_present(self, found: CheckpointTuple) -> CheckpointTuple:
        parent = found.parent_config and self._outer(found.parent_config)
        return found._replace(config=self._outer(found.config), parent_config=parent)


class OwnCheckpoints(AgentCheckpoints):
    """A saver that a graph brings itself, as it is for a run: whole, and behind the run's fence."""

    def __init__(self, saver: BaseCheckpointSaver[Any]) -> None:
        super().__init__(saver, "")
        self._prefix = ""

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> OwnCheckpoints:
        """Return the same saver with more types allowed in its checkpoints."""
        return type(self)(self._saver.with_allowlist(extra_allowlist))


def _with_thread(config: RunnableConfig, thread_id: str) -> RunnableConfig:
    return {**config, "configurable": {**config["configurable"], "thread_id": thread_id}}


async def read_from(saver: BaseCheckpointSaver[Any], config: RunnableConfig) -> CheckpointTuple | None:
    """Read a thread's newest checkpoint, from a saver that may only be synchronous."""
    try:
        return await saver.aget_tuple(config)
    except NotImplementedError:
        return await asyncio.to_thread(saver.get_tuple, config)


async def delete_from(saver: BaseCheckpointSaver[Any], thread_id: str) -> None:
    """Delete a thread, from a saver that may only be synchronous."""
    try:
        await saver.adelete_thread(thread_id)
    except NotImplementedError:
        await asyncio.to_thread(saver.delete_thread, thread_id)
