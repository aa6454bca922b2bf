"""The engines, each with the same four verbs. An engine's package is imported where the engine is opened."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

QUEUE = "measured"
LEASE_SECONDS = 5
"""After how long each engine gives a job away whose worker has gone, where that can be set."""

_reports = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def report(event: str, job: str) -> None:
    """Send the measuring process a datagram: what happened to which job, and when."""
    taken = signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, signal.SIG_IGN)
    handlers = len(logging.getLogger().handlers)
    text = f"{event} {job} {time.monotonic()} {int(taken)} {handlers}"
    _reports.sendto(text.encode(), ("127.0.0.1", int(os.environ["REPORT_PORT"])))


async def work_on(job: str, seconds: float) -> None:
    """Do one job: report its begin, and its end or its cancellation."""
    report("begin", job)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        report("cancelled", job)
        raise
    report("end", job)


class Engine(Protocol):
    """What is measured of an engine."""

    async def open(self, url: str) -> None: ...
    async def enqueue(self, job: str, seconds: float, *, urgent: bool = False) -> Any: ...
    async def abort(self, handle: Any) -> None: ...
    async def work(self, concurrency: int) -> None: ...


class Saq:
    """SAQ: lists on Redis, a table with LISTEN and NOTIFY on PostgreSQL."""

    async def open(self, url: str) -> None:
        from saq import Queue

        self._queue = Queue.from_url(url, name=QUEUE)
        await self._queue.connect()

    async def enqueue(self, job: str, seconds: float, *, urgent: bool = False) -> Any:
        more = {"priority": 0 if urgent else 100}
        options = {"timeout": 0, "heartbeat": LEASE_SECONDS, "retries": 5, **more}
        return await self._queue.enqueue("job", job=job, seconds=seconds, **options)

    async def abort(self, handle: Any) -> None:
        await handle.abort("aborted")

    async def work(self, concurrency: int) -> None:
        from saq import Worker

        async def job(context: Any, *, job: str, seconds: float) -> None:
            del context
            await work_on(job, seconds)

        timers: Any = {"sweep": 1, "abort": 0.2, "schedule": 1, "worker_info": 10}
        functions: Any = [("job", job)]
        await Worker(self._queue, functions, concurrency=concurrency, timers=timers).start()


class Docket:
    """pydocket: Redis streams with a consumer group."""

    async def open(self, url: str) -> None:
        from docket import Docket as Opened

        self._docket = await Opened(name=QUEUE, url=url).__aenter__()

        async def job(job: str, seconds: float) -> None:
            await work_on(job, seconds)

        self._docket.register(job)
        self._job = job

    async def enqueue(self, job: str, seconds: float, *, urgent: bool = False) -> Any:
        del urgent
        return await self._docket.add(self._job, key=job)(job, seconds)

    async def abort(self, handle: Any) -> None:
        await self._docket.cancel(handle.key)

    async def work(self, concurrency: int) -> None:
        from docket import Worker

        lease = timedelta(seconds=LEASE_SECONDS)
        async with Worker(self._docket, concurrency=concurrency, redelivery_timeout=lease) as worker:
            await worker.run_forever()


class Procrastinate:
    """procrastinate: a table of PostgreSQL, with LISTEN and NOTIFY."""

    async def open(self, url: str) -> None:
        from procrastinate import App, PsycopgConnector

        self._app = App(connector=PsycopgConnector(conninfo=url))
        await self._app.open_async()
        if not await self._app.check_connection_async():
            await self._app.schema_manager.apply_schema_async()

        async def job(job: str, seconds: float) -> None:
            await work_on(job, seconds)

        self._task = self._app.task(job, name="job", queue=QUEUE, retry=5)

    async def enqueue(self, job: str, seconds: float, *, urgent: bool = False) -> Any:
        return await self._task.configure(priority=100 if urgent else 0).defer_async(job=job, seconds=seconds)

    async def abort(self, handle: Any) -> None:
        await self._app.job_manager.cancel_job_by_id_async(handle, abort=True)

    async def work(self, concurrency: int) -> None:
        rescue = asyncio.create_task(self._retry_stalled())
        await self._app.run_worker_async(queues=[QUEUE], concurrency=concurrency, update_heartbeat_interval=1)
        rescue.cancel()

    async def _retry_stalled(self) -> None:
        # The engine lists stalled jobs and leaves it to the application to do something about them.
        while True:
            for job in await self._app.job_manager.get_stalled_jobs(seconds_since_heartbeat=LEASE_SECONDS):
                await self._app.job_manager.retry_job(job)
            await asyncio.sleep(1)


class Taskiq:
    """taskiq: Redis streams by taskiq-redis, a table by taskiq-pg."""

    async def open(self, url: str) -> None:
        self._broker: Any
        if url.startswith("redis"):
            from taskiq_redis import RedisStreamBroker

            self._broker = RedisStreamBroker(url, queue_name=QUEUE, consumer_id="0", idle_timeout=LEASE_SECONDS * 1000)
        else:
            from taskiq_pg import AsyncpgBroker

            self._broker = AsyncpgBroker(url)

        async def job(job: str, seconds: float) -> None:
            await work_on(job, seconds)

        self._task = self._broker.register_task(job, task_name="job")

    async def enqueue(self, job: str, seconds: float, *, urgent: bool = False) -> Any:
        del urgent
        if not self._broker.is_worker_process and not getattr(self, "_started", False):
            self._started = True
            await self._broker.startup()
        return await self._task.kiq(job, seconds)

    async def abort(self, handle: Any) -> None:
        raise NotImplementedError

    async def work(self, concurrency: int) -> None:
        from taskiq.api import run_receiver_task

        self._broker.is_worker_process = True
        await self._broker.startup()
        await run_receiver_task(self._broker, max_async_tasks=concurrency)


class Dbos:
    """DBOS: durable workflows on PostgreSQL."""

    async def open(self, url: str) -> None:
        from dbos import DBOS, DBOSClient

        address = url.replace("postgresql://", "postgresql+psycopg://")
        if "WORKER" in os.environ:
            self._launch(DBOS, address)
        else:
            self._client = DBOSClient(system_database_url=address)

    def _launch(self, dbos: Any, address: str) -> None:
        dbos(config={"name": "measure", "system_database_url": address, "run_admin_server": False})

        @dbos.workflow(name="job")  # type: ignore[untyped-decorator]
        async def job(job: str, seconds: float) -> None:
            await work_on(job, seconds)

        concurrency = int(os.environ["WORKER"])
        dbos.launch()
        dbos.register_queue(QUEUE, worker_concurrency=concurrency, polling_interval_sec=0.1)

    async def enqueue(self, job: str, seconds: float, *, urgent: bool = False) -> Any:
        options: Any = {"queue_name": QUEUE, "workflow_name": "job", "priority": 1 if urgent else 100}
        handle = await self._client.enqueue_async(options, job, seconds)
        return handle.get_workflow_id()

    async def abort(self, handle: Any) -> None:
        await self._client.cancel_workflow_async(handle)

    async def work(self, concurrency: int) -> None:
        del concurrency
        await asyncio.Event().wait()


ENGINES: dict[str, Callable[[], Engine]] = {
    "saq": Saq,
    "pydocket": Docket,
    "procrastinate": Procrastinate,
    "taskiq": Taskiq,
    "dbos": Dbos,
}
