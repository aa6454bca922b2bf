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
        VALUES (%(key)s, %(job)s, %(queue)s, %(status)s, %(priority)s, %(now)s)
        ON CONFLICT (key) DO NOTHING RETURNING key
    )
    SELECT pg_notify(%(channel)s, %(note)s) FROM put
"""
_TAKE = """
    WITH next AS (
        SELECT key FROM {jobs} WHERE status = 'queued' AND queue = %(queue)s AND scheduled <= %(now)s
        ORDER BY priority, scheduled, lock_key LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE {jobs} AS jobs SET status = 'active', scheduled = %(now)s
        FROM next WHERE jobs.key = next.key RETURNING lock_key, job
    )
    SELECT job FROM taken ORDER BY lock_key
"""
_GIVE_AGAIN = """
    WITH late AS (
        UPDATE {jobs} SET status = 'queued'
        WHERE queue = %(queue)s AND status IN ('active', 'aborting') AND scheduled <= %(now)s - %(seconds)s
        RETURNING key
    )
    SELECT pg_notify(%(channel)s, %(note)s) FROM late LIMIT 1
"""
_GIVE_BACK = """
    WITH given AS (
        UPDATE {jobs} SET status = 'queued', scheduled = 0
        WHERE key = %(key)s AND status IN ('active', 'aborting') RETURNING key
    )
    SELECT pg_notify(%(channel)s, %(note)s) FROM given
"""
_FORGET = """
    WITH unseen AS (DELETE FROM {stats} WHERE expire_at <= %(now)s)
    DELETE FROM {jobs} WHERE queue = %(queue)s AND (
        expire_at <= %(now)s OR (status <> 'queued' AND expire_at IS NULL AND scheduled <= %(now)s - %(seconds)s)
    )
"""


class PromptQueue(PostgresQueue):
    """A queue of jobs with keys of their own, from which each process takes with one task at a time.

    SAQ takes a job in seven round trips: it also writes down when, and notifies tasks that wait beside the one that
    took it. Here a job is put with that time, and there are no such tasks. What a process took and lost is delivered
    again by any other one: SAQ lets only the process do that which began to, for as long as its connection seems to be
    there, and that of a machine which was cut off seems so for hours.
    """

    async def give_again(self, seconds: int) -> None:
        """Put back what was taken more than ``seconds`` ago and is not done."""
        given = {"queue": self.name, "now": int(now_seconds()), "seconds": seconds, "channel": self._channel}
        async with self.pool.connection() as connection:
            await connection.execute(self._on_tables(_GIVE_AGAIN), {**given, "note": ENQUEUE})

    async def forget(self, seconds: int) -> None:
        """Remove jobs whose results nobody has fetched, and those that were taken more than ``seconds`` ago."""
        given = {"queue": self.name, "now": int(now_seconds()), "seconds": seconds}
        async with self.pool.connection() as connection:
            await connection.execute(self._on_tables(_FORGET), given)

    async def give_back(self, job: Job) -> None:
        """Put a job that was taken at the head of the queue."""
        given = {"key": job.key, "channel": self._channel, "note": ENQUEUE}
        async with self.pool.connection() as connection:
            await connection.execute(self._on_tables(_GIVE_BACK), given)

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
            await connection.execute(self._on_tables(_PUT), given)
        return job

    @override
    async def _dequeue(self) -> None:
        if self._dequeue_lock.locked():
            return
        async with self._dequeue_lock, self.pool.connection() as connection:
            if not self._waiting:
                return
            wanted = {"queue": self.name, "now": int(now_seconds()), "limit": self._waiting}
            cursor = await connection.execute(self._on_tables(_TAKE), wanted)
            for (serialized,) in await cursor.fetchall():
                self._job_queue.put_nowait(self.deserialize(serialized, Status.ACTIVE))

    def _on_tables(self, statement: str) -> sql.Composed:
        return sql.SQL(statement).format(jobs=self.jobs_table, stats=self.stats_table)
