"""SAQ as the engine, on Redis or PostgreSQL.

Only its queues are used. Its worker would take the process's signals and cancel what it runs when it ends; ours drains.
A job ends as soon as the run has been claimed: the lease of the run, and not the job's, decides who works on it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from math import ceil
from typing import TYPE_CHECKING, Any, cast

import structlog
from typing_extensions import override

from ..optional import optional
from ..per_loop import PerLoop
from ..stores.errors import StoreUnavailableError
from ..stores.run_records import RunKey
from ..stores.settings import StoreSettings
from ..stores.urls import POSTGRES_SCHEMES, scheme_of
from .engine import CallDelivery, CallFailedError, Card, QueueEngine, TicketDelivery

if TYPE_CHECKING:
    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool
    from saq.queue.postgres import ListenMultiplexer

    from .saq_postgres import PromptQueue
    from .saq_redis import SteadyQueue

with optional("The execution of runs in a queue", "queue", package="saq"):
    from saq import Job, Queue, Status
    from saq.job import TERMINAL_STATUSES
    from saq.utils import now

_SERVER_ERRORS: tuple[type[Exception], ...] = (OSError,)
with suppress(ImportError):
    from redis.exceptions import RedisError

    _SERVER_ERRORS = (*_SERVER_ERRORS, RedisError)
with suppress(ImportError):
    from psycopg import Error
    from psycopg_pool import PoolTimeout

    _SERVER_ERRORS = (*_SERVER_ERRORS, Error, PoolTimeout)

log = structlog.get_logger(__name__)

RUN, CALL = "run", "call"
TAKEN_SECONDS = 10
"""After how long a job is delivered again whose taker did not report that it is done."""
ANSWER_SECONDS = 30
"""How long an answer is kept for its caller."""
_POLL_SECONDS = 0.02
_LOOK_SECONDS = 1.0
"""How often a PostgreSQL queue is looked at: SAQ misses what is put there between its look and its waiting for news."""
_CARDS = "workers"
_MOST_CONNECTIONS = 8


class _Connections:
    """What belongs to one loop; that of a loop that has ended is left to the garbage collector."""

    def __init__(self) -> None:
        self.queues: dict[str, PromptQueue | SteadyQueue] = {}
        self.connecting = asyncio.Lock()
        self.pool: AsyncConnectionPool | None = None
        self.listening: set[str] = set()


class _Taken:
    """A job that was taken from a queue.

    Args:
        queue: The queue.
        job: The job.
        limit: How many seconds the server may take to answer.
    """

    def __init__(self, queue: PromptQueue | SteadyQueue, job: Job, limit: float) -> None:
        self._queue, self._job, self._limit = queue, job, limit

    async def finish(self, status: Status, **outcome: str) -> None:
        """Report how it went."""
        async with _answered(self._limit):
            await self._queue.finish(self._job, status, **outcome)

    async def give_back(self) -> None:
        """Put it back into the queue."""
        async with _answered(self._limit):
            await self._queue.give_back(self._job)


class _Ticket(TicketDelivery):
    def __init__(self, key: RunKey, taken: _Taken) -> None:
        super().__init__(key)
        self._taken = taken

    @override
    async def done(self) -> None:
        await self._taken.finish(Status.COMPLETE)

    @override
    async def give_back(self) -> None:
        await self._taken.give_back()


class _Call(CallDelivery):
    def __init__(self, body: str, taken: _Taken) -> None:
        super().__init__(body)
        self._taken = taken

    @override
    async def done(self) -> None:
        await self._taken.finish(Status.FAILED, error="not answered")

    @override
    async def answer(self, body: str) -> None:
        await self._taken.finish(Status.COMPLETE, result=body)


class SaqEngine(QueueEngine):
    """Carries runs in SAQ's queues: lists on Redis, a table with LISTEN and NOTIFY on PostgreSQL.

    PostgreSQL need not have what is done here on its disk before it confirms it: what it forgets of deliveries is
    delivered again, and done once all the same; and who puts a run settles it with the store, which is on that server.

    Args:
        url: The store's URL.
        prefix: What the names of all queues begin with.
        settings: How long connections and commands may take.

    Raises:
        ConfigurationError: libpq cannot read the URL.
        MissingExtraError: SAQ is not installed.
    """

    def __init__(self, url: str, prefix: str, settings: StoreSettings | None = None) -> None:
        self._url = url
        self._settings = settings or StoreSettings()
        self._limit = self._settings.command_timeout
        self._prefix = prefix
        self._on_loop = PerLoop(_Connections)
        self._has_pool = scheme_of(url) in POSTGRES_SCHEMES

    @override
    async def start(self) -> None:
        await self._queue(_CARDS)

    @override
    async def stop(self) -> None:
        here = self._on_loop.here
        for queue in here.queues.values():
            await queue.disconnect()
        here.queues.clear()
        here.listening.clear()
        if here.pool is not None:
            await here.pool.close()
            here.pool = None

    @override
    async def put(self, queue: str, key: RunKey) -> None:
        opened = await self._queue(queue)
        async with _answered(self._limit):
            await opened.enqueue(
                RUN,
                key=_job_key(opened.name, key),
                thread=key.thread_id,
                number=key.number,
                started=now(),
                timeout=TAKEN_SECONDS,
                ttl=-1,
            )

    @override
    async def waiting(self, queue: str) -> int:
        opened = await self._queue(queue)
        async with _answered(self._limit):
            return await opened.count("queued")

    @override
    async def take(self, queue: str, seconds: float) -> TicketDelivery | None:
        opened = await self._queue(queue)
        job = await self._next(opened, seconds)
        if job is None:
            return None
        key, taken = _run_of(job), _Taken(opened, job, self._limit)
        if key is None:
            await self._drop(taken, job)
            return None
        return _Ticket(key, taken)

    @override
    async def call(self, queue: str, body: str, seconds: float) -> str:
        opened = await self._queue(_calls(queue))
        clock = asyncio.get_running_loop().time
        deadline = clock() + seconds
        async with _answered(self._limit):
            job = await opened.enqueue(
                CALL, timeout=ceil(seconds), body=body, started=now(), ttl=ANSWER_SECONDS, retries=1
            )
        while job is not None and job.status not in TERMINAL_STATUSES and clock() < deadline:
            await asyncio.sleep(_POLL_SECONDS)  # by hand, for SAQ waits in a task whose cancellation may get lost
            async with _answered(self._limit):
                job = await opened.job(job.key)
        if job is None or job.status is not Status.COMPLETE:  # not there: the server has crashed, and forgotten it
            raise CallFailedError(queue)
        answer: str = job.result
        return answer

    @override
    async def take_call(self, queue: str, seconds: float) -> CallDelivery | None:
        opened = await self._queue(_calls(queue))
        job = await self._next(opened, seconds)
        if job is None:
            return None
        body, taken = (job.kwargs or {}).get("body"), _Taken(opened, job, self._limit)
        if not isinstance(body, str):
            await self._drop(taken, job)
            return None
        return _Call(body, taken)

    @override
    async def publish(self, card: Card, seconds: float) -> None:
        opened = await self._queue(_CARDS)
        info: Any = {"stats": None, "queue_key": opened.name, "metadata": {"card": card.body}}
        async with _answered(self._limit):
            await opened.write_worker_info(card.worker, info, max(1, round(seconds)))

    @override
    async def cards(self) -> Sequence[Card]:
        opened = await self._queue(_CARDS)
        async with _answered(self._limit):
            workers = (await opened.info())["workers"]
        return [Card(name, _metadata(info)["card"]) for name, info in workers.items()]

    @override
    async def redeliver(self, queue: str) -> None:
        runs, calls = await self._queue(queue), await self._queue(_calls(queue))
        async with _answered(self._limit):
            await runs.give_again(TAKEN_SECONDS)
            await calls.forget(ANSWER_SECONDS)

    async def _drop(self, taken: _Taken, job: Job) -> None:
        log.warning("job_not_readable", queue=job.queue.name if job.queue else "", job=str(job.key)[:200])
        await taken.finish(Status.FAILED, error="not readable")

    async def _next(self, queue: Queue, seconds: float) -> Job | None:
        clock = asyncio.get_running_loop().time
        deadline = clock() + seconds
        while True:
            await self._keep_listening(queue)
            left = deadline - clock()
            job = await self._dequeued(queue, min(left, _LOOK_SECONDS) if self._has_pool else left)
            left = deadline - clock()
            if job is not None or left <= 0:
                return job
            if self._is_deaf(queue):  # SAQ waits for nothing then
                await asyncio.sleep(min(left, _LOOK_SECONDS))

    async def _dequeued(self, queue: Queue, seconds: float) -> Job | None:
        task = asyncio.current_task()
        async with _answered(seconds + self._limit):
            try:
                job = await queue.dequeue(timeout=max(seconds, 0.001))  # it takes 0 for ever
            except TimeoutError:
                return None
        if job is None and task is not None and task.cancelling():
            raise asyncio.CancelledError  # which SAQ swallowed
        return job

    async def _keep_listening(self, queue: Queue) -> None:
        # Else SAQ listens anew for each job, and misses what is put into the queue until it does.
        listening = self._on_loop.here.listening
        if self._is_deaf(queue):
            listening.discard(queue.name)
            await _listener(queue).close()
        if self._has_pool and queue.name not in listening:
            listening.add(queue.name)
            await _listener(queue).subscribe("")

    def _is_deaf(self, queue: Queue) -> bool:
        """Return whether what listened to a queue has ended, with its connection."""
        listening = _listener(queue)._daemon_task if self._has_pool else None  # noqa: SLF001
        return listening is not None and _has_ended(listening)

    async def _queue(self, name: str) -> PromptQueue | SteadyQueue:
        here = self._on_loop.here
        if name not in here.queues:
            async with here.connecting:
                if name not in here.queues:
                    here.queues[name] = await self._connected(here, f"{self._prefix}.{name}")
        return here.queues[name]

    async def _connected(self, here: _Connections, name: str) -> PromptQueue | SteadyQueue:
        if not self._has_pool:
            queue = _redis_queue(self._url, name)
            async with _answered(self._limit):
                await queue.connect()
            return queue
        if here.pool is None:
            pool = _pool(self._url, self._settings)
            async with _answered(self._limit):
                await pool.open()
            here.pool = pool
        return await _connected_postgres(here.pool, name, self._limit)


def _listener(queue: Queue) -> ListenMultiplexer:
    return cast("PromptQueue", queue)._listener  # noqa: SLF001


def _has_ended(task: asyncio.Task[None]) -> bool:
    if task.done() and not task.cancelled():
        task.exception()  # which nobody else looks at
    return task.done()


def _redis_queue(url: str, name: str) -> SteadyQueue:
    from .saq_redis import SteadyQueue

    return cast("SteadyQueue", SteadyQueue.from_url(url, name=name))


async def _connected_postgres(pool: AsyncConnectionPool, name: str, limit: float) -> PromptQueue:
    from .saq_postgres import PromptQueue

    queue = PromptQueue(pool=pool, name=name)
    async with _answered(limit), pool.connection() as connection, connection.transaction():
        # SAQ makes its tables in one process and lets the others go on without them meanwhile.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('copilotkit queue', 0))")
        await queue.connect()
    return queue


def _pool(url: str, settings: StoreSettings) -> AsyncConnectionPool:
    from ..stores.postgres_database import connection_options
    from ..stores.postgres_pool import ConnectionCheck, ConnectionPool

    return ConnectionPool(
        kwargs=connection_options(url, settings),
        min_size=1,
        max_size=_MOST_CONNECTIONS,
        open=False,
        configure=_without_waiting_for_disks,
        check=ConnectionCheck(settings.command_timeout),
        timeout=settings.command_timeout,
        reconnect_timeout=settings.connect_timeout,
    )


async def _without_waiting_for_disks(connection: AsyncConnection) -> None:
    await connection.execute("SET synchronous_commit TO off")


def _calls(queue: str) -> str:
    return f"{queue}.calls"


def _run_of(job: Job) -> RunKey | None:
    given = job.kwargs or {}
    thread_id, number = given.get("thread"), given.get("number")
    return RunKey(thread_id, number) if isinstance(thread_id, str) and isinstance(number, int) else None


def _job_key(queue: str, key: RunKey) -> str:
    """Return the name of a run's job, short, as PostgreSQL has an index of those of all queues."""
    return hashlib.sha256(f"{queue}\n{key.number}\n{key.thread_id}".encode()).hexdigest()


def _metadata(info: Any) -> dict[str, Any]:
    found = info["metadata"]
    decoded: dict[str, Any] = json.loads(found) if isinstance(found, str) else found
    return decoded


@asynccontextmanager
async def _answered(seconds: float) -> AsyncIterator[None]:
    """Let what the server is asked take ``seconds``.

    Raises:
        StoreUnavailableError: The server does not answer, or not in time.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except _SERVER_ERRORS as error:  # among them those of the operating system, and so a time limit
        raise StoreUnavailableError from error
