"""The framework's SQLite saver, which can delete old checkpoints."""

from __future__ import annotations

import json

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from ...runtime.stores.sqlite_database import translated
from .checkpoint_history import ListedCheckpoint, expired

_LIST = "SELECT checkpoint_ns, checkpoint_id, parent_checkpoint_id, metadata FROM checkpoints WHERE thread_id = ?"
_DELETE = (
    "DELETE FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?",
    "DELETE FROM writes WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?",
)


class TrimmedSqliteSaver(AsyncSqliteSaver):
    """Keeps checkpoints in SQLite. The room of those deleted is used again; the file does not shrink."""

    async def trim(self, thread_id: str, turns: int) -> None:
        """Delete the checkpoints that neither the newest one nor the last ``turns`` turns need."""
        with translated():
            async with self.lock:
                await self._trim(thread_id, turns)

    async def _trim(self, thread_id: str, turns: int) -> None:
        try:
            async with self.conn.execute(_LIST, (thread_id,)) as found:
                listed = [
                    ListedCheckpoint(namespace, id_, parent_id, json.loads(metadata or b"{}"))
                    for namespace, id_, parent_id, metadata in await found.fetchall()
                ]
            rows = [(thread_id, each.namespace, each.id) for each in expired(listed, turns)]
            for statement in _DELETE if rows else ():
                await self.conn.executemany(statement, rows)
            await self.conn.commit()
        except BaseException:
            await self.conn.rollback()
            raise
