"""SAQ as the engine, on Redis or PostgreSQL.

Only its queues are used. Its worker would take the process's signals and cancel what it runs when it ends; ours drains.
A job ends as soon as the run has been claimed: the lease of the run, and not the job's, decides who works on it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from ..optional import optional
from ..stores.errors import StoreUnavailableError
from ..stores.run_records import RunKey
from ..stores.urls import POSTGRES_SCHEMES, scheme_of
from .engine import CallDelivery, CallFailedError, Card, QueueEngine, TicketDelivery

if TYPE_CHECKING:
    from psycopg import AsyncConnection

with optional("The execution of runs in a queue", "queue", package="saq"):
    from saq import Job, Queue, Status
    from saq.utils import now

_SERVER_ERRORS: tuple[type[Exception], ...] = (OSError,)
with suppress(ImportError):
    from redis.exceptions import RedisError

    _SERVER_ERRORS = (*_SERVER_ERRORS, RedisError)
with suppress(ImportError):
    from psycopg import Error
    from psycopg_pool import PoolTimeout

    _SERVER_ERRORS = (*_SERVER_ERRORS, Error, PoolTimeout)

RUN, CALL = "run", "call"
TAKEN_SECONDS = 10
"""After how long a job is delivered again whose taker did not report that it is done."""
RETRIES = 1000
ANSWER_SECONDS = 30
"""How long an answer waits for who asked."""
_POLL_SECONDS = 0.02
_LOOK_SECONDS = 1.0
"""How often a PostgreSQL queue is looked at: SAQ misses what is put there between its look and its waiting for news."""
_CARDS = "workers"
_MOST_CONNECTIONS = 8


class _Ticket(TicketDelivery):
    def __init__(self, key: RunKey, queue: Queue, job: Job) -> None:
        super().__init__(key)
        self._queue, self._job = queue, job

    @override
    async def done(self) -> None:
        with _translated():
            await self._queue.finish(self._job, Status.COMPLETE)


class _Call(CallDelivery):
    def __init__(self, body: str, queue: Queue, job: Job) -> None:
        super().__init__(body)
        self._queue, self._job = queue, job

    @override
    async def done(self) -> None:
        with _translated():
            await self._queue.finish(self._job, Status.FAILED, error="not answered")

    @override
    async def answer(self, body: str) -> None:
        with _translated():
            await self._queue.finish(self._job, Status.COMPLETE, result=body)


class SaqEngine(QueueEngine):
    """Carries runs in SAQ's queues: lists on Redis, a table with LISTEN and NOTIFY on PostgreSQL.

    PostgreSQL need not have what is done here on its disk before it confirms it: what it forgets of deliveries is
    delivered again, and done once all the same; and who puts a run settles it with the store, which is on that server.

    Args:
        url: The store's URL.
        prefix: What the names of all queues begin with.

    Raises:
        MissingExtraError: SAQ is not installed.
    """

    def __init__(self, url: str, prefix: str) -> None:
        self._url = url
        self._prefix = prefix
        self._queues: dict[str, Queue] = {}
        self._connecting = asyncio.Lock()
        self._pool: Any = None
        self._listening: set[str] = set()

    @override
    async def start(self) -> None:
        if scheme_of(self._url) in POSTGRES_SCHEMES:
            from psycopg_pool import AsyncConnectionPool

            from ..stores.postgres_database import ConnectionCheck

            self._pool = AsyncConnectionPool(
                self._url,
                min_size=1,
                max_size=_MOST_CONNECTIONS,
                open=False,
                kwargs={"autocommit": True},
                configure=_without_waiting_for_disks,
                check=ConnectionCheck(),
            )
            with _translated():
                await self._pool.open()
        await self._queue(_CARDS)

    @override
    async def stop(self) -> None:
        for queue in self._queues.values():
            await queue.disconnect()
        self._queues.clear()
        self._listening.clear()
        if self._pool is not None:
            await self._pool.close()

    @override
    async def put(self, queue: str, key: RunKey) -> None:
        opened = await self._queue(queue)
        with _translated():
            await opened.enqueue(
                RUN,
                thread=key.thread_id,
                number=key.number,
                started=now(),
                timeout=TAKEN_SECONDS,
                retries=RETRIES,
                ttl=-1,
            )

    @override
    async def waiting(self, queue: str) -> int:
        opened = await self._queue(queue)
        with _translated():
            return await opened.count("queued")

    @override
    async def take(self, queue: str, seconds: float) -> TicketDelivery | None:
        opened = await self._queue(queue)
        job = await self._next(opened, seconds)
        if job is None:
            return None
        given = job.kwargs or {}
        return _Ticket(RunKey(given["thread"], given["number"]), opened, job)

    @override
    async def call(self, queue: str, body: str, seconds: float) -> str:
        opened = await self._queue(_calls(queue))
        try:
            with _translated():
                answer: str = await opened.apply(
                    CALL,
                    timeout=seconds,
                    poll_interval=_POLL_SECONDS,
                    body=body,
                    started=now(),
                    ttl=ANSWER_SECONDS,
                    retries=1,
                )
        except StoreUnavailableError:
            raise
        except Exception as error:
            raise CallFailedError(queue) from error
        return answer

    @override
    async def take_call(self, queue: str, seconds: float) -> CallDelivery | None:
        opened = await self._queue(_calls(queue))
        job = await self._next(opened, seconds)
        return None if job is None else _Call((job.kwargs or {})["body"], opened, job)

    @override
    async def publish(self, card: Card, seconds: float) -> None:
        opened = await self._queue(_CARDS)
        info: Any = {"stats": None, "queue_key": opened.name, "metadata": {"card": card.body}}
        with _translated():
            await opened.write_worker_info(card.worker, info, max(1, round(seconds)))

    @override
    async def cards(self) -> Sequence[Card]:
        opened = await self._queue(_CARDS)
        with _translated():
            workers = (await opened.info())["workers"]
        return [Card(name, _metadata(info)["card"]) for name, info in workers.items()]

    @override
    async def redeliver(self, queue: str) -> None:
        for name in (queue, _calls(queue)):
            opened = await self._queue(name)
            with _translated():
                await opened.sweep(lock=TAKEN_SECONDS, abort=0.1)

    async def _next(self, queue: Queue, seconds: float) -> Job | None:
        await self._keep_listening(queue)
        clock = asyncio.get_running_loop().time
        deadline = clock() + seconds
        while True:
            left = deadline - clock()
            job = await self._dequeued(queue, left if self._pool is None else min(left, _LOOK_SECONDS))
            if job is not None or clock() >= deadline:
                return job

    @staticmethod
    async def _dequeued(queue: Queue, seconds: float) -> Job | None:
        task = asyncio.current_task()
        with _translated():
            try:
                job = await queue.dequeue(timeout=max(seconds, 0.001))  # it takes 0 for ever
            except TimeoutError:
                return None
        if job is None and task is not None and task.cancelling():
            raise asyncio.CancelledError  # which SAQ swallowed
        return job

    async def _keep_listening(self, queue: Queue) -> None:
        # Else SAQ listens anew for each job, and misses what is put into the queue until it does.
        if self._pool is not None and queue.name not in self._listening:
            self._listening.add(queue.name)
            await queue._listener.subscribe("")  # type: ignore[attr-defined]  # noqa: SLF001

    async def _queue(self, name: str) -> Queue:
        if name not in self._queues:
            async with self._connecting:
                if name not in self._queues:
                    self._queues[name] = await self._connected(f"{self._prefix}.{name}")
        return self._queues[name]

    async def _connected(self, name: str) -> Queue:
        if self._pool is None:
            queue = Queue.from_url(self._url, name=name)
            with _translated():
                await queue.connect()
            return queue
        return await self._connected_postgres(name)

    async def _connected_postgres(self, name: str) -> Queue:
        from .saq_postgres import PromptQueue

        queue = PromptQueue(pool=self._pool, name=name)
        with _translated():
            async with self._pool.connection() as connection, connection.transaction():
                # SAQ makes its tables in one process and lets the others go on without them meanwhile.
                await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('copilotkit queue', 0))")
                await queue.connect()
        return queue


async def _without_waiting_for_disks(connection: AsyncConnection) -> None:
    await connection.execute("SET synchronous_commit TO off")


def _calls(queue: str) -> str:
    return f"{queue}.calls"


def _metadata(info: Any) -> dict[str, Any]:
    found = info["metadata"]
    decoded: dict[str, Any] = json.loads(found) if isinstance(found, str) else found
    return decoded


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise
    except _SERVER_ERRORS as error:
        raise StoreUnavailableError from error
