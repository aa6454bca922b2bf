"""A worker: takes runs from queues and has the service of its process execute them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol
from uuid import uuid4

import msgspec
import structlog

from .. import events
from ..cancellation import end_tasks
from ..error_texts import to_public_error
from ..errors import CopilotKitError, MisuseError, StoreError
from ..provider import AgentDescriptor, AgentProvider
from ..registry import ProviderRegistry
from ..repeated_failures import RepeatedFailures
from ..runs.archive import RunArchive
from ..runs.broken_runs import BrokenRuns
from ..runs.observer import Observers
from ..runs.run import Run
from ..stores.run_records import RunKey, RunRecord
from .engine import DEFAULT_QUEUE, CallDelivery, Card, QueueEngine, TicketDelivery
from .envelope import Envelope, UnreadableEnvelopeError, seconds_waited, unseal
from .published import Call, WorkerCard, perform, published

TAKE_SECONDS = 2.0
"""How long one wait for a run lasts; a worker that drains leaves after it."""
PUBLISH_SECONDS = 2.0
CARD_SECONDS = 10.0
"""For how long a worker that reports nothing more is taken to be there."""
CALLS_AT_ONCE = 16
_PAUSE_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Service(Protocol):
    """What a worker needs of its process's service."""

    archive: RunArchive
    broken_runs: BrokenRuns
    observers: Observers
    registry: ProviderRegistry
    model: AgentProvider | None
    draining: bool
    begun: Callable[[], Awaitable[None]]

    async def execute(self, record: RunRecord, envelope: Envelope, settled: Callable[[], None]) -> Run:
        """Execute a run that this process has taken; ``settled`` is called once no crash can undo that."""

    async def drain(self, grace_seconds: float) -> None:
        """End the runs of this process."""


