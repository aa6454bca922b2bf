"""Savers without asynchronous methods, for graphs that run asynchronously."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)

from .checkpoints import OwnCheckpoints

if TYPE_CHECKING:
    from langgraph.checkpoint.base import DeltaChannelHistory  # since 4.1


class ThreadedSaver(OwnCheckpoints):
    """A saver of which each asynchronous method does the synchronous one's work in a thread.

    Args:
        saver: The saver; its synchronous methods have to bear being called from several threads.
    """

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return what the saver has of a delta channel's past."""
        return await asyncio.to_thread(self.get_delta_channel_history, config=config, channels=channels)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint, or None."""
        return await asyncio.to_thread(self.get_tuple, config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints, newest first."""

        def listed() -> Sequence[CheckpointTuple]:
            return [*self.list(config, filter=filter, before=before, limit=limit)]

        for found in await asyncio.to_thread(listed):
            yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint."""
        return await asyncio.to_thread(self.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep a task's writes."""
        await asyncio.to_thread(self.put_writes, config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Forget a thread."""
        await asyncio.to_thread(self.delete_thread, thread_id)


def runs_synchronously(saver: BaseCheckpointSaver[Any]) -> bool:
    """Return whether a saver has synchronous methods only, or asynchronous ones that refuse (``SqliteSaver``)."""
    kind = type(saver)
    inherits = kind.aget_tuple is BaseCheckpointSaver.aget_tuple
    refuses = any(each.__module__ == "langgraph.checkpoint.sqlite" for each in kind.__mro__)
    return kind.get_tuple is not BaseCheckpointSaver.get_tuple and (inherits or refuses)
