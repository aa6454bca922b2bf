"""Execution by the workers of a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias, TypeVar

import structlog
from typing_extensions import override

from .. import events
from ..cancellation import OwnedTasks
from ..errors import StoreError
from ..runs.about import ENVELOPE
from ..runs.archive import RunArchive
from ..runs.broken_runs import NOT_EXECUTED
from ..runs.handle import RunHandle
from ..runs.observer import Observers
from ..runs.remote import RemoteRun
from ..stores.errors import StoreUnavailableError
from ..stores.retry import retry_unavailable
from ..stores.run_records import RunLostError, RunRecord
from .directory import WorkerDirectory
from .engine import DEFAULT_QUEUE, QueueEngine
from .envelope import Envelope, correlation, seal
from .execution import Execution, Order
from .unbegun_runs import UnbegunRuns
from .waiting_room import WaitingRoom

HANDED_OVER_TIMES = 3
"""How many times a run is handed over, if the store's server crashes each time and forgets it."""
HANDING_SECONDS = 10.0
"""How long a process that ends waits for what it hands over."""

T = TypeVar("T")

log = structlog.get_logger(__name__)

FullPolicy: TypeAlias = Literal["wait", "reject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """How many runs may wait, for how long, and what becomes of one that is too many."""

    most: int
    seconds: float
    when_full: FullPolicy
    max_bytes: int


class QueuedExecution(Execution):
    """Hands runs to workers, and follows what they write.

    Args:
        engine: Carries them.
        archive: Keeps them.
        limits: The limits.
        directory: Lists the workers' agents.
        queue_of: Returns the queue of an agent.
        observers: Observe what is handed over, and carry its trace.
    """

    def __init__(
        self,
        engine: QueueEngine,
        archive: RunArchive,
        limits: QueueLimits,
        directory: WorkerDirectory,
        queue_of: Callable[[str], Awaitable[str]],
        observers: Observers,
    ) -> None:
        self._engine = engine
        self._room = WaitingRoom(engine, limits.most, waits=limits.when_full == "wait")
        self._unbegun = UnbegunRuns(engine, self._room, archive.store)
        self._archive = archive
        self._limits = limits
        self._directory = directory
        self._queue_of = queue_of
        self._observers = observers
        self._handing = OwnedTasks[RemoteRun]()
        """Runs that are being handed over, whoever waits for it."""

    @override
    async def open(self) -> None:
        await self._engine.start()
        await self._directory.start()

    @override
    def go_on(self) -> None:
        self._directory.keep_looking()

    @override
    async def close(self) -> None:
        await self._directory.stop()
        await self._handing.end(HANDING_SECONDS)
        await self._unbegun.stop()
        await self._room.close()
        await self._engine.stop()

    @override
    async def start(self, order: Order) -> RunHandle:
        name = order.request.agent_name
        queue = DEFAULT_QUEUE if name is None else await self._queue_of(name)
        with self._observers.handing_over(queue):
            return await self._hand_over(order, queue)

    async def _hand_over(self, order: Order, queue: str) -> RunHandle:
        request = order.request
        sealed = seal(
            Envelope(
                request=request,
                queue=queue,
                trace=dict(self._observers.carrier()),
                correlation=correlation(),
                hook_called=order.hook_called,
                judged=order.judged,
            ),
            self._limits.max_bytes,
        )
        ahead = await self._repeated(partial(self._room.ahead, queue))
        handing = self._handing.begin(self._put(order, queue, sealed, ahead), "hand-over")
        handing.add_done_callback(_log_failure)
        # A request that ends meanwhile, with its client or with this process, leaves no run that nobody is given.
        run = await asyncio.shield(handing)
        handle = RunHandle(run, run.subscribe())
        handle.ahead = ahead
        return handle

    async def _put(self, order: Order, queue: str, sealed: dict[str, Any], ahead: int) -> RemoteRun:
        request = order.request
        identity = None if request.ephemeral else request.context.identity
        for _ in range(HANDED_OVER_TIMES):
            run = await self._archive.hand_over(
                request.input, request.agent_name or "", {ENVELOPE: sealed}, self._limits.seconds, identity
            )
            run.sends_extensions = order.provider.reports_extensions
            run.passing = request.ephemeral
            try:
                await self._repeated(partial(self._room.put, queue, run.record.key, ahead))
                await self._archive.settle(run.record)  # while a worker takes the run already
            except RunLostError:
                # The server has crashed and forgotten the run. A worker that took it has not called the agent either.
                log.warning("run_forgotten", thread_id=run.record.thread_id, run_id=run.record.run_id)
                continue
            except BaseException as error:
                # What a worker has taken meanwhile goes on, and is followed.
                if await self._withdraw(run.record) or not isinstance(error, StoreError):
                    raise
            self._unbegun.add(queue, run.record.key)
            return run
        raise StoreUnavailableError

    async def _repeated(self, attempt: Callable[[], Awaitable[T]]) -> T:
        return await retry_unavailable(attempt, self._archive.store.settings.retry_for)

    async def _withdraw(self, record: RunRecord) -> bool:
        """End a run that no worker will be given; return False if one has it already."""
        ending = events.RunError(message="The run could not be given to a worker.", code=NOT_EXECUTED)
        try:
            if await self._archive.take(record.key) is None:
                return False
            await self._archive.refuse(record, ending)
        except StoreError as error:  # it ends when it has waited for too long
            log.warning("run_not_withdrawn", thread_id=record.thread_id, run_id=record.run_id, reason=str(error))
        return True


def _log_failure(handing: asyncio.Task[RemoteRun]) -> None:
    # It may be that nobody waits for it any longer.
    error = None if handing.cancelled() else handing.exception()
    if error is not None:
        log.warning("run_not_handed_over", reason=str(error))
