"""Whose turn it is: one run at a time for each agent on each thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..errors import ThreadBusyError
from ..stores.interface import StateStore
from .run import Run

if TYPE_CHECKING:
    from ..stores.locks import RunLock

BusyPolicy: TypeAlias = Literal["queue", "reject", "interrupt"]

TAKEN_OVER = "A newer run took the place of this one."
LOST = "The state store did not answer for too long, so that this run's place went to another one."


async def take_turn(run: Run, store: StateStore, policy: BusyPolicy) -> None:
    """Waits until ``run`` may work on its thread, which it then may until it has ended.

    Args:
        run: The run. It fails when a newer one is to take its place, or when the store gives its place away.
        store: Says whose turn it is.
        policy: What to do while another run goes on: ``queue`` behind it, ``reject`` this one, or ``interrupt`` it.

    Raises:
        ThreadBusyError: The policy is not to wait, or a newer run is not to wait for this one.
        StoreError: The store does not answer.
    """
    wait = 0.0 if policy == "reject" else None
    lock = store.lock(run.input.thread_id, run.agent_name, wait=wait, interrupt=policy == "interrupt")
    await run.resources.enter_async_context(lock)
    watching = asyncio.create_task(_watch(lock, run), name="turn")
    run.resources.push_async_callback(_end, watching)


async def _watch(lock: RunLock, run: Run) -> None:
    lost = asyncio.create_task(lock.lost.wait())
    stop = asyncio.create_task(lock.stop_requested.wait())
    try:
        await asyncio.wait({lost, stop}, return_when=asyncio.FIRST_COMPLETED)
        run.owns_thread = not lock.lost.is_set()
        run.fail(ThreadBusyError(TAKEN_OVER if run.owns_thread else LOST))
    finally:
        await _end(lost)
        await _end(stop)


async def _end(task: asyncio.Task[object]) -> None:
    task.cancel()
    await asyncio.wait([task])
