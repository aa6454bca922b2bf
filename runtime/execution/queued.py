"""Execution by the workers of a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Literal, TypeAlias

from typing_extensions import override

from ..errors import QueueFullError
from ..runs.about import ENVELOPE
from ..runs.archive import RunArchive
from ..runs.handle import RunHandle
from .directory import WorkerDirectory
from .engine import DEFAULT_QUEUE, QueueEngine
from .envelope import Envelope, correlation, seal
from .execution import Execution, Order

FullPolicy: TypeAlias = Literal["wait", "reject"]
_LOOK_AGAIN_SECONDS = 0.25


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
        carrier: Returns the current trace, as headers.
    """

    def __init__(
        self,
        engine: QueueEngine,
        archive: RunArchive,
        limits: QueueLimits,
        directory: WorkerDirectory,
        queue_of: Callable[[str], Awaitable[str]],
        carrier: Callable[[], Mapping[str, str]],
    ) -> None:
        self._engine = engine
        self._archive = archive
        self._limits = limits
        self._directory = directory
        self._queue_of = queue_of
        self._carrier = carrier

    @override
    async def open(self) -> None:
        await self._engine.start()
        await self._directory.start()

    @override
    async def close(self) -> None:
        await self._directory.stop()
        await self._engine.stop()

    @override
    async def start(self, order: Order) -> RunHandle:
        request = order.request
        queue = DEFAULT_QUEUE if request.agent_name is None else await self._queue_of(request.agent_name)
        sealed = seal(
            Envelope(
                request=request,
                queue=queue,
                trace=dict(self._carrier()),
                correlation=correlation(),
                hook_called=order.hook_called,
                judged=order.judged,
            ),
            self._limits.max_bytes,
        )
        await self._wait_for_room(queue)
        run = await self._archive.hand_over(
            request.input, request.agent_name or "", {ENVELOPE: sealed}, self._limits.seconds
        )
        run.sends_extensions = order.provider.reports_extensions
        run.passing = request.ephemeral
        await self._engine.put(queue, run.record.key)
        return RunHandle(run, run.subscribe())

    async def _wait_for_room(self, queue: str) -> None:
        deadline = monotonic() + self._limits.seconds
        while await self._engine.waiting(queue) >= self._limits.most:
            if self._limits.when_full == "reject" or monotonic() >= deadline:
                raise QueueFullError
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
