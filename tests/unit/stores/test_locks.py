"""Run locks on a desk that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from copilotkit_runtime.runtime.errors import StoreError
from copilotkit_runtime.runtime.stores.errors import StoreUnavailableError
from copilotkit_runtime.runtime.stores.locks import RunLocks, Standing, Ticket
from copilotkit_runtime.runtime.stores.memory import MemoryTickets
from copilotkit_runtime.runtime.stores.settings import StoreSettings

SETTINGS = StoreSettings(lease=2.0, heartbeat=0.05, retry_for=0.2)


class Desk(MemoryTickets):
    """A desk that can be taken out of reach, and can lose what it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.away: StoreError | None = None
        self.renewed = asyncio.Event()
        self.refused = asyncio.Event()

    async def enter(self, ticket: Ticket, lease: float) -> Standing:
        self._answer()
        return await super().enter(ticket, lease)

    async def renew(self, tickets: Sequence[Ticket], lease: float) -> dict[str, bool]:
        self._answer()
        self.renewed.set()
        return await super().renew(tickets, lease)

    async def leave(self, ticket: Ticket) -> None:
        self._answer()
        await super().leave(ticket)

    def forget(self) -> None:
        self._queues.clear()

    def _answer(self) -> None:
        if self.away is not None:
            self.refused.set()
            raise self.away


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def locks(desk: Desk) -> RunLocks:
    return RunLocks(desk, SETTINGS)


def _keeper() -> asyncio.Task[None]:
    """The one task that renews the locks."""
    [keeper] = [task for task in asyncio.all_tasks() if task.get_name() == "run-locks"]
    return keeper


async def _next_beat(desk: Desk) -> None:
    for _ in range(2):
        desk.renewed.clear()
        await asyncio.wait_for(desk.renewed.wait(), 20)


async def test_a_lock_cannot_be_had_from_a_desk_out_of_reach(locks: RunLocks, desk: Desk) -> None:
    desk.away = StoreUnavailableError()

    with pytest.raises(StoreUnavailableError):
        async with locks.lock("thread", "agent", wait=None, interrupt=False):
            pass


async def test_a_lock_survives_an_outage_shorter_than_its_lease(locks: RunLocks, desk: Desk) -> None:
    async with locks.lock("thread", "agent", wait=None, interrupt=False) as lock:
        await _next_beat(desk)
        desk.away = StoreUnavailableError()
        await asyncio.wait_for(desk.refused.wait(), 20)
        desk.away = None
        await _next_beat(desk)
        assert not lock.lost.is_set()


@pytest.mark.parametrize("error", [StoreUnavailableError(), StoreError("refused")])
async def test_a_lock_is_lost_in_an_outage_longer_than_its_lease(
    locks: RunLocks, desk: Desk, error: StoreError
) -> None:
    async with locks.lock("thread", "agent", wait=None, interrupt=False) as lock:
        desk.away = error
        await asyncio.wait_for(lock.lost.wait(), 20)


async def test_a_lock_that_a_restarted_store_forgot_is_taken_again(locks: RunLocks, desk: Desk) -> None:
    async with locks.lock("thread", "agent", wait=None, interrupt=False) as lock:
        desk.forget()
        await _next_beat(desk)
        assert not lock.lost.is_set()
        assert (await desk.renew([lock.ticket], 1)).keys() == {lock.ticket.token}


async def test_a_forgotten_lock_that_somebody_else_took_is_lost(locks: RunLocks, desk: Desk) -> None:
    other = RunLocks(desk, SETTINGS)
    async with locks.lock("thread", "agent", wait=None, interrupt=False) as lock:
        desk.forget()
        async with other.lock("thread", "agent", wait=0, interrupt=False) as another:
            await asyncio.wait_for(lock.lost.wait(), 20)
            assert not another.lost.is_set()


async def test_a_lock_whose_release_fails_does_not_hide_what_the_run_raised(locks: RunLocks, desk: Desk) -> None:
    async def run() -> None:
        async with locks.lock("thread", "agent", wait=None, interrupt=False):
            desk.away = StoreUnavailableError()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run()


async def test_a_heartbeat_that_breaks_notifies_all_holders(locks: RunLocks, desk: Desk) -> None:
    async with locks.lock("thread", "agent", wait=None, interrupt=False) as lock:
        keeper = _keeper()
        desk.renew = None  # type: ignore[method-assign, assignment]
        await asyncio.wait_for(lock.lost.wait(), 20)
        with pytest.raises(TypeError):
            await keeper


async def test_no_task_is_left_when_no_lock_is_held(locks: RunLocks) -> None:
    async with locks.lock("thread", "agent", wait=None, interrupt=False):
        keeper = _keeper()

    await asyncio.wait_for(keeper, 20)
    await locks.stop()
