"""One run at a time for each agent on each thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from ..errors import CopilotKitError, ThreadBusyError, ThreadLostError
from ..stores.interface import StateStore

BusyPolicy: TypeAlias = Literal["queue", "reject", "interrupt"]
Fail: TypeAlias = Callable[[CopilotKitError], None]

TAKEN_OVER = "A newer run replaced this one."


class ThreadLock:
    """The right of one run to work on its thread, watched for as long as it is held.

    Args:
        store: Gives the right, over all processes.
        thread_id: The thread.
        agent_name: The agent.
        policy: What to do while another run goes on: ``queue`` behind it, ``reject`` this one, or ``interrupt`` it.
        fail: Called with the reason when a newer run is to take the place of this one, or the store gives it away.
    """

    __slots__ = ("_fail", "_held", "_lock")

    def __init__(self, store: StateStore, thread_id: str, agent_name: str, policy: BusyPolicy, fail: Fail) -> None:
        wait = 0.0 if policy == "reject" else None
        self._lock = store.lock(thread_id, agent_name, wait=wait, interrupt=policy == "interrupt")
        self._fail = fail
        self._held = False

    @property
    def lost(self) -> bool:
        """Whether another run may have the right by now."""
        return self._lock.lost.is_set()

    @property
    def is_over(self) -> bool:
        """As ``lost``, or its time has run out, which a process that was paused may not have noticed."""
        return self._lock.is_over

    async def confirm(self) -> bool:
        """Look in the store whether the right is still held; by the process's own clock it may seem so for too long.

        Raises:
            StoreError: The store does not answer.
        """
        return await self._lock.confirm()

    async def acquire(self) -> None:
        """Wait for the right.

        Raises:
            ThreadBusyError: The policy is not to wait, or a newer run is not to wait for this one.
            StoreError: The store does not answer.
        """
        await self._lock.__aenter__()
        self._held = True
        self._lock.on_end = self._end_run
        if self._lock.lost.is_set() or self._lock.stop_requested.is_set():
            self._end_run()

    async def release(self) -> None:
        """Give the right back for good, if it is held."""
        self._fail = _nobody  # the run keeps its lock, and is not to be kept by it
        await self.pass_on()

    async def pass_on(self) -> None:
        """Give the right back, if it is held; it may be acquired again."""
        self._lock.on_end = None
        if self._held:
            self._held = False
            await self._lock.__aexit__(None, None, None)

    def _end_run(self) -> None:
        self._fail(ThreadLostError() if self.lost else ThreadBusyError(TAKEN_OVER))


def _nobody(_error: CopilotKitError) -> None:
    """Do nothing: the run has ended."""