class Worker:
    """Executes the runs of queues, so many at once.

    Args:
        service: Executes them.
        engine: Delivers them.
        queues: The queues, by name.
        concurrency: How many runs may go on at once.
        queue_of: Returns the queue of an agent.
    """

    def __init__(
        self,
        service: Service,
        engine: QueueEngine,
        queues: Sequence[str],
        concurrency: int,
        queue_of: Callable[[AgentDescriptor], str],
    ) -> None:
        self.name = uuid4().hex
        self._service = service
        self._engine = engine
        self._queues = list(queues)
        self._queue_of = queue_of
        self._slots = asyncio.Semaphore(concurrency)
        self._calls = asyncio.Semaphore(CALLS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._beginning: dict[RunKey, asyncio.Future[None]] = {}
        """For each run that is being taken a future, done once it has begun or somebody else has it."""
        self._takers: list[asyncio.Task[None]] = []
        self._mine: frozenset[str] = frozenset()
        self._stopping = False
        self._failures = RepeatedFailures()

    async def start(self) -> None:
        """Begin to take runs."""
        await self._engine.start()
        await self._publish()
        self._service.broken_runs.is_ours = self._is_ours
        self._service.begun = self._begun
        self._service.broken_runs.on_resumed = lambda run: self._spawn(self._occupy(run))
        for queue in self._queues:
            self._begin(self._take_runs(queue), f"take-{queue}")
            self._begin(self._take_calls(queue), f"calls-{queue}")
        self._begin(self._repeat(PUBLISH_SECONDS, self._publish), "publish-worker")
        self._begin(self._repeat(TAKE_SECONDS, self._redeliver), "redeliver")

    async def stop(self) -> None:
        """Take no more, and wait until those that were taken have ended, as the service ends them."""
        self._stopping = True
        await asyncio.wait(self._takers, timeout=2 * TAKE_SECONDS)
        await end_tasks(*self._takers)
        await self._begun()
        await self._service.drain(0)
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._attempt(self._show(WorkerCard(queues=[])))
        await self._engine.stop()

    def _begin(self, work: Any, name: str) -> None:
        self._takers.append(asyncio.create_task(work, name=name))

    def _goes_on(self) -> bool:
        return not self._stopping and not self._service.draining

    async def _take_runs(self, queue: str) -> None:
        while self._goes_on():
            await self._wait_for_slot()
            delivery = await self._attempt(self._engine.take(queue, TAKE_SECONDS))
            if delivery is not None:
                await self._take_run(delivery)

    async def _take_run(self, delivery: TicketDelivery) -> None:
        if delivery.key in self._beginning:
            return  # the delivery before is still at it, and this one is made again
        if self._goes_on():
            await self._slots.acquire()
            if self._goes_on():
                begun = asyncio.get_running_loop().create_future()
                self._beginning[delivery.key] = begun
                self._spawn(self._execute(delivery, begun))
                return
            self._slots.release()
        await self._attempt(delivery.give_back())

    async def _begun(self) -> None:
        """Wait until the runs that are being taken have begun."""
        while self._beginning:
            await asyncio.wait(list(self._beginning.values()))

    async def _wait_for_slot(self) -> None:
        # Where several queues are served, one that is empty must not keep a place from the others.
        if self._slots.locked():
            async with self._slots:
                pass

    async def _execute(self, delivery: TicketDelivery, begun: asyncio.Future[None]) -> None:
        try:
            run = await self._begin_run(delivery, begun)
            if run is not None:
                await run.join()
        finally:
            self._slots.release()

    async def _begin_run(self, delivery: TicketDelivery, begun: asyncio.Future[None]) -> Run | None:
        try:
            run: Run | None = await self._attempt(self._take(delivery))
            return run
        finally:
            del self._beginning[delivery.key]
            begun.set_result(None)

    async def _take(self, delivery: TicketDelivery) -> Run | None:
        """Take a run and start it; one for which the store does not answer, or which it forgets, is delivered again."""

        def settled() -> None:
            self._spawn(self._attempt(delivery.done()))  # beside the run, which need not wait for it

        record = await self._service.archive.take(delivery.key)
        if record is None:
            settled()
            return None
        return await self._started(record, settled)

    async def _occupy(self, run: Run) -> None:
        """Let a run that this process goes on with count as one that it has taken."""
        async with self._slots:
            await run.join()

    async def _started(self, record: RunRecord, settled: Callable[[], None]) -> Run | None:
        try:
            return await self._start(record, unseal(record.about), settled)
        except CopilotKitError as error:
            log.warning("run_not_executed", thread_id=record.thread_id, run_id=record.run_id, reason=error.message)
            code = "RUN_NOT_EXECUTED" if isinstance(error, UnreadableEnvelopeError) else str(error.code)
            ending = events.RunError(message=error.message, code=code)
            await self._attempt(self._refuse(record, ending, settled))
            return None

    async def _refuse(self, record: RunRecord, ending: events.RunError, settled: Callable[[], None]) -> None:
        await self._service.archive.refuse(record, ending)
        settled()

    async def _start(self, record: RunRecord, envelope: Envelope, settled: Callable[[], None]) -> Run:
        bound = structlog.contextvars.bound_contextvars(**envelope.correlation)
        with bound, self._service.observers.carried(envelope.trace):
            self._service.observers.waited(envelope.queue, seconds_waited(envelope))
            return await self._service.execute(record, envelope, settled)

    async def _take_calls(self, queue: str) -> None:
        while self._goes_on():
            call = await self._attempt(self._engine.take_call(queue, TAKE_SECONDS))
            if call is not None:
                await self._calls.acquire()
                self._spawn(self._answer(call))

    async def _answer(self, delivery: CallDelivery) -> None:
        try:
            call = msgspec.json.decode(delivery.body, type=Call)
            answer = await perform(await self._provider(call), call)
            await delivery.answer(msgspec.json.encode(answer).decode())
        except Exception as error:  # whatever a provider raises: who asked is not kept waiting
            log.warning("call_failed", reason=to_public_error(error).message, exc_info=error)
            await self._attempt(delivery.done())
        finally:
            self._calls.release()

    async def _provider(self, call: Call) -> AgentProvider:
        found = self._service.model if call.provider is None else self._service.registry.get(call.provider)
        if found is None:
            raise MisuseError("Unknown provider.")
        return found

    async def _publish(self) -> None:
        agents: dict[AgentProvider, list[AgentDescriptor]] = {}
        for agent, provider in (await self._service.registry.agents()).values():
            pinned = msgspec.structs.replace(agent, queue=self._queue_of(agent))
            if pinned.queue in self._queues:
                agents.setdefault(provider, []).append(pinned)
        self._mine = frozenset(agent.name for found in agents.values() for agent in found)
        model = self._service.model if DEFAULT_QUEUE in self._queues else None
        card = WorkerCard(
            queues=self._queues,
            providers=[published(provider, found) for provider, found in agents.items()],
            model=published(model, ()) if model is not None else None,
        )
        await self._show(card)

    async def _show(self, card: WorkerCard) -> None:
        await self._engine.publish(Card(self.name, msgspec.json.encode(card).decode()), CARD_SECONDS)

    async def _redeliver(self) -> None:
        for queue in self._queues:
            await self._engine.redeliver(queue)

    def _is_ours(self, record: RunRecord) -> bool:
        mine = record.agent_name in self._mine or (not record.agent_name and DEFAULT_QUEUE in self._queues)
        return mine and not self._slots.locked()

    async def _repeat(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while self._goes_on():
            await asyncio.sleep(seconds)
            await self._attempt(work())

    async def _attempt(self, work: Awaitable[Any]) -> Any:
        try:
            answer = await work
        except StoreError as error:
            if self._failures.is_news(self.name, error):
                log.warning("queue_does_not_answer", worker=self.name, reason=str(error))
        except Exception:  # what a foreign program put into the queue must not end the taking of runs
            log.exception("queue_not_readable", worker=self.name)
        else:
            if self._failures.are_over(self.name):
                log.info("queue_answers_again", worker=self.name)
            return answer
        await asyncio.sleep(_PAUSE_SECONDS)
        return None

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
