"""One run at a time for each agent on each thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from ..cancellation import end_tasks
from ..errors import CopilotKitError, ThreadBusyError
from ..stores.interface import StateStore

if TYPE_CHECKING:
    from ..stores.locks import RunLock

BusyPolicy: TypeAlias = Literal["queue", "reject", "interrupt"]
Fail: TypeAlias = Callable[[CopilotKitError], None]

TAKEN_OVER = "A newer run replaced this one."
LOST = "The state store did not answer for too long, so that this run's place went to another one."


class ThreadLock:
    """The right of one run to work on its thread, watched for as long as it is held.

    Entering it waits for the right.

    Args:
        store: Gives the right, over all processes.
        thread_id: The thread.
        agent_name: The agent.
        policy: What to do while another run goes on: ``queue`` behind it, ``reject`` this one, or ``interrupt`` it.
        fail: Called with the reason when a newer run is to take the place of this one, or the store gives it away.

    Raises:
        ThreadBusyError: The policy is not to wait, or a newer run is not to wait for this one.
        StoreError: The store does not answer.
    """

    def __init__(self, store: StateStore, thread_id: str, agent_name: str, policy: BusyPolicy, fail: Fail) -> None:
        wait = 0.0 if policy == "reject" else None
        self._lock = store.lock(thread_id, agent_name, wait=wait, interrupt=policy == "interrupt")
        self._fail = fail
        self._watching: asyncio.Task[None] | None = None

    @property
    def lost(self) -> bool:
        """Whether another run may have the right by now."""
        return self._lock.lost.is_set()

    async def __aenter__(self) -> Self:
        await self._lock.__aenter__()
        self._watching = asyncio.create_task(_watch(self._lock, self._fail), name="thread lock")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._watching is not None:
                await end_tasks(self._watching)
        finally:
            await self._lock.__aexit__(kind, error, trace)


async def _watch(lock: RunLock, fail: Fail) -> None:
    lost = asyncio.create_task(lock.lost.wait())
    stop = asyncio.create_task(lock.stop_requested.wait())
    try:
        await asyncio.wait({lost, stop}, return_when=asyncio.FIRST_COMPLETED)
        fail(ThreadBusyError(LOST if lock.lost.is_set() else TAKEN_OVER))
    finally:
        await end_tasks(lost, stop)
