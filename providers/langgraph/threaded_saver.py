"""Savers without asynchronous methods, for graphs that run asynchronously."""

from __future__ import annotations

import asyncio
import sqlite3
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

from ...runtime.errors import ConfigurationError
from .checkpoints import OwnCheckpoints

if TYPE_CHECKING:
    from langgraph.checkpoint.base import DeltaChannelHistory  # since 4.1

_HOW = (
    "Open it outside of a `with` that ends before the server begins, for SQLite with"
    " sqlite3.connect(path, check_same_thread=False); or compile the graph without a saver: then its threads are kept"
    " where the runtime's store is."
)


class ThreadedSaver(OwnCheckpoints):
    """A saver of which each asynchronous method does the synchronous one's work in a thread.

    Args:
        saver: The saver; its synchronous methods have to bear being called from several threads.
    """

    def check_connection(self) -> None:
        """Check that the connection can be used in threads. Call it in another one than that which made the saver.

        Raises:
            ConfigurationError: It cannot, as far as that can be seen without using it.
        """
        connection = getattr(self._saver, "conn", None)
        kind = type(self._saver).__name__
        if isinstance(connection, sqlite3.Connection):
            try:
                connection.cursor().close()
            except sqlite3.ProgrammingError as error:
                raise ConfigurationError(f"The connection of a {kind} cannot be used: {error} {_HOW}") from error
        elif getattr(connection, "closed", False) is True:
            raise ConfigurationError(f"The connection of a {kind} cannot be used: it is closed. {_HOW}")

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


def asynchronous(saver: BaseCheckpointSaver[Any]) -> BaseCheckpointSaver[Any]:
    """Return the saver, or what runs it in threads if it has synchronous methods only."""
    return ThreadedSaver(saver) if _runs_synchronously(saver) else saver


def _runs_synchronously(saver: BaseCheckpointSaver[Any]) -> bool:
    """Return whether a saver has synchronous methods only, or asynchronous ones that refuse (``SqliteSaver``)."""
    kind = type(saver)
    inherits = kind.aget_tuple is BaseCheckpointSaver.aget_tuple
    refuses = any(each.__module__ == "langgraph.checkpoint.sqlite" for each in kind.__mro__)
    return kind.get_tuple is not BaseCheckpointSaver.get_tuple and (inherits or refuses)
