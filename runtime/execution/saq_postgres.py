"""SAQ's queue on PostgreSQL, with one round trip to put a job and one to take it: between the two somebody waits."""

from __future__ import annotations

from psycopg import sql
from saq import Job, Status
from saq.queue.postgres import ENQUEUE, PostgresQueue
from saq.utils import now_seconds
from typing_extensions import override

_PUT = """
    WITH put AS (
        INSERT INTO {jobs} (key, job, queue, status, priority, scheduled)
        VALUES (%(key)s, %(job)s, %(queue)s, %(status)s, %(priority)s, %(now)s) RETURNING key
    )
    SELECT pg_notify(%(channel)s, %(note)s) FROM put
"""
_TAKE = """
    WITH next AS (
        SELECT key FROM {jobs} WHERE status = 'queued' AND queue = %(queue)s AND scheduled <= %(now)s
        ORDER BY priority, scheduled, lock_key LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE {jobs} AS jobs SET status = 'active' FROM next WHERE jobs.key = next.key RETURNING lock_key, job
    )
    SELECT job FROM taken ORDER BY lock_key
"""


class PromptQueue(PostgresQueue):
    """A queue of jobs with keys of their own, from which each process takes with one task at a time.

    SAQ takes a job in seven round trips: it also writes down when, and notifies tasks that wait beside the one that
    took it. Here a job is put with that time, and there are no such tasks.
    """

    @override
    async def _enqueue(self, job: Job) -> Job | None:
        given = {
            "key": job.key,
            "job": self.serialize(job),
            "queue": self.name,
            "status": job.status,
            "priority": job.priority,
            "now": int(now_seconds()),
            "channel": self._channel,
            "note": ENQUEUE,
        }
        async with self.pool.connection() as connection:
            await connection.execute(self._on_jobs(_PUT), given)
        return job

    @override
    async def _dequeue(self) -> None:
        if self._dequeue_lock.locked():
            return
        async with self._dequeue_lock, self.pool.connection() as connection:
            if not self._waiting:
                return
            wanted = {"queue": self.name, "now": now_seconds(), "limit": self._waiting}
            cursor = await connection.execute(self._on_jobs(_TAKE), wanted)
            for (serialized,) in await cursor.fetchall():
                self._job_queue.put_nowait(self.deserialize(serialized, Status.ACTIVE))

    def _on_jobs(self, statement: str) -> sql.Composed:
        return sql.SQL(statement).format(jobs=self.jobs_table)
