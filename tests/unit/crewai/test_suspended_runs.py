from __future__ import annotations

import asyncio
from typing import Any

from copilotkit_runtime.providers.crewai.suspended_runs import SuspendedRuns


class Waiting:
    def __init__(self) -> None:
        self.given_up = asyncio.Event()

    def cancel(self) -> None:
        self.given_up.set()


def suspended_runs(**options: Any) -> SuspendedRuns:
    return SuspendedRuns(**{"size": 2, "timeout": 60.0, **options})


async def test_a_waiting_session_is_taken_once() -> None:
    lot, session = suspended_runs(), Waiting()
    lot.put(("t", "a"), session)  # type: ignore[arg-type]
    taken: list[Any] = [lot.take(("t", "a")), lot.take(("t", "a"))]
    assert taken == [session, None]
    assert not session.given_up.is_set()


async def test_one_too_many_drives_out_the_one_that_waited_longest() -> None:
    lot, sessions = suspended_runs(), [Waiting() for _ in range(3)]
    for number, session in enumerate(sessions):
        lot.put((str(number), "a"), session)  # type: ignore[arg-type]
    assert [session.given_up.is_set() for session in sessions] == [True, False, False]


async def test_a_second_session_on_a_thread_drives_out_the_first() -> None:
    lot, first, second = suspended_runs(), Waiting(), Waiting()
    lot.put(("t", "a"), first)  # type: ignore[arg-type]
    lot.put(("t", "a"), second)  # type: ignore[arg-type]
    assert first.given_up.is_set()
    assert not second.given_up.is_set()


async def test_waiting_ends_after_its_time() -> None:
    lot, session = suspended_runs(timeout=0.01), Waiting()
    lot.put(("t", "a"), session)  # type: ignore[arg-type]
    await session.given_up.wait()
    assert lot.take(("t", "a")) is None


async def test_clearing_gives_up_all() -> None:
    lot, sessions = suspended_runs(), [Waiting(), Waiting()]
    for number, session in enumerate(sessions):
        lot.put((str(number), "a"), session)  # type: ignore[arg-type]
    lot.clear()
    assert all(session.given_up.is_set() for session in sessions)
